"""Speed of the pages on a store of a million measure rows: queries, reruns, first render, ten readers, memory.

``python -m benchmarks.pages`` makes the store in a temporary folder and writes benchmarks/results/pages.json.
"""

import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import _million
from benchmarks._clients import Reader, changes, reader
from softh.store import read
from tests.harness import DRAWN, browser, serving

RESULTS = Path(__file__).with_name("results") / "pages.json"
REPEATS = 20
PAGES = {"trajectory": "", "frontier": "frontier", "layers": "layers", "method": "method"}
"""Page → its path. Those with the controls that are changed here; method has none and is run again as it is."""
READERS = ("", "frontier", "layers", "", "frontier", "layers", "", "frontier", "layers", "")
NOTE_WHEN = """{
  const look = () => {
    if (document.querySelector("%s")) window.shownAt = performance.now()
    else requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}"""
"""Keeps the time of the first frame with an element; the clock starts with the navigation."""
TARGETS = {"query": 0.060, "rerun": 0.400, "render": 3.0, "ten readers": 1.5, "memory MB": 600}


def main() -> None:
    packages = ("streamlit", "duckdb", "polars", "plotly", "playwright")
    found: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "targets": TARGETS,
    }
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        keep(found, "rows", lambda: _million.build(data))
        keep(found, "queries", lambda: queries(data))
        with serving(data) as address:
            keep(found, "cold", lambda: asyncio.run(cold(address)))
            keep(found, "reruns", lambda: asyncio.run(reruns(address)))
            keep(found, "ten readers", lambda: asyncio.run(together(address)))
            keep(found, "memory MB", lambda: resident(address))
            keep(found, "render", lambda: renders(address))


def keep(found: dict[str, Any], part: str, measure: Callable[[], Any]) -> None:
    """Measure one part, and write what is known so far; with the load of the machine, which says who else was at work.

    Times are those of this program only where the load is that of this program: about one.
    """
    before = os.getloadavg()[0]
    found[part] = measure()
    found.setdefault("load average", {})[part] = [round(before, 1), round(os.getloadavg()[0], 1)]
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report(part, found[part])


def queries(data: Path) -> dict[str, dict[str, float]]:
    """Seconds of every question of the store, each asked of other models or estimates in turn."""
    rows = read.estimates(data)
    ids, models = rows["estimate_id"].to_list(), rows["model"].unique().sort().to_list()
    runs = [name for name in models if name.startswith("run-")]
    last = rows.unique("model", keep="last")["estimate_id"].to_list()
    asked: dict[str, Callable[[int], object]] = {
        "models": lambda i: read.models(data),
        "benchmarks": lambda i: read.benchmarks(data),
        "estimates": lambda i: read.estimates(data),
        "estimate": lambda i: read.find_estimate(data, ids[7 * i % len(ids)][:10]),
        "measures": lambda i: read.measures(data, ids[7 * i % len(ids)]),
        "record": lambda i: read.record(data, ids[7 * i % len(ids)]),
        "probes": lambda i: read.probes(data),
        "preferences": lambda i: read.preferences(data),
        "trajectory, four runs": lambda i: read.trajectory(
            data, sorted(runs[i % 8 :] + runs[: i % 8])[:4], draws=False
        ),
        "trajectory, eight runs": lambda i: read.trajectory(data, runs, draws=False),
        "trajectory, one layer of a run": lambda i: read.trajectory(data, [runs[i % 8]], draws=False, layer=i % 40),
        "finished models": lambda i: read.trajectory(data, estimates=last),
        "layers": lambda i: read.layers(data, ids[7 * i % len(ids)]),
    }
    return {name: timed(ask) for name, ask in asked.items()}


def timed(ask: Callable[[int], object]) -> dict[str, float]:
    ask(0)
    times = []
    for i in range(REPEATS):
        began = time.perf_counter()
        ask(i)
        times.append(time.perf_counter() - began)
    return spread(times)


def spread(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    at = {share: ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.95)}
    return {"n": len(ordered), "p50": round(at[0.5], 4), "p95": round(at[0.95], 4), "most": round(ordered[-1], 4)}


async def cold(address: str) -> float:
    """Seconds of the very first run of a server, which loads everything."""
    first = await reader(address, "")
    seconds = await first.run()
    await first.socket.close()
    return round(seconds, 2)


async def reruns(address: str) -> dict[str, dict[str, float]]:
    """One reader alone: seconds after each change of order or correction, and the time of a core that a run takes."""
    found = {}
    for page, path in PAGES.items():
        used = cpu_seconds(address)
        if page == "method":
            one = await reader(address, path)
            times = [await one.run() for _ in range(REPEATS)][1:]
            await one.socket.close()
        else:
            times, one = await changes(address, path, REPEATS, seed=0)
        assert not one.errors, (page, one.errors)
        used = (cpu_seconds(address) - used) / (REPEATS + 1)
        found[page] = {**spread(times), "cpu": round(used, 3), "kilobytes": round(one.received / 1000)}
    return found


async def together(address: str) -> dict[str, dict[str, float]]:
    """Ten readers at once: with a second to look between changes, and without any."""
    found = {}
    for name, pause in (("a second between changes", 1.0), ("no pause at all", 0.0)):
        sessions = [changes(address, path, 12, seed, pause) for seed, path in enumerate(READERS)]
        done: list[tuple[list[float], Reader]] = await asyncio.gather(*sessions)
        assert not any(one.errors for _, one in done)
        found[name] = spread([seconds for times, _ in done for seconds in times])
    return found


def resident(address: str) -> int:
    """The most megabytes of memory that the web process ever held."""
    lines = dict(line.split(":", 1) for line in (serving_process(address) / "status").read_text().splitlines())
    return round(int(lines["VmHWM"].split()[0]) / 1000)


def cpu_seconds(address: str) -> float:
    """What the web process has used of all cores so far."""
    fields = (serving_process(address) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serving_process(address: str) -> Path:
    """Where the system tells of the process that listens at an address."""
    port = address.rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*"):
        words = (process / "cmdline").read_bytes().decode().split("\0") if (process / "cmdline").exists() else []
        if "streamlit" in words and port in words:
            return process
    raise RuntimeError(f"No process listens at {address}.")


def renders(address: str, visits: int = 20) -> dict[str, dict[str, float]]:
    """Seconds from the navigation of a new session with an empty cache to the frame that shows the first figure.

    Of a page without figures: to the frame with its heading. The browser's own clock, asked at every frame; a wait
    from outside looks twice a second and adds what it misses.
    """
    found = {}
    with browser() as chromium:
        for page, path in PAGES.items():
            times = []
            for _ in range(visits + 1):
                tab = chromium.new_page(viewport={"width": 1400, "height": 900})
                tab.add_init_script(NOTE_WHEN % ("h1" if page == "method" else DRAWN))
                tab.goto(f"{address}/{path}")
                tab.wait_for_function("window.shownAt")
                times.append(tab.evaluate("window.shownAt / 1000"))
                tab.close()
            found[page] = spread(times[1:])
    return found


def report(part: str, measured: Any) -> None:
    """One line a number, with its target where it misses it."""
    target = TARGETS.get({"queries": "query", "reruns": "rerun"}.get(part, part))
    if not isinstance(measured, dict):
        print(f"{part}: {measured}")
        return
    for name, times in measured.items():
        over = f"  over {target}" if target and times["p95"] > target else ""
        more = f"  cpu {times['cpu']:.3f} s" if "cpu" in times else ""
        print(f"{part:12} {name:32} p50 {times['p50']:.3f} s  p95 {times['p95']:.3f} s  n {times['n']}{more}{over}")


if __name__ == "__main__":
    main()

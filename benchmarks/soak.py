"""Twenty users and a stream of jobs, with two kills in between: ``python -m benchmarks.soak [MINUTES]`` (40).

The server runs as `make run` starts it, on a copy of the shipped tables, and its pages start the worker. Two users
are Chromium windows, the others speak Streamlit's protocol. Each changes a control or goes to another page, thinks for
15 to 30 s, and comes back as a new session now and then; what a page asks to run every second, runs every second. Two
small estimates are open at any time. The server is killed early and started again, so that it is warm (memory levels
off after about 800 runs of pages, :mod:`benchmarks.visits`) when the time begins over which its memory must be flat;
the worker is killed with its job within that time. Writes benchmarks/results/soak.json.
"""

import asyncio
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

import psutil

from benchmarks import kills
from benchmarks._users import THINK, Visits, reruns, user, windows
from benchmarks.pages import serving_process
from softh import jobs, settings
from softh.jobs import processes
from softh.spec import EstimateSpec
from softh.store import read
from tests.harness import free_port, serving, tables
from tests.tiny import save_model, save_text

RESULTS = Path(__file__).with_name("results") / "soak.json"
USERS, WINDOWS = 20, 2
SERVER, WORKER, FLAT = 0.1, 0.65, 0.5
"""Parts of the time after which server and worker are killed, and from which on memory must be flat."""
RESTART, EVERY, DRAIN = 1.0, 10, 5.0
"""Seconds until a killed server is started again and of one sample of its memory; minutes for the last jobs."""
LIMITS = {"grown %": 5.0, "p95": 1.5}


@dataclass
class Soak(Visits):
    """The server, and what became known of it so far."""

    data: Path = field(kw_only=True)
    stack: ExitStack = field(default_factory=ExitStack)
    process: psutil.Process = field(default_factory=psutil.Process)
    samples: list[dict[str, float]] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    without_job: int = 0
    """Looks, one a second, at which no job was open."""

    def start(self) -> None:
        port = int(self.address.rpartition(":")[2])
        self.stack.enter_context(serving(self.data, port=port, log=self.data / "server.log"))
        self.process = psutil.Process(int(serving_process(self.address).name))


async def submitting(soak: Soak, scratch: Path) -> None:
    """Keep two jobs open, as the command line submits them."""
    made, tiny, text = 0, str(scratch / "tiny"), f"file:{scratch / 'text.jsonl'}"
    while not soak.over():
        waiting = len(jobs.listing(jobs.OPEN))
        soak.without_job += made > 0 and not waiting
        for _ in range(2 - waiting):
            made += 1
            spec = EstimateSpec(model=tiny, corpus=text, documents=24, context=64, draws=2, seed=made)
            await asyncio.to_thread(jobs.submit_spec, spec)
        await asyncio.sleep(1)


async def watching(soak: Soak) -> None:
    """Look at the server's memory every second, and keep the mean of EVERY s with the machine's load."""
    while not soak.over():
        held, server = list[float](), soak.process
        with suppress(psutil.NoSuchProcess):
            while len(held) < EVERY and server == soak.process:
                held.append(server.memory_info().rss / 1e6)
                await asyncio.sleep(1)
            sample = {"minute": round(soak.minute(), 2), "MB": round(statistics.mean(held), 1)}
            soak.samples.append({**sample, "load": round(os.getloadavg()[0], 2)})
        await asyncio.sleep(0.1)


async def killing(soak: Soak) -> None:
    """Kill the server and start it again as a service manager would; later the worker together with its job."""
    await asyncio.sleep(60 * SERVER * soak.minutes)
    gone = time.monotonic()
    soak.away.append((gone, inf))
    soak.killed["server"] += kills.kill([soak.process.pid])
    await asyncio.to_thread(soak.stack.close)
    await asyncio.sleep(RESTART)
    await asyncio.to_thread(soak.start)
    soak.away[-1] = gone, time.monotonic()
    await asyncio.sleep(60 * (WORKER * soak.minutes - soak.minute()))
    while not (work := [process.pid for process in processes.orphans(jobs.folder())]) and not soak.over():
        await asyncio.sleep(0.2)
    soak.killed["worker"] += kills.kill(kills.worker_pids(jobs.folder()))
    soak.killed["job"] += kills.kill(work)


async def soaked(soak: Soak, scratch: Path) -> None:
    """All of it, until nobody is there and no job is open; at most DRAIN minutes longer."""
    await asyncio.to_thread(soak.start)
    soak.began = time.monotonic()
    users = [user(soak, number) for number in range(USERS - WINDOWS)]
    others = submitting(soak, scratch), watching(soak), killing(soak), asyncio.to_thread(windows, soak, WINDOWS)
    await asyncio.gather(*users, *others)
    while jobs.listing(jobs.OPEN) and soak.minute() < soak.minutes + DRAIN:
        await asyncio.sleep(1)


def said(data: Path) -> list[str]:
    """Lines that tell of an error in the logs of server and worker, and where in our files it came up."""
    wrong = []
    for log in (data / "server.log", data / "jobs" / "worker.log"):
        for line in re.sub(r"\x1b\[[\d;]*m", "", log.read_text(encoding="utf-8")).splitlines():
            grave = '"level": "error"' in line or '"level": "critical"' in line  # a kill may cut a line
            if grave or re.search(
                r"Traceback \(|^[\w.]*(Error|Exception|Iteration)\b|/(dashboard|softh)/\S+:\d+", line
            ):
                wrong.append(f"{log.name}: {line.strip().replace(f'{settings.ROOT}/', '')}")
    return wrong


def left(folder: Path) -> list[int]:
    """Workers that live on although they were told to end."""
    workers = []
    for pid in kills.worker_pids(folder):
        with suppress(psutil.NoSuchProcess):  # it may just have ended
            workers.append(psutil.Process(pid))
            workers[-1].terminate()
    return [worker.pid for worker in psutil.wait_procs(workers, 30)[1]]


def memory(soak: Soak) -> dict[str, Any]:
    """Megabytes of the server over the last part of the time: at both ends, and the growth of a line through all.

    A run of a page takes tens of megabytes while it lasts, so that two looks differ by more than what is asked for.
    """
    last = [sample for sample in soak.samples if sample["minute"] >= FLAT * soak.minutes]
    held, minutes = [sample["MB"] for sample in last], [sample["minute"] for sample in last]
    line = statistics.linear_regression(minutes, held)
    grown = 100 * line.slope * (minutes[-1] - minutes[0]) / (line.intercept + line.slope * minutes[0])
    ends = {"first MB": held[0], "last MB": held[-1], "most MB": max(held), "MB a minute": round(line.slope, 2)}
    return ends | {"grown %": round(grown, 2), "samples": soak.samples}


def results(soak: Soak) -> dict[str, Any]:
    """What became of the jobs; the lists must be empty."""
    stored = Counter(read.estimates(soak.data)["estimate_id"])
    done = [job.result for job in jobs.listing(("done",))]
    twice = [result for result in done if stored[result or ""] != 1 or done.count(result) > 1]
    more = {"workers_left": left(jobs.folder()), "stored_or_made_twice": twice, "without_job_s": soak.without_job}
    return kills.verdict(jobs.folder(), soak.killed) | more


def measured(soak: Soak) -> dict[str, Any]:
    """All that is to be known once the server has ended."""
    loads = [sample["load"] for sample in soak.samples]
    return {
        "reruns": reruns(soak),
        "memory": memory(soak),
        "jobs": results(soak),
        "server away s": [round(back - gone, 1) for gone, back in soak.away],
        "load average": {"mean": round(statistics.mean(loads), 1), "most": round(max(loads), 1)},
        "errors": [*soak.errors, *said(soak.data)],
    }


def about(minutes: float) -> dict[str, Any]:
    """What was run, where, and with what."""
    packages = ("streamlit", "duckdb", "polars", "plotly", "torch", "playwright")
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "minutes": minutes,
        "users": {"protocol": USERS - WINDOWS, "Chromium": WINDOWS},
        "think s": THINK,
        "parts": {"server killed": SERVER, "worker killed": WORKER, "memory from": FLAT},
        "limits": LIMITS,
    }


def requirements(found: dict[str, Any]) -> dict[str, bool]:
    """Each requirement in words with its numbers, and whether it is met."""
    ran, held, came = found["reruns"]["all"], found["memory"], found["jobs"]
    empty = ("failed", "ended_not_once", "lost", "orphans", "half_files", "stored_or_made_twice", "workers_left")
    whole = came["states"] == {"done": came["submitted"]} and not any(came[name] for name in empty)
    killed = all(came["killed"].get(name) for name in ("server", "worker", "job"))
    return {
        f"no error: {len(found['errors'])}": not found["errors"],
        f"memory of the server grows by {held['grown %']} % at most {LIMITS['grown %']} %, over the last "
        f"{found['minutes'] * (1 - FLAT):g} minutes": held["grown %"] <= LIMITS["grown %"],
        f"p95 of a rerun {ran['p95']} s of at most {LIMITS['p95']} s": ran["p95"] <= LIMITS["p95"],
        f"no result lost of {came['submitted']} jobs, killed: {came['killed']}": whole and killed,
    }


def report(found: dict[str, Any]) -> None:
    """A short table, then a line for every requirement."""
    for name, times in found["reruns"].items():
        print(
            f"{name:21} p50 {times['p50']:.3f} s  p95 {times['p95']:.3f} s  most {times['most']:.3f} s  n {times['n']}"
        )
    print("memory", {name: value for name, value in found["memory"].items() if name != "samples"})
    print("jobs", found["jobs"])
    print("load average", found["load average"], "server away", found["server away s"], "s")
    for error in found["errors"]:
        print("error", error[:400])
    for words, met in found["requirements"].items():
        print("met    " if met else "NOT MET", words)


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 40.0
    with tempfile.TemporaryDirectory(prefix="softh-soak-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        (data := scratch / "data").mkdir()
        # Logs with their levels, which lines for people do not have.
        os.environ |= {"SOFTH_DATA": str(data), "SOFTH_CACHE": str(scratch / "cache"), "SOFTH_LOG": "json"}
        save_model(scratch / "tiny")
        save_text(scratch / "text.jsonl")
        soak = Soak(f"http://localhost:{free_port()}", minutes, data=tables(data))
        try:
            with soak.stack:
                asyncio.run(soaked(soak, scratch))
            found = about(minutes) | measured(soak)
        finally:
            kills.kill(kills.worker_pids(jobs.folder()))
            processes.kill_orphans(jobs.folder())
    found["requirements"] = requirements(found)
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    report(found)
    sys.exit(not all(found["requirements"].values()))


if __name__ == "__main__":
    main()

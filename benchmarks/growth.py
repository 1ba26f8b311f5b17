"""What grows with the tables and the readers: questions on ten times the rows, runs not packed yet, open sessions.

``python -m benchmarks.growth`` takes a few minutes and writes benchmarks/results/growth.json; docs/scale.md quotes it.
"""

import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import _million
from benchmarks._clients import reader
from benchmarks.pages import READERS, serving_process, spread
from softh import settings
from softh.store import connection as opening
from softh.store import packed, plane, read, schema, write
from tests.harness import serving

RESULTS = Path(__file__).with_name("results") / "growth.json"
TIMES = 10
REPEATS = 7
RUNS = (100, 400, 1600)
SESSIONS = 50


def main() -> None:
    found: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "load": [os.getloadavg()[0]]}
    with tempfile.TemporaryDirectory() as folder:
        once, more = Path(folder) / "once", Path(folder) / "more"
        rows = _million.build(once)
        multiply(once, more)
        for name, data in ((f"{rows} rows", once), (f"{TIMES * rows} rows", more)):
            size = (data / schema.DATABASE).stat().st_size
            found[name] = {"MB": round(size / 1e6), **questions(data)}
    with tempfile.TemporaryDirectory() as folder:
        found["runs"] = {str(number): unpacked(Path(folder), number) for number in RUNS}
    found["session MB"] = sessions()
    found["load"] = [round(load, 1) for load in (*found["load"], os.getloadavg()[0])]
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(RESULTS.read_text())


def multiply(once: Path, more: Path) -> None:
    """The same store with every model and estimate ten times, under other names, as a pack would lay it out."""
    more.mkdir()
    with duckdb.connect(more / schema.DATABASE) as connection:
        connection.execute(schema.SQL)
        connection.execute(f"ATTACH {packed.quoted(once / schema.DATABASE)} AS old (READ_ONLY)")
        for table, order in write.ORDER.items():
            connection.execute(
                f"INSERT INTO {table} BY NAME {_copies(table, schema.table(table).types)} ORDER BY {order}"
            )
        means = _copies(plane.MEANS, ["estimate_id"])
        connection.execute(f"CREATE TABLE {plane.MEANS} AS {means} ORDER BY estimate_id, ngram, correction")


def _copies(table: str, columns: Collection[str]) -> str:
    """The rows of a table many times, the names in them numbered."""
    names = (f"{name} || '-' || copy AS {name}" for name in ("model", "estimate_id") if name in columns)
    return f"SELECT rows.* REPLACE ({', '.join(names)}) FROM old.{table} AS rows, range({TIMES}) AS copies(copy)"


def questions(data: Path) -> dict[str, dict[str, float]]:
    """Seconds of the questions that pages ask most, the first opening left out."""
    rows = read.estimates(data)
    ids, models = rows["estimate_id"].to_list(), rows["model"].unique().sort().to_list()
    runs = [name for name in models if name.startswith("run-")][:8]
    last = rows.unique("model", keep="last")["estimate_id"].to_list()
    return {
        "estimates": timed(lambda i: read.estimates(data)),
        "trajectory, eight runs": timed(lambda i: read.trajectory(data, runs, draws=False)),
        "trajectory, one layer of a run": timed(
            lambda i: read.trajectory(data, [runs[i % 8]], draws=False, layer=i % 40)
        ),
        "finished models": timed(lambda i: read.trajectory(data, estimates=last)),
        "layers": timed(lambda i: read.layers(data, ids[7 * i % len(ids)])),
    }


def timed(ask: Callable[[int], object], repeats: int = REPEATS) -> dict[str, float]:
    ask(0)
    times = []
    for i in range(repeats):
        began = time.perf_counter()
        ask(i)
        times.append(time.perf_counter() - began)
    return spread(times)


def unpacked(data: Path, number: int) -> dict[str, Any]:
    """Seconds of a look at the folder, and of opening it again after one more run, with so many runs in it."""
    there = len(opening.pending_uploads(data))
    for step in range(there, number):
        write.save(_million.record("run", "olmo2", "base", 1_000_000_000, step, 16), data)
    opening.warnings(data)
    return {
        "look": timed(lambda i: read.version(data)),
        "open": timed(lambda i: opening.connect(data).close(), 3),
    }


def sessions() -> float:
    """Megabytes of the web process for each further session that stays open, on the shipped tables."""
    with serving(settings.ROOT / "data") as address:
        return asyncio.run(_sessions(address))


async def _sessions(address: str) -> float:
    opened, held = [], []
    for number in range(SESSIONS):
        one = await reader(address, READERS[number % len(READERS)])
        await one.run()
        opened.append(one)
        lines = dict(line.split(":", 1) for line in (serving_process(address) / "status").read_text().splitlines())
        held.append(int(lines["VmRSS"].split()[0]) / 1000)
    for one in opened:
        await one.socket.close()
    return round((held[-1] - held[SESSIONS // 2 - 1]) / (SESSIONS // 2), 2)


if __name__ == "__main__":
    main()

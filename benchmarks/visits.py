"""Memory of the server along visits without a pause: ``python -m benchmarks.visits [MINUTES]`` (12).

Three users of the soak who never think, on a copy of the shipped tables. Many visits in little time tell what the pages
keep for the next one, which levels off, from what is lost with every visit, which does not. Writes
benchmarks/results/visits.json.
"""

import asyncio
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import _users
from benchmarks.pages import serving_process
from tests.harness import serving, tables

RESULTS = Path(__file__).with_name("results") / "visits.json"
USERS, EVERY = 3, 15
"""How many users there are, and seconds between two looks at the memory."""


async def visited(address: str, minutes: float) -> list[tuple[float, int, int]]:
    """Minute, runs of pages so far and megabytes of the server, every EVERY seconds."""
    visits, looks = _users.Visits(address, minutes), []
    server = psutil.Process(int(serving_process(address).name))

    async def look() -> None:
        while not visits.over():
            await asyncio.sleep(EVERY)
            looks.append((round(visits.minute(), 2), len(visits.times), server.memory_info().rss // 10**6))

    await asyncio.gather(look(), *(_users.user(visits, number) for number in range(USERS)))
    assert not visits.errors, visits.errors[0]
    return looks


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
    _users.THINK = 0.05, 0.3
    with tempfile.TemporaryDirectory() as folder, serving(tables(Path(folder))) as address:
        looks = asyncio.run(visited(address, minutes))
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {name: version(name) for name in ("streamlit", "duckdb", "polars", "plotly")},
        "users": USERS,
        "minute, runs, MB": looks,
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for minute, runs, held in looks:
        print(f"minute {minute:5.2f}  {runs:5} runs  {held} MB")


if __name__ == "__main__":
    main()

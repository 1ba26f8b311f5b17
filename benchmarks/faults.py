"""Faults of storage and of neighbours, many of each: what falls, what is named, what is shown wrongly.

`python -m benchmarks.faults` runs all, `python -m benchmarks.faults bits` one; results/faults.json has the figures.
"""

import json
import logging
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dashboard.views import registry
from softh import access, settings
from softh.errors import InputError
from softh.store import read, schema, write
from tests.store_rows import build_record

RESULTS = Path(__file__).with_name("results") / "faults.json"
SAMPLES = 300


def flips(content: bytes, samples: int, seed: int = 0) -> Iterator[bytes]:
    """The content with one bit changed: each bit, or a sample of them."""
    bits = random.Random(seed).sample(range(8 * len(content)), min(samples, 8 * len(content)))
    for bit in sorted(bits):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def main() -> None:
    """Run the campaigns that are named, or all, and store their figures."""
    logging.disable(logging.WARNING)
    access.set_identity_provider(access.Person)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or CAMPAIGNS:
        started = time.perf_counter()
        found[name] = CAMPAIGNS[name]() | {
            "seconds": round(time.perf_counter() - started, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(name, found[name], flush=True)
        RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def bits_of_a_run() -> dict[str, Any]:
    """Each kind of page and every number, with one bit of a run file changed."""
    return _bits(lambda data: write.save(build_record("Bad", layers=1, orders=(1,), draws=2), data))


def bits_of_a_database() -> dict[str, Any]:
    """The same with one bit of the packed database changed."""

    def packed(data: Path) -> Path:
        write.save(build_record("Bad", layers=1, orders=(1,), draws=2), data)
        write.pack(data)
        return data / schema.DATABASE

    return _bits(packed, samples=600)


def bits_of_scores() -> dict[str, Any]:
    """The same with one bit of a file of scores changed."""
    rows = [
        {
            "model": "Sound",
            "revision": None,
            "task": f"task{i}",
            "metric": "acc",
            "score": i / 9,
            "stderr": None,
            "source": "s",
        }
        for i in range(9)
    ]
    return _bits(lambda data: write.save_scores(rows, data))


def two_thousand_runs() -> dict[str, Any]:
    """Seconds to open 2,000 run files for the first time, after one more, and to pack them; for half of them, too."""
    found: dict[str, Any] = {}
    for number in (RUNS // 2, RUNS):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder)
            for place in range(number):
                write.save(build_record(f"Model-{place % 50}", f"step{place}", step=place, layers=6), data)
            times = {"cold": _seconds(read.estimates, data)}
            more = []
            for place in range(number, number + 5):
                write.save(build_record("More", f"step{place}", step=place, layers=6), data)
                more.append(_seconds(read.models, data))
            times["one more"] = sorted(more)[2]
            times["estimates"] = _seconds(read.estimates, data)
            times["trajectory"] = _seconds(read.trajectory, data)
            times["pack"] = _seconds(write.pack, data)
            found[f"{number} runs"] = times
    return found


def _seconds(do: Callable[[Path], Any], data: Path) -> float:
    started = time.perf_counter()
    do(data)
    return round(time.perf_counter() - started, 3)


def _bits(build: Callable[[Path], Path], samples: int = SAMPLES) -> dict[str, Any]:
    """Counts of what a changed bit of the file that `build` writes leads to; page views are asked for one in fifty."""
    counts: Counter[str] = Counter(wrong_numbers=0, pages_down=0, unnamed=0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings_of(data)
        write.save(build_record("Sound"), data)
        path = build(data)
        whole, right = path.read_bytes(), answers(data)
        for number, changed in enumerate(flips(whole, samples)):
            path.write_bytes(changed)
            os.utime(path, ns=(number, number))  # writes are faster than the clock of some disks
            counts["flips"] += 1
            try:
                now, named = answers(data), bool(read.warnings(data))
            except InputError as error:
                counts["refused_in_a_sentence"] += 1
                counts["unnamed"] += path.name not in str(error)
                continue
            except BaseException as error:  # noqa: BLE001 - a panic is one
                counts[f"fell: {type(error).__name__}"] += 1
                counts["pages_down"] += 1
                continue
            counts["left_out_and_named" if named else "read_the_same" if now == right else "unnamed"] += 1
            counts["wrong_numbers"] += not set(now) <= set(right)
            if number % 50 == 0:
                counts["pages_down"] += len(pages_down())
                counts["pages_asked"] += len(registry.VIEWS)
        path.write_bytes(whole)
        assert answers(data) == right
    return dict(counts)


def answers(data: Path) -> list[str]:
    """Every number that is stored, as rows."""
    tables = [read.query(data, f"FROM {table}") for table in schema.names()]
    return sorted(repr(row) for table in tables for row in table.rows())


def settings_of(data: Path) -> None:
    """Make a folder that of this process."""
    os.environ["SOFTH_DATA"] = str(data)
    assert settings.data() == data


def pages_down() -> list[str]:
    """Pages that end in anything but a view or a sentence."""
    down = []
    for page in registry.VIEWS:
        try:
            registry.build(page, {}, dark=False)
        except InputError:
            continue
        except BaseException as error:  # noqa: BLE001 - a panic is one
            down.append(f"{page}: {type(error).__name__}: {error}")
    return down


RUNS = 2_000
CAMPAIGNS: dict[str, Callable[[], dict[str, Any]]] = {
    "bits of a run": bits_of_a_run,
    "bits of a database": bits_of_a_database,
    "bits of scores": bits_of_scores,
    "two thousand runs": two_thousand_runs,
}

if __name__ == "__main__":
    main()

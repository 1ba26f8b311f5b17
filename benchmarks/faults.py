"""Faults of storage and of neighbours, many of each: what falls, what is named, what is shown wrongly.

`python -m benchmarks.faults` runs all, `python -m benchmarks.faults "bits of a run"` one campaign, and
`python -m benchmarks.faults "mutated files: recipe"` one kind of file; results/faults.json has the figures.
"""

import json
import logging
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diskcache import Cache

from benchmarks import _disks
from benchmarks._mutations import mutated_files
from dashboard.views import registry
from softh import access, settings
from softh.errors import InputError
from softh.models import cache
from softh.store import intake, read, schema, write
from tests.store_rows import build_record

RESULTS = Path(__file__).with_name("results") / "faults.json"
MUTATIONS, RUNS, KILLS = 1_000, 2_000, 20
IN_FULL, PAGES = 400, 50
"""Of the bits that the verdict names, one in so many is asked of every table, and one in so many of those of pages."""


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def main() -> None:
    """Run the campaigns that are named, or all, and store their figures."""
    logging.disable(logging.WARNING)
    access.set_identity_provider(access.Person)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or CAMPAIGNS:
        campaign, _, kind = name.partition(": ")
        if kind:
            found[campaign] = found.get(campaign, {}) | mutated_files(MUTATIONS, kind)
            RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
            continue
        started = time.perf_counter()
        found[name] = CAMPAIGNS[name]() | {
            "seconds": round(time.perf_counter() - started, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}",
        }
        print(name, found[name], flush=True)
        RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def bits_of_a_run() -> dict[str, Any]:
    """Each bit of a run file changed by itself."""
    return _each_bit(lambda data: write.save(build_record("Bad", layers=1, orders=(1,), draws=2), data))


def bits_of_scores() -> dict[str, Any]:
    """Each bit of a file of scores changed by itself."""
    about = {"revision": None, "metric": "acc", "stderr": None, "source": "s"}
    rows = [{"model": "Sound", "task": f"task{i}", "score": i / 9, **about} for i in range(9)]
    return _each_bit(lambda data: write.save_scores(rows, data))


def bits_of_a_database() -> dict[str, Any]:
    """A sample of the bits of the packed database, changed one by one."""
    counts: Counter[str] = Counter(wrong_numbers=0, pages_down=0, unnamed=0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings_of(data)
        for name in ("Sound", "Bad"):
            write.save(build_record(name, layers=1, orders=(1,), draws=2), data)
        write.pack(data)
        path = data / schema.DATABASE
        whole, right = path.read_bytes(), answers(data)
        bits = random.Random(0).sample(range(8 * len(whole)), 2_000)
        for number, bit in enumerate(sorted(bits)):
            _ask(data, path, flipped(whole, bit), number, right, counts, pages=number % PAGES == 0)
    return dict(counts) | {"bits": 8 * len(whole)}


def bits_of_a_cached_value() -> dict[str, Any]:
    """Each bit of a value of the cache of hidden states changed by itself: what is not computed again is wrong."""
    counts: Counter[str] = Counter(wrong_numbers=0, computed_again=0)
    values = torch.arange(24.0).reshape(4, 6)
    with tempfile.TemporaryDirectory() as folder, Cache(folder, disk=cache.SafeDisk) as tensors:
        cache.set_tensor(tensors, "key", values)
        whole = bytes(tensors["key"])
        for bit in range(8 * len(whole)):
            tensors.set("key", flipped(whole, bit))
            found = cache.get_tensor(tensors, "key")
            counts["computed_again" if found is None else "wrong_numbers"] += 1
        assert cache.count_damaged(Path(folder)) == counts["computed_again"]
    return dict(counts) | {"bits": 8 * len(whole)}


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


def _each_bit(build: Callable[[Path], Path]) -> dict[str, Any]:
    """What each bit of the file that `build` writes leads to.

    All are judged as the store judges files. Those that the verdict lets pass, and one in IN_FULL of the others, are
    asked of every table, too.
    """
    counts: Counter[str] = Counter(wrong_numbers=0, pages_down=0, unnamed=0, fell=0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        settings_of(data)
        write.save(build_record("Sound"), data)
        path = build(data)
        whole, right = path.read_bytes(), answers(data)
        for bit in range(8 * len(whole)):
            changed = flipped(whole, bit)
            path.write_bytes(changed)
            try:
                defect = intake.find_defect(path)
            except BaseException as error:  # noqa: BLE001 - a panic is one
                counts["fell"] += 1
                print(bit, repr(error)[:200], flush=True)
                continue
            counts["named" if defect and path.name in defect else "passed" if defect is None else "unnamed"] += 1
            if defect is None or bit % IN_FULL == 0:
                _ask(data, path, changed, bit, right, counts, pages=bit % (IN_FULL * PAGES // 10) == 0)
        path.write_bytes(whole)
        assert answers(data) == right
    return dict(counts) | {"bits": 8 * len(whole)}


def _ask(
    data: Path, path: Path, changed: bytes, number: int, right: list[str], counts: Counter[str], *, pages: bool
) -> None:
    """Count what all tables, and the pages where asked, say with a changed file."""
    path.write_bytes(changed)
    os.utime(path, ns=(number, number))  # writes are faster than the clock of some disks
    counts["asked_in_full"] += 1
    try:
        now, named = answers(data), bool(read.warnings(data))
    except InputError as error:
        counts["refused_in_a_sentence"] += 1
        counts["unnamed"] += path.name not in str(error)
    except BaseException as error:  # noqa: BLE001 - a panic is one
        counts[f"fell: {type(error).__name__}"] += 1
        counts["pages_down"] += 1
    else:
        counts["left_out_and_named" if named else "read_the_same" if now == right else "unnamed"] += 1
        counts["wrong_numbers"] += not set(now) <= set(right)
    if pages:
        counts["pages_down"] += len(pages_down())
        counts["pages_asked"] += len(registry.VIEWS)


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


CAMPAIGNS: dict[str, Callable[[], dict[str, Any]]] = {
    "bits of a run": bits_of_a_run,
    "bits of a database": bits_of_a_database,
    "bits of scores": bits_of_scores,
    "bits of a cached value": bits_of_a_cached_value,
    "mutated files": lambda: mutated_files(MUTATIONS),
    "two thousand runs": two_thousand_runs,
    "kills": lambda: _disks.kills(KILLS),
    "disks": _disks.disks,
}

if __name__ == "__main__":
    main()

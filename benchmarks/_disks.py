"""Backups and restores that are killed, and everything that writes on disks that are full or read-only."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._mutations import outcome
from dashboard.decks import store as decks
from softh import Accumulator, FrozenSample, jobs
from softh.models import cache
from softh.store import backup, read, write
from softh.text import corpus
from softh.uploads import texts
from tests import tiny
from tests.store_rows import build_record

RUNS = 60
FREE = (0, 1_000, 37_000, 200_000)
"""Bytes that are left on a disk of 4 MB: none, less than a block, too few for a database, enough for a run."""
_WORKER = """
import sys, pathlib
from softh.store import backup
print("begin", flush=True)
getattr(backup, sys.argv[1])(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
print("end", flush=True)
"""


def kills(rounds: int) -> dict[str, Any]:
    """What so many backups and as many restores leave that are killed at random moments; lists must be empty."""
    dice, counts = random.Random(0), Counter[str]()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data, whole = folder / "data", folder / "whole.tar.gz"
        for place in range(RUNS):
            write.save(build_record(f"Model-{place}", layers=12), data)
        write.pack(data)
        for place in range(RUNS):
            write.save(build_record(f"Later-{place}", layers=12), data)
        backup.write(data, whole)
        right = sorted(read.estimates(data)["estimate_id"])
        for task, source, target in (
            ("write", data, folder / "b" / "b.tar.gz"), ("read", whole, folder / "restored")
        ):  # fmt: skip
            last = _seconds(task, source, target)
            for _ in range(rounds):
                if dice.random() < 0.5:
                    shutil.rmtree(target.parent if task == "write" else target, ignore_errors=True)
                counts[f"{task}: {_killed(task, source, target, dice.uniform(0, last))}"] += 1
                wrong += _half(task, target, right)
                counts[f"{task}: left"] += len(_left(target))
            for path in _left(target):
                os.utime(path, (0, 0))
            (backup.write(data, target) if task == "write" else backup.read(whole, target))
            counts[f"{task}: left after the next"] += len(_left(target))
            wrong += _half(task, target, right)
    return dict(counts) | {"half_files": wrong}


def _seconds(task: str, source: Path, target: Path) -> float:
    """How long it takes without a kill, from its first word on."""
    with subprocess.Popen([sys.executable, "-c", _WORKER, task, source, target], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        began = time.monotonic()
        assert child.stdout.readline() == b"end\n"
        return time.monotonic() - began


def _killed(task: str, source: Path, target: Path, after: float) -> str:
    """Kill the process of a backup or restore so many seconds after it began; whether it had ended before."""
    with subprocess.Popen([sys.executable, "-c", _WORKER, task, source, target], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(after)
        child.kill()
        return "killed" if child.stdout.readline() == b"" else "had ended"


def _half(task: str, target: Path, right: list[str]) -> list[str]:
    """What is there but not whole: a backup that cannot be read, or files that are not those of the backup."""
    if task == "write":
        with tempfile.TemporaryDirectory() as folder:
            bad = target.exists() and outcome(lambda path: backup.read(path, Path(folder)), target) != "opened"
        return [target.name] if bad else []
    if not target.exists():
        return []
    extra = sorted(set(read.estimates(target)["estimate_id"]) - set(right))
    return [*read.warnings(target), *extra]


def _left(target: Path) -> list[Path]:
    """What killed processes left: temporary files beside a backup, folders of restores."""
    return [*target.parent.glob("softh-*.tmp"), *target.glob(".restore-*")]


def disks() -> dict[str, Any]:
    """What each thing that writes says on a full and on a read-only disk, and what it leaves there.

    The disks are file systems in memory of 4 MB; mounting needs root.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        elsewhere = Path(scratch)
        _fill(elsewhere / "data", more=10)
        backup.write(elsewhere / "data", elsewhere / "b.tar.gz")
        for free in FREE:
            found[f"{free:,} bytes free"] = {
                name: _tried(task, elsewhere, free) for name, task in _TASKS.items() if free < 200_000 or "run" in name
            }
        found["read-only"] = {name: _tried(task, elsewhere, None) for name, task in _TASKS.items()}
    return found


def _tried(task: Callable[[Path, Path], Any], elsewhere: Path, free: int | None) -> str:
    with _disk() as disk:
        data = disk / "data"
        os.environ |= {"SOFTH_DATA": str(data), "SOFTH_CACHE": str(disk / "cache")}
        _fill(data, more=1)
        jobs.submit("sweep", {"recipe": "before"}, title="before")
        (disk / "cache").mkdir()
        with cache.open_cache(disk / "cache"):
            pass
        before, names = read.estimates(data), sorted(map(str, disk.rglob("*")))
        if free is None:
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            state = os.statvfs(disk)
            size = state.f_bavail * state.f_frsize - free
            (disk / "filling").write_bytes(bytes(size))
        said = outcome(lambda disk: task(disk, elsewhere), disk)
        if said == "opened":
            said = "done"
        kept = {str(disk / "filling"), *names}
        left = [] if said == "done" else sorted(str(path) for path in disk.rglob("*") if str(path) not in kept)
        left = [name for name in left if Path(name).is_file() and not name.endswith(("-wal", "-shm", "-journal"))]
        if not read.estimates(data).equals(before) and said != "done":
            said += "; the estimates are others"
        return said + "".join(f"; left {Path(name).name}" for name in left)


@contextmanager
def _disk() -> Generator[Path]:
    """A folder that is a disk of 4 MB."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _fill(data: Path, more: int) -> None:
    write.save(build_record("Packed", layers=1, orders=(1,)), data)
    write.pack(data)
    for place in range(more):
        write.save(build_record(f"Beside-{place}", layers=1, orders=(1,)), data)
    (data / "decks").mkdir()
    (data / "decks" / "deck.json").write_text('{"version": 1, "slides": []}')


def _save_accumulated(disk: Path, _: Path) -> None:
    accumulator = Accumulator(["0"], ["labels"], positions=3_000, draws=2, bins=10)
    accumulator.update(torch.arange(15_000.0).reshape(3_000, 5).sin(), np.arange(3_000) % 3)
    accumulator.save(disk / "state")


def _set_tensor(disk: Path, _: Path) -> None:
    with cache.open_cache(disk / "cache") as tensors:
        cache.set_tensor(tensors, "key", torch.zeros(60_000))


def _sample(disk: Path, _: Path) -> None:
    drawn = corpus.sample("some", tiny.texts(400), 400, 0, "note")
    FrozenSample.write(disk / "sample", tiny.tokenizer(), drawn, context=128, orders=(1, 2))


_SCORE = {"model": "a", "revision": None, "task": "t", "metric": "m", "score": 1.0, "stderr": None, "source": "s"}
_SCORES = [_SCORE | {"task": f"t{i}"} for i in range(90_000)]
_SLIDE = decks.Slide("trajectory", {}, "plane", "t" * 100, "n" * 5_000)
_TASKS: dict[str, Callable[[Path, Path], Any]] = {
    "store a run": lambda disk, _: write.save(build_record("Other", layers=30), disk / "data"),
    "store scores": lambda disk, _: write.save_scores(_SCORES, disk / "data"),
    "store a deck": lambda disk, _: decks.save("other", [_SLIDE] * 40),
    "pack": lambda disk, _: write.pack(disk / "data"),
    "publish": lambda disk, _: write.publish(disk / "data", str(disk / "all.duckdb")),
    "back up": lambda disk, _: backup.write(disk / "data", disk / "b.tar.gz"),
    "restore": lambda disk, elsewhere: backup.read(elsewhere / "b.tar.gz", disk / "new"),
    "submit a job": lambda disk, _: jobs.submit("sweep", {"recipe": "x" * 300_000}, title="other"),
    "keep an uploaded text": lambda disk, _: texts.save("t.txt", b"a paragraph\n\n" * 30_000),
    "keep a value of the cache": _set_tensor,
    "save an accumulator": _save_accumulated,
    "write a sample": _sample,
}  # fmt: skip

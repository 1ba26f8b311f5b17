"""Faults of storage and of neighbours, many of each: what falls, what is named, what is shown wrongly.

`python -m benchmarks.faults` runs all, `python -m benchmarks.faults bits` one; results/faults.json has the figures.
"""

import io
import json
import logging
import os
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import save

from dashboard.decks import store as decks
from dashboard.views import registry
from softh import access, settings
from softh.checkpoints.files import read_json
from softh.checkpoints.safetensors_header import parse_safetensors
from softh.errors import InputError
from softh.preference import pairs
from softh.scores import load
from softh.store import backup, intake, read, schema, write
from softh.text import corpus
from softh.uploads import archive, streams
from tests.store_rows import build_record

RESULTS = Path(__file__).with_name("results") / "faults.json"
SAMPLES = 2_000


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


def mutated_files() -> dict[str, Any]:
    """1,000 mutations of each kind of file through the function that opens it: what is no value and no sentence."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (name, content, opened) in _kinds(Path(folder)).items():
            dice, counts, slowest = random.Random(kind), Counter[str](), 0.0
            before = _memory()
            for _ in range(MUTATIONS):
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(_mutated(content, dice))
                started = time.perf_counter()
                counts[_outcome(opened, path)] += 1
                slowest = max(slowest, time.perf_counter() - started)
            found[kind] = dict(counts) | {"slowest_s": round(slowest, 2), "grown_mb": _memory() - before}
    return found


def _kinds(folder: Path) -> dict[str, tuple[str, bytes, Callable[[Path], Any]]]:
    """Kind of file → its name, a sound one, and the function that opens it."""
    os.environ["SOFTH_DATA"] = str(folder / "data")
    run = write.save(build_record("Sound", layers=1, orders=(1,)), folder / "data")
    deck = [decks.Slide("trajectory", {"models": ["Sound"]}, "plane", "title", "note")]
    decks.save("deck", deck)
    backup.write(folder / "data", folder / "whole.tar.gz")
    table = pl.DataFrame({"model": ["a", "b"], "task": ["t", "t"], "score": [0.5, 0.25], "stderr": [0.1, None]})
    harness = {"results": {"t": {"acc,none": 0.5, "acc_stderr,none": 0.1}}, "config": {"model_args": "pretrained=a"}}
    pairs_rows = [{"prompt": "p", "chosen": f"yes {i}", "rejected": "no"} for i in range(8)]
    tensors = save({"a": np.zeros((4, 4), np.float32), "b": np.ones(3, np.float32)})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive_file:
        archive_file.writestr("model/config.json", json.dumps({"model_type": "llama", "vocab_size": 9}))
        archive_file.writestr("model/model.safetensors", tensors)

    def scores(path: Path) -> Any:
        return load.read_scores(path.name, path.read_bytes())

    def safetensors(path: Path) -> Any:
        with path.open("rb") as file:
            return parse_safetensors(file, path.stat().st_size, path.name)

    def members(path: Path) -> Any:
        with path.open("rb") as file:
            return [str(each.path) for each in archive.entries(file, path.name, streams.Limits())]

    lines = "\n".join(map(json.dumps, pairs_rows)).encode()
    return {
        "run": (f"runs/{run.name}", run.read_bytes(), intake.find_defect),
        "scores, Parquet": ("s.parquet", _parquet(table), scores),
        "scores, CSV": ("s.csv", table.write_csv().encode(), scores),
        "scores, JSON rows": ("s.json", table.write_json().encode(), scores),
        "scores, lm-eval": ("r.json", json.dumps(harness).encode(), scores),
        "pairs, JSON lines": ("p.jsonl", lines, lambda path: pairs.load(str(path), 5, 0)),
        "pairs, Parquet": (
            "p.parquet",
            _parquet(pl.DataFrame(pairs_rows)),
            lambda path: pairs.load(str(path), 5, 0),
        ),
        "text": ("t.txt", b"one paragraph\n\nanother one\n\n" * 9, lambda path: corpus.load(f"file:{path}", 4, 0)),
        "backup": ("b.tar.gz", (folder / "whole.tar.gz").read_bytes(), lambda path: backup.read(path, folder / "new")),
        "deck": ("data/decks/deck.json", (folder / "data/decks/deck.json").read_bytes(), lambda _: decks.load("deck")),
        "weights, safetensors": ("w.safetensors", tensors, safetensors),
        "config": ("config.json", b'{"model_type": "llama", "layers": [1, {"a": 2}]}', read_json),
        "archive": ("m.zip", packed.getvalue(), members),
    }


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _mutated(content: bytes, dice: random.Random) -> bytes:
    """The content after one to three of the changes that fuzzers make."""
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 3))):
        place, length = dice.randrange(len(changed) or 1), dice.choice((1, 2, 4, 8, 64))
        part = slice(place, place + length)
        kind = dice.randrange(7)
        if kind == 0 and changed:
            changed[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            changed[part] = dice.randbytes(length)
        elif kind == 2:
            del changed[part]
        elif kind == 3:
            changed[place:place] = changed[part] * dice.choice((1, 50))
        elif kind == 4:
            changed = changed[:place] or bytearray(b"x")
        elif kind == 5:
            changed[part] = dice.choice((b"\xff", b"\x00", b"\x7f")) * length
        else:
            changed[place:place] = dice.choice(
                (b"[" * 5_000, b"9" * 5_000, b"1e999", b"NaN", b"\xed\xa0\x80", b'{"a":', b"null")
            )
    return bytes(changed)


def _outcome(opened: Callable[[Path], Any], path: Path) -> str:
    try:
        opened(path)
    except InputError as error:
        return "a sentence" if len(str(error).splitlines()) == 1 else "several lines"
    except BaseException as error:  # noqa: BLE001 - a panic is one
        return f"fell: {type(error).__name__}: {str(error)[:60]}"
    return "opened"


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


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


MUTATIONS, RUNS = 1_000, 2_000
CAMPAIGNS: dict[str, Callable[[], dict[str, Any]]] = {
    "bits of a run": bits_of_a_run,
    "bits of a database": bits_of_a_database,
    "bits of scores": bits_of_scores,
    "mutated files": mutated_files,
    "two thousand runs": two_thousand_runs,
}

if __name__ == "__main__":
    main()

"""Mutated files of each kind through the function that opens them: what is neither a value nor a sentence."""

import io
import json
import lzma
import os
import random
import resource
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from diskcache import Cache
from safetensors.numpy import save
from transformers import AutoModelForCausalLM

from dashboard.decks import store as decks
from softh import Accumulator, FrozenSample
from softh.checkpoints import training_runs
from softh.checkpoints.files import read_json
from softh.checkpoints.gguf_header import parse_gguf
from softh.checkpoints.safetensors_header import parse_safetensors
from softh.errors import InputError
from softh.models import cache
from softh.preference import pairs
from softh.scores import load
from softh.store import backup, connection, intake, read, schema, write
from softh.sweeps import recipe
from softh.text import corpus, frozen
from softh.uploads import archive, streams
from tests import gguf_files, tiny
from tests.store_rows import build_record

Opened = Callable[[Path], Any]
Kinds = dict[str, tuple[Path, bytes, Opened]]
"""Kind of file → where it lies, a sound one, and the function that opens it."""
DEEP = 5_000
"""Brackets or digits that a mutation puts in."""


def mutated_files(mutations: int, only: str = "") -> dict[str, Any]:
    """Of so many mutations of each kind of file, or one: how many are opened, how many a sentence, and what else."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["SOFTH_DATA"] = str(folder / "data")
        for kind, (path, content, opened) in (_stored(folder) | _uploaded(folder) | _of_models(folder)).items():
            if only not in {"", kind}:
                continue
            dice, counts, slowest = random.Random(kind), Counter[str](), 0.0
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            assert outcome(opened, path) == "opened", kind
            before = memory()
            for number in range(mutations):
                path.write_bytes(mutated(content, dice))
                os.utime(path, ns=(number, number))  # writes are faster than the clock of some disks
                started = time.perf_counter()
                counts[outcome(opened, path)] += 1
                slowest = max(slowest, time.perf_counter() - started)
            path.write_bytes(content)
            found[kind] = dict(counts) | {"slowest_s": round(slowest, 2), "grown_mb": memory() - before}
            print(kind, found[kind], flush=True)
    return found


def _stored(folder: Path) -> Kinds:
    """Files of the data folder, and of backups of one."""
    data = folder / "data"
    run = write.save(build_record("Sound", layers=1, orders=(1,)), data)
    about = {"model": "Sound", "revision": None, "metric": "acc", "stderr": None, "source": "s"}
    table = write.save_scores([{**about, "task": f"t{i}", "score": i / 9} for i in range(9)], data)
    slide = decks.Slide("trajectory", {"models": ["Sound"]}, "plane", "title", "note")
    decks.save("deck", [slide])
    backup.write(data, folder / "whole.tar.gz")
    packed = folder / "packed"
    write.save(build_record("Sound", layers=1, orders=(1,)), packed)
    write.pack(packed)
    value = folder / "value"
    tensors = Cache(str(folder / "cache"), disk=cache.SafeDisk)
    cache.set_tensor(tensors, "key", torch.arange(24.0).reshape(4, 6))

    def judged(path: Path) -> None:
        if defect := intake.find_defect(path):
            raise InputError(defect)

    def database(path: Path) -> None:
        read.check(path.parent)
        connection.connect(path.parent).close()

    def cached(path: Path) -> None:
        tensors.set("key", path.read_bytes())
        if cache.get_tensor(tensors, "key") is None:
            raise InputError("It is computed again.")

    return {
        "run": (run, run.read_bytes(), judged),
        "scores, stored": (table, table.read_bytes(), judged),
        "database, packed": (packed / schema.DATABASE, (packed / schema.DATABASE).read_bytes(), database),
        "backup": (
            folder / "b.tar.gz", (folder / "whole.tar.gz").read_bytes(), lambda path: backup.read(path, folder / "new")
        ),
        "deck": (data / "decks/deck.json", (data / "decks/deck.json").read_bytes(), lambda _: decks.load("deck")),
        "value of the cache": (value, bytes(tensors["key"]), cached),
    }  # fmt: skip


def _uploaded(folder: Path) -> Kinds:
    """Tables and texts as people upload them, opened as the confined process of an upload opens them."""
    table = pl.DataFrame({"model": ["a", "b"], "task": ["t", "t"], "score": [0.5, 0.25], "stderr": [0.1, None]})
    harness = {"results": {"t": {"acc,none": 0.5, "acc_stderr,none": 0.1}}, "config": {"model_args": "pretrained=a"}}
    rows = [{"prompt": "p", "chosen": f"yes {i}", "rejected": "no"} for i in range(8)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    texts = "\n".join(json.dumps({"text": f"one paragraph {i}"}) for i in range(9)).encode()

    def scores(path: Path) -> Any:
        return load.read_scores(path.name, path.read_bytes())

    def chosen(path: Path) -> Any:
        return pairs.load(str(path), 5, 0)

    def text(path: Path) -> Any:
        return corpus.load(f"file:{path}", 4, 0)

    return {
        "scores, Parquet": (folder / "s.parquet", _parquet(table), scores),
        "scores, CSV": (folder / "s.csv", table.write_csv().encode(), scores),
        "scores, JSON rows": (folder / "s.json", table.write_json().encode(), scores),
        "scores, lm-eval": (folder / "r.json", json.dumps(harness).encode(), scores),
        "pairs, JSON lines": (folder / "p.jsonl", lines, chosen),
        "pairs, JSON lines packed": (folder / "p.jsonl.xz", lzma.compress(lines), chosen),
        "pairs, Parquet": (folder / "p.parquet", _parquet(pl.DataFrame(rows)), chosen),
        "text": (folder / "t.txt", b"one paragraph\n\nanother one\n\n" * 9, text),
        "text, JSON lines": (folder / "t.jsonl", texts, text),
        "text, Parquet": (folder / "t.parquet", _parquet(pl.DataFrame({"text": ["one paragraph"] * 9})), text),
    }


def _of_models(folder: Path) -> Kinds:
    """Headers of weights, settings, archives, recipes, and what a training loop keeps."""
    tensors = save({"a": np.zeros((4, 4), np.float32), "b": np.ones(3, np.float32)})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model/config.json", json.dumps({"model_type": "llama", "vocab_size": 9}))
        file.writestr("model/model.safetensors", tensors)
    gguf = gguf_files.write(folder / "whole.gguf", "llama", AutoModelForCausalLM.from_config(tiny.llama())).read_bytes()
    sample = FrozenSample.write(
        folder / "sample",
        tiny.tokenizer(),
        corpus.sample("some", tiny.texts(14), 8, 0, "note"),
        context=32,
        orders=(1,),
    ).folder
    state = folder / "state"
    _accumulator(torch.arange(60.0).reshape(12, 5).sin()).save(state)
    recipes = b'[estimate]\ndocuments = 8\norders = [1, 2]\n[[model]]\nid = "a/b"\nrevisions = ["step1"]\n'

    def safetensors(path: Path) -> Any:
        with path.open("rb") as file:
            return parse_safetensors(file, path.stat().st_size, path.name)

    def of_gguf(path: Path) -> Any:
        content = path.read_bytes()
        if parse_gguf(content, len(content), path.name) is None:
            raise InputError("It ends within its header.")

    def members(path: Path) -> Any:
        with path.open("rb") as file:
            return [str(each.path) for each in archive.entries(file, path.name, streams.Limits())]

    return {
        "weights, safetensors": (folder / "w.safetensors", tensors, safetensors),
        "weights, GGUF": (folder / "w.gguf", gguf, of_gguf),
        "config": (folder / "config.json", b'{"model_type": "llama", "layers": [1, {"a": 2}]}', read_json),
        "archive": (folder / "m.zip", packed.getvalue(), members),
        "recipe": (folder / "r.toml", recipes, recipe.load),
        "state of a trainer": (
            folder / "checkpoint-5" / "trainer_state.json", b'{"global_step": 5, "num_input_tokens_seen": 640}',
            lambda path: training_runs.progress(path.parent),
        ),
        "frozen sample": (
            sample / frozen.STATE, (sample / frozen.STATE).read_bytes(), lambda path: frozen.read(path.parent).tokens
        ),
        "accumulated state": (
            state / "accumulator.json", (state / "accumulator.json").read_bytes(),
            lambda path: _accumulator().resume(path.parent),
        ),
    }  # fmt: skip


def _accumulator(states: torch.Tensor | None = None) -> Accumulator:
    made = Accumulator(["0"], ["labels"], positions=100, draws=2, bins=10)
    if states is not None:
        made.update(states, np.arange(len(states)) % 3)
    return made


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def mutated(content: bytes, dice: random.Random) -> bytes:
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
                (b"[" * DEEP, b"9" * DEEP, b"1e999", b"NaN", b"\xed\xa0\x80", b'{"a":', b"null")
            )
    return bytes(changed)


def outcome(opened: Opened, path: Path) -> str:
    """What opening a file ends in: opened, a sentence, or what is neither."""
    try:
        opened(path)
    except InputError as error:
        return "a sentence" if len(str(error).splitlines()) == 1 else "several lines"
    except BaseException as error:  # noqa: BLE001 - a panic is one
        return f"fell: {type(error).__name__}: {str(error)[:60]}"
    return "opened"


def memory() -> int:
    """Megabytes of this process at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

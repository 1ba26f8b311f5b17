"""Uploaded scores and pairs are read in the sandbox: rows or a sentence, within bounds, whatever they hold."""

import gzip
import io
import json
import lzma
import random
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softh import settings
from softh.checkpoints import resolve
from softh.errors import InputError
from softh.jobs import processes, tasks
from softh.scores import load
from softh.spec import PreferenceSpec
from softh.uploads import tables, texts


def parquet(table: dict[str, list]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(table), buffer, compression="zstd")
    return buffer.getvalue()


def scores(rows: int, name: str = "m") -> bytes:
    return parquet({"model": [name] * rows, "task": ["t"] * rows, "score": [1.0] * rows})


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "equal rows": ("s.parquet", lambda: scores(2_000_000)),
    "a long text that every row names": (
        "s.parquet", lambda: scores(5_000, "m" * 100_000),
    ),
    "nested lists": ("s.json", lambda: b'[{"model":' + b"[" * 200_000 + b"]" * 200_000 + b"}]"),
    "a number of many digits": ("s.json", lambda: b'[{"model":"m","task":"t","score":1' + b"0" * 400 + b"}]"),
    "many columns": ("s.csv", lambda: b"model" + b"".join(b",c%d" % i for i in range(9_999)) + b"\nm" + b",1" * 9_999),
    "twice the same column": ("s.csv", lambda: b"Model,model,task,score\na,b,t,1\n"),
    "half a letter": ("s.json", lambda: b'[{"model":"\\ud800","task":"t","score":1}]'),
    "no file at all": ("s.parquet", lambda: b"PAR1" + bytes(1000) + b"PAR1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_no_file_of_scores_takes_the_memory_or_time_of_the_server(kind: str) -> None:
    name, build = BOMBS[kind]
    content = build()
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with suppress(InputError):  # many rows may be one score
        tables.read_scores(name, content)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    assert time.monotonic() - started < 120


@pytest.mark.parametrize(("rows", "columns"), [(200_001, 3), (150_000, 20), (1_001, 2_001)])
def test_more_rows_or_cells_than_are_taken_are_refused_before_they_are_unpacked(rows: int, columns: int) -> None:
    content = parquet({name: [1.0] * rows for name in ("model", "task", "score", *map(str, range(columns - 3)))})
    started = time.process_time()
    with pytest.raises(InputError, match=r"rows of .* columns; expected at most .* split it"):
        load.read_scores("s.parquet", content)
    assert time.process_time() - started < 5


def test_sound_scores_come_back_as_they_are() -> None:
    content = scores(1)
    assert tables.read_scores("s.parquet", content).rows == load.read_scores("s.parquet", content).rows


def test_mutated_scores_are_rows_or_a_sentence() -> None:
    whole, dice = scores(3), random.Random(0)
    for _ in range(300):
        changed = bytearray(whole)
        for place in dice.sample(range(len(whole)), dice.choice((1, 2, 20))):
            changed[place] = dice.randrange(256)
        with suppress(InputError):
            load.read_scores("s.parquet", bytes(changed))


PAIRS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "blank lines": ("p.jsonl.xz", lambda: lzma.compress((b" " * 99 + b"\n") * 1_200_000, preset=0)),
    "one line without an end": ("p.jsonl.gz", lambda: gzip.compress(b'{"chosen":"' + b"a" * (40 << 20))),
    "nested rows": ("p.jsonl", lambda: b'{"chosen":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"),
    "one long text": ("p.parquet", lambda: parquet({"chosen": ["c" * 99_999] * 9_999, "rejected": ["r"] * 9_999})),
    "an array of one letter a row": ("p.json", lambda: b"[" + b"1," * 20_000_000 + b"1]"),
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("kind", PAIRS)
def test_no_file_of_pairs_takes_the_memory_or_time_of_the_server(data: Path, kind: str) -> None:
    name, build = PAIRS[kind]
    (data / name).write_bytes(build())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(InputError):
        tables.describe_pairs(data / name, 10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_job_with_uploaded_pairs_is_confined_like_one_with_an_uploaded_text(data: Path) -> None:
    path = texts.save("p.jsonl", json.dumps({"chosen": "a", "rejected": "b"}).encode()).resolve()
    (data / "link.jsonl").symlink_to(path)
    (data / "folder").symlink_to(path.parent)
    links = (str(data / "link.jsonl"), f"file:{data / 'folder' / path.name}")
    for named in (str(path), f"file:{path}", f"{path.parent}/../{path.parent.name}/{path.name}", *links):
        assert tasks.untrusted(json.loads(PreferenceSpec(model="owner/name", pairs=named).canonical()))
    assert tasks.untrusted({"model": "upload:abc", "pairs": "owner/pairs"})
    assert not tasks.untrusted({"model": "owner/name", "pairs": "owner/pairs"})
    assert not tasks.untrusted({"model": "owner/name", "pairs": str(settings.data() / "own.jsonl")})


class EndError(Exception):
    """Ends a job once it has opened the pairs."""


@pytest.mark.parametrize("model", ["owner/name", "upload:abc"])
@pytest.mark.parametrize("uploaded", [True, False])
def test_uploaded_pairs_are_opened_after_the_network_is_given_up(
    data: Path, monkeypatch: pytest.MonkeyPatch, model: str, uploaded: bool
) -> None:
    pairs = str(texts.save("p.jsonl", b"{}").resolve()) if uploaded else "owner/pairs"
    steps: list[str] = []

    def opened(*_: object) -> None:
        steps.append("pairs")
        raise EndError

    monkeypatch.setattr(tasks, "_confine", lambda: steps.append("confined"))
    monkeypatch.setattr(resolve, "resolve", lambda *_: steps.append("model"))
    monkeypatch.setattr("softh.preference.pairs.load", opened)
    spec = PreferenceSpec(model=model, pairs=pairs).canonical()
    with pytest.raises(EndError):
        tasks.run_preference(spec, {"data": str(data)}, lambda *_: None)
    confined = ["confined"] if uploaded or model.startswith("upload:") else []
    model_first = ["model", *confined] if model == "owner/name" else [*confined, "model"]
    assert steps == [*model_first, "pairs"]
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("SOFTH_METRICS_TOKEN", "secret")
    sent: list[dict[str, str]] = []
    monkeypatch.setattr(processes.subprocess, "Popen", lambda *_, env, **__: sent.append(env) or opened())
    with pytest.raises(EndError):
        processes.start(data, 1, {}, {}, secrets=not tasks.untrusted(json.loads(spec)))
    assert ("secret" in sent[0].values()) == (not confined)


def test_nearest_names_are_sought_for_those_alone_that_are_asked_about() -> None:
    known = {f"org{i}/model-{i}": f"org{i}/model-{i}" for i in range(120)}
    names = {f"other{i}/some-model-name-{i}" for i in range(30_000)} | {"x" * 1_000_000}
    started = time.process_time()
    found = load.unmatched_models(names, known, 12)
    assert time.process_time() - started < 5
    assert len(found) == 30_001
    assert sum(bool(near) for near in found.values()) <= 12

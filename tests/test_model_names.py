"""What is known of a model belongs to its estimate: a later model of the same name changes nothing and stands apart."""

from pathlib import Path
from typing import Any

import pytest

from softh.spec import identity
from softh.store import read, write
from tests.store_rows import build_record


def made(source: str, *, name: str, revision: str = "local", layers: int = 4, digest: str = "d") -> dict[str, Any]:
    record = build_record(name, revision, layers=layers)
    record["model"]["source"] = source
    record["checkpoint"]["digest"] = digest * 16
    record["estimate"]["estimate_id"] = identity(source, digest, str(layers))
    return record


def stored(data: Path) -> list[tuple[Any, ...]]:
    rows = read.estimates(data).sort("created_at", "source", "digest")
    return rows.select("model", "revision", "layers", "source").rows()


CASES = {
    "two folders of a generic name": (
        [("/x/run-a/final", "final", "local", 4), ("/x/run-b/final", "final", "local", 5)],
        ["final", "run-b/final"],
    ),
    "two runs of one name": (
        [("/x/one/run/step8", "run", "step8", 4), ("/x/two/run/step8", "run", "step8", 4)],
        ["run", "two/run"],
    ),
    "checkpoints of one run": (
        [("/x/run/step8", "run", "step8", 4), ("/x/run/checkpoints/step9", "run", "step9", 4),
         ("/x/run", "run", "local", 4)],
        ["run", "run", "run"],
    ),
    "another model in the same folder": (
        [("/x/run/step8", "run", "step8", 4), ("/x/run/step8", "run", "step8", 6), ("/x/run/step9", "run", "step9", 6)],
        ["run", "x/run", "x/run"],
    ),
    "two files of one model": (
        [("/x/a-Q4_0.gguf", "a (dequantised)", "local", 4), ("/x/a-Q4_1.gguf", "a (dequantised)", "local", 4)],
        ["a (dequantised)", "x/a (dequantised)"],
    ),
    "two uploads of one name": (
        [("upload:" + "1" * 64, "model", "local", 4), ("upload:" + "2" * 64, "model", "local", 4)],
        ["model", "model (bbbbbbbb)"],
    ),
    "a folder and a hub model": (
        [("acme/tiny", "acme/tiny", "main", 4), ("/x/acme/tiny", "tiny", "local", 4),
         ("/y/acme/tiny", "tiny", "local", 4)],
        ["acme/tiny", "tiny", "y/acme/tiny"],
    ),
    "a folder that a trained model has the name of": (
        [("trained here", "run", "step1", 4), ("/x/run/step2", "run", "step2", 4)], ["run", "run"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_models_of_one_name_stand_apart_and_nothing_stored_changes(tmp_path: Path, case: str) -> None:
    places, names = CASES[case]
    expected: list[tuple[Any, ...]] = []
    for number, ((source, name, revision, layers), as_named) in enumerate(zip(places, names, strict=True)):
        write.save(made(source, name=name, revision=revision, layers=layers, digest="abcd"[number]), tmp_path)
        expected.append((as_named, revision, layers, source))
        assert sorted(stored(tmp_path)) == sorted(expected)
    for _ in range(2):
        write.pack(tmp_path)
        assert sorted(stored(tmp_path)) == sorted(expected)


def test_an_estimate_that_is_made_again_keeps_its_name(tmp_path: Path) -> None:
    for source in ("/x/run-a/hf", "/x/run-b/hf", "/x/run-b/hf", "/x/run-a/hf"):
        write.save(made(source, name="hf", digest=source[-4]), tmp_path)
    assert sorted(row[0] for row in stored(tmp_path)) == ["hf", "run-b/hf"]


def test_what_a_model_was_stays_with_its_estimate_even_under_one_name(tmp_path: Path) -> None:
    first, second = (
        made("trained here", name="same", layers=layers, digest=digest) for layers, digest in ((2, "a"), (3, "b"))
    )
    write.save(first, tmp_path)
    write.pack(tmp_path)
    write.save(second, tmp_path)
    for _ in range(2):
        assert sorted(read.estimates(tmp_path).select("model", "layers").rows()) == [("same", 2), ("same", 3)]
        for record in (first, second):
            found = read.record(tmp_path, record["estimate"]["estimate_id"])
            assert (found["model"], found["checkpoint"]) == (record["model"], record["checkpoint"])
        write.pack(tmp_path)

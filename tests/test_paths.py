"""Any legal path serves for tables, runs, cache and models; a name that is not UTF-8 is said in a sentence."""

from pathlib import Path
from typing import Any

import pytest

import softh
from softh.checkpoints import server_folders
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import backup, read, write
from tests import first_schema
from tests.store_rows import record
from tests.tiny import save_model, save_text

NAMES = [
    "lr=3e-4", "model=small/task=arc", "a*b", "a?b", "a[0-9]b", "**", "{a,b}", "back\\slash", "quo'te", 'dou"ble',
    "with spaces", "café 漢字", "%20#;&$HOME", "~tilde", "-dash", b"latin\xff".decode(errors="surrogateescape"),
]  # fmt: skip


@pytest.fixture(params=NAMES, ids=lambda name: name.encode(errors="backslashreplace").decode())
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of an odd name, beside others that a pattern would match too."""
    for other in ("aXb", "a1b", "a", "X"):
        write.save(record("99ff", model="other"), tmp_path / other)
    folder = tmp_path / request.param
    folder.mkdir(parents=True)
    return folder


def test_tables_are_stored_read_packed_and_restored_in_any_folder(odd: Path, tmp_path: Path) -> None:
    write.save(record("00aa", model="acme"), odd)
    write.save_scores([{**first_schema.score("acme", 0.61), "task": "arc_easy"}], odd)
    for _ in ("runs", "packed"):
        assert read.estimates(odd).select("model", "corpus", "estimate_id").rows() == [("acme", "python-docs", "00aa")]
        assert read.benchmarks(odd).select("model", "task", "score").rows() == [("acme", "arc_easy", 0.61)]
        assert read.warnings(odd) == []
        assert write.pack(odd).invalid_files == []
    assert sorted(path.name for path in odd.iterdir()) == ["audit.jsonl", "runs", "scores", "softh.duckdb"]
    assert backup.write(odd, tmp_path / "backup.tar.gz") == 1
    assert backup.read(tmp_path / "backup.tar.gz", tmp_path / "restored" / odd.name)[0] == 1
    assert read.estimates(tmp_path / "restored" / odd.name)["estimate_id"].to_list() == ["00aa"]


def test_all_tables_are_written_to_a_file_of_any_name(odd: Path, tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path / "data")
    target = odd.with_name(f"{odd.name}.duckdb")
    assert write.publish(tmp_path / "data", str(target)) == target.stat().st_size
    (odd / "softh.duckdb").write_bytes(target.read_bytes())
    assert read.estimates(odd)["estimate_id"].to_list() == ["00aa"]


def test_runs_are_shared_through_any_folder(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_RUNS", str(odd))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache" / odd.name))
    write.save(record("00aa"), tmp_path / "one")
    read.refresh()
    assert read.estimates(tmp_path / "another")["estimate_id"].to_list() == ["00aa"]
    assert [path.name for path in odd.iterdir()] == ["00aa.parquet"]


def test_a_name_that_is_not_utf_8_is_listed_and_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_model(tmp_path / "plain").rename(tmp_path / b"latin\xff".decode(errors="surrogateescape"))
    monkeypatch.setenv("SOFTH_MODELS", str(tmp_path))
    ((name, path),) = server_folders.list_models().items()
    assert (name, path) == (f"{tmp_path.name}/latin\\udcff", folder)
    with pytest.raises(InputError) as refusal:
        EstimateSpec(model=str(path))
    assert "rename the file or folder" in str(refusal.value)
    assert str(refusal.value).isprintable()


def _estimate(model: Path, text: Path, data: Path) -> Any:
    options: dict[str, Any] = {"documents": 4, "context": 16, "draws": 1, "bins": 4, "folds": 2, "orders": (1,)}
    return softh.estimate(str(model), corpus=f"file:{text}", device="cpu", data=data, **options)


@pytest.mark.parametrize("odd", NAMES[6:13:2] + NAMES[-1:], indirect=True, ids=ascii)
def test_models_texts_and_caches_lie_in_any_folder(odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(odd / "cache"))
    model, text = save_model(tmp_path / "model"), save_text(tmp_path / "text.jsonl", 8)
    plain = _estimate(model, text, odd)
    assert _estimate(model, text, odd).forward_passes == 0
    if "\udcff" in str(odd):
        with pytest.raises(InputError, match=r"model was .*latin\\udcff.* UTF-8"):
            EstimateSpec(model=str(odd))
        return
    model.rename(odd / "model")
    (odd / "text.jsonl").write_bytes(text.read_bytes())
    there = _estimate(odd / "model", odd / "text.jsonl", odd)
    assert [row.value for row in there.measures] == [row.value for row in plain.measures]
    assert there.checkpoint.digest == plain.checkpoint.digest
    assert str(odd / "model") in set(read.estimates(odd)["source"])

"""The tables as a data set: files that others read, a card that says where numbers come from, and back again."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import polars as pl
import pytest
import yaml
from datasets import load_dataset
from typer.testing import CliRunner

from softh import InputError, publish
from softh.cli.main import app
from softh.store import dataset, read, schema, write
from tests import hub
from tests.probe_rows import probe
from tests.store_rows import HOSTILE, build_record

ABOUT: dict[str, Any] = {"title": "Some planes", "licence": "cc-by-4.0", "author": "Ada Example"}
SCORE = {"model": "One", "revision": None, "task": "piqa", "metric": "accuracy", "score": 0.6, "stderr": 0.01,
         "source": "by hand"}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for model, step in (("One", 1), ("One", 2), ("Two", 1)):
        write.save(build_record(model, f"step{step}", step=step, orders=(1, 2)), folder)
    write.save(probe("aa00", model="Probed"), folder)
    write.save_scores([SCORE], folder)
    return folder


def everything(data: Path) -> list[dict[str, Any]]:
    ids = [*read.estimates(data)["estimate_id"], *read.probes(data)["estimate_id"]]
    return [read.record(data, each) for each in sorted(ids)]


def test_a_published_folder_is_taken_in_as_the_same_tables(data: Path, tmp_path: Path) -> None:
    files = publish.publish(data, str(tmp_path / "out"), **ABOUT)
    assert {each.table for each in files} == set(schema.names())
    write.save(build_record("Three"), other := tmp_path / "other")
    done = publish.take_in(str(tmp_path / "out"), other)
    assert (done.stored, done.known, done.refused, done.scores) == (4, 0, [], 1)
    mine = [record for record in everything(other) if record["model"]["model"] != "Three"]
    assert mine == everything(data)
    assert read.benchmarks(other).to_dicts() == read.benchmarks(data).to_dicts()
    again = publish.take_in(str(tmp_path / "out"), other)
    assert (again.stored, again.known) == (0, 4)


def test_some_models_alone(data: Path, tmp_path: Path) -> None:
    files = publish.publish(data, str(tmp_path / "out"), models=["One"], **ABOUT)
    assert {each.table: each.rows for each in files if each.table != "measures"} == {
        "models": 1, "checkpoints": 2, "estimates": 2, "benchmarks": 1
    }  # fmt: skip
    measures = pl.read_parquet(tmp_path / "out" / "measures.parquet")
    assert set(measures["estimate_id"]) == set(read.estimates(data).filter(model="One")["estimate_id"])
    with pytest.raises(InputError, match="'Nobody' is not a model"):
        publish.publish(data, str(tmp_path / "none"), models=["Nobody"], **ABOUT)


def test_the_card_is_one_that_the_hub_reads_and_says_what_it_must(data: Path, tmp_path: Path) -> None:
    publish.publish(data, str(tmp_path / "out"), **ABOUT)
    card = huggingface_hub.DatasetCard.load(tmp_path / "out" / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert {each["config_name"] for each in card.data.configs} == set(schema.names())
    assert [each["config_name"] for each in card.data.configs if each.get("default")] == ["estimates"]
    for said in ("growth-4", "python-docs", "example/One", "by hand", "author = {Ada Example}", "2604.07569"):
        assert said in card.text, said
    for table in schema.names():
        for column in schema.table(table).types:
            assert f"| `{column}` |" in card.text, (table, column)
    rows = load_dataset(str(tmp_path / "out"), "estimates", split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.num_rows == 4


def test_hostile_names_stay_text_in_the_card(tmp_path: Path) -> None:
    record = build_record("Evil")
    record["model"]["source"] = record["estimate"]["corpus"] = HOSTILE
    write.save(record, tmp_path / "data")
    publish.publish(tmp_path / "data", str(tmp_path / "out"), **ABOUT | {"title": f"a\n---\n{HOSTILE}", "author": "}x"})
    text = (tmp_path / "out" / "README.md").read_text()
    _, head, rest = text.split("---\n", 2)
    assert yaml.safe_load(head)["pretty_name"] == f"a\n---\n{HOSTILE}"
    assert "<script" not in rest
    assert "<img" not in rest
    assert "author = {x}" in rest


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("no manifest", "is not a data set of softh"),
        ("not JSON", "is not a data set of softh"),
        ("newer", "upgrade softh"),
        ("changed", "differs from its checksum"),
        ("missing", "is missing or differs"),
    ],
)
def test_damage_is_a_sentence(data: Path, tmp_path: Path, damage: str, sentence: str) -> None:
    out = tmp_path / "out"
    publish.publish(data, str(out), **ABOUT)
    manifest = out / dataset.MANIFEST
    if damage == "no manifest":
        manifest.unlink()
    elif damage == "not JSON":
        manifest.write_text("{")
    elif damage == "newer":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    elif damage == "changed":
        (out / "models.parquet").write_bytes(b"PAR1")
    else:
        (out / "models.parquet").unlink()
    with pytest.raises(InputError, match=sentence):
        publish.take_in(str(out), tmp_path / "other")


def test_a_row_that_breaks_the_rules_is_refused_and_the_others_are_stored(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish.publish(data, str(out), **ABOUT)
    path = out / "estimates.parquet"
    rows = pl.read_parquet(path)
    bad = rows["estimate_id"][0]
    rows.with_columns(seconds=pl.when(pl.col("estimate_id") == bad).then(-1.0).otherwise("seconds")).write_parquet(path)
    manifest = json.loads((out / dataset.MANIFEST).read_text())
    manifest["files"]["estimates.parquet"]["sha256"] = dataset._digest(path)
    (out / dataset.MANIFEST).write_text(json.dumps(manifest))
    done = publish.take_in(str(out), tmp_path / "other")
    assert done.stored == 3
    assert [sentence.split(":")[0] for sentence in done.refused] == [bad]


def test_the_hub_gets_the_folder_only_with_a_token(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}

    def upload(self: Any, *, folder_path: str, **options: Any) -> None:
        sent.update(options, files=sorted(path.name for path in Path(folder_path).iterdir()))

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(InputError, match="run `hf auth login` or set HF_TOKEN"):
        publish.publish(data, "hub:me/planes", **ABOUT)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda self, name, **options: sent.update(options))
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    publish.publish(data, "hub:me/planes", private=True, **ABOUT)
    assert (sent["repo_id"], sent["repo_type"], sent["private"]) == ("me/planes", "dataset", True)
    assert sent["files"] == sorted(["README.md", "softh.json", *(f"{name}.parquet" for name in schema.names())])

    def refuse(self: Any, name: str, **options: Any) -> None:
        raise OSError("the network is down")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match="the network is down"):
        publish.publish(data, "hub:me/planes", **ABOUT)
    with pytest.raises(InputError, match="expected a folder, or hub:owner/name"):
        publish.publish(data, "hub:planes", **ABOUT)


def test_a_data_set_of_the_hub_is_taken_in(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish.publish(data, str(tmp_path / "out"), **ABOUT)
    with hub.reached(tmp_path / "cache", monkeypatch) as server:
        server.repos["datasets/me/planes"] = hub.Repo({"main": hub.files_of(tmp_path / "out")})
        assert publish.take_in("hub:me/planes", tmp_path / "other").stored == 4
        with pytest.raises(InputError, match="hub:me/none cannot be reached"):
            publish.take_in("hub:me/none", tmp_path / "other")
    assert everything(tmp_path / "other") == everything(data)


def test_the_commands(data: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    options = ["--license", "cc0-1.0", "--author", "Ada Example", "--data", str(data)]
    done = run(app, ["publish", str(tmp_path / "out"), *options])
    assert done.exit_code == 0, done.output
    assert "4 rows of estimates" in done.output
    assert "something in it" in str(run(app, ["publish", str(tmp_path / "out"), *options]).exception)
    done = run(app, ["import", str(tmp_path / "out"), "--data", str(tmp_path / "other")])
    assert done.output == "4 estimates and 1 scores stored, 0 estimates were there already, 0 are refused.\n"
    empty = ["--license", "mit", "--author", "x", "--data", str(tmp_path / "empty")]
    assert "to publish: make one" in str(run(app, ["publish", str(tmp_path / "new"), *empty]).exception)
    assert not (tmp_path / "new").exists()

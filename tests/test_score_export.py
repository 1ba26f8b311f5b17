"""Scores in the formats of others: what is written is read back as the same rows; estimates are never scores."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from softh import InputError
from softh.cli.main import app
from softh.scores import export, load
from softh.scores.reader import Row
from softh.store import read, write
from tests.store_rows import build_record

METRICS = (
    "accuracy", "accuracy, length-normalised, 5-shot", "exact match, flexible-extract, 8-shot, chat template",
    "exact match, strict-match, 8-shot, chat template, shots as turns, system prompt", "accuracy, 4-bit",
    "accuracy, 0-shot, quantised by bitsandbytes", "accuracy, GGUF model.Q4_K_M.gguf", "perplexity a word",
    "accuracy, 5-shot, limit 10", "bits per byte", "inst_level_strict_acc",
)  # fmt: skip


def row(**values: Any) -> Row:
    usual = {"model": "mine", "revision": None, "task": "piqa", "metric": "accuracy", "score": 0.6, "stderr": 0.01,
             "source": "lm-evaluation-harness 0.4.9, bfloat16, 2026-11-01"}  # fmt: skip
    return {**usual, **values}


ROWS = [
    *(row(metric=metric, score=0.5 + number / 100) for number, metric in enumerate(METRICS)),
    row(task="arc_easy", stderr=None), row(revision="step1000", score=0.4), row(source="by hand", score=0.7),
]  # fmt: skip
ESTIMATE = row(task="softh weymouth-nt", metric="complexity, order 1, debiased", score=0.2, source="softh, estimate 00")


def as_set(rows: list[Row]) -> set[tuple[Any, ...]]:
    return {tuple(each[name] for name in sorted(row())) for each in rows}


def read_back(path: Path, model: str | None = None) -> tuple[list[Row], list[str]]:
    files = load.result_files(path)[0] if path.is_dir() else [path]
    found = [load.read_scores(each.name, each.read_bytes(), model) for each in files]
    return [each for one in found for each in one.rows], [note for one in found for note in one.notes]


def test_results_of_the_harness_are_read_back_as_they_were(tmp_path: Path) -> None:
    assert export.write("lm-eval", "mine", ROWS, tmp_path / "out", {}) == []
    assert as_set(read_back(tmp_path / "out")[0]) == as_set(ROWS)


def test_shipped_scores_go_through_both_formats(tmp_path: Path) -> None:
    every = read.benchmarks(Path("data"))
    for source in every["source"].str.split(",").list.first().unique().sort():
        model = every.filter(every["source"].str.starts_with(source))["model"].sort().item(0)
        rows = every.filter(model=model).to_dicts()
        export.write("lm-eval", model, rows, tmp_path / model.replace("/", "-"), {})
        assert as_set(read_back(tmp_path / model.replace("/", "-"))[0]) == as_set(rows)
        card = tmp_path / f"{model.replace('/', '-')}.md"
        export.write("model-index", model, rows, card, {})
        assert as_set(read_back(card)[0]) == as_set(rows)


def test_a_model_card_keeps_all_but_its_index(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\nmodel-index: []\n---\n\n# Mine\n\nA model.\n")
    export.write("model-index", "mine", [*ROWS, ESTIMATE], card, {})
    text = card.read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "mit"
    assert text.endswith("# Mine\n\nA model.\n")
    assert any(each["dataset"]["name"] == "softh weymouth-nt" for each in head["model-index"][0]["results"])
    rows, notes = read_back(card)
    assert as_set(rows) == as_set(ROWS)
    assert notes == ["1 values of README.md are estimates of softh, not scores: left out."]


def test_entries_of_the_hub_stand_for_whole_tasks_of_known_data_sets(tmp_path: Path) -> None:
    path = tmp_path / ".eval_results" / "some.yaml"
    missing = export.write("eval-results", "mine", [*ROWS, ESTIMATE], path, {"piqa": "ybisk/piqa:plain"})
    assert missing == ["arc_easy", "piqa"]  # without a data set, and with a limit
    entries = yaml.safe_load(path.read_text())
    assert entries[0]["dataset"] == {"id": "ybisk/piqa", "task_id": "plain"}
    whole = [{**each, "task": "ybisk/piqa:plain"} for each in ROWS if each["task"] == "piqa"]
    whole = [each for each in whole if "limit" not in each["metric"]]
    rows, _ = read_back(path, "mine")
    assert as_set(rows) == as_set(whole)
    again = tmp_path / "again.yaml"
    export.write("eval-results", "mine", rows, again, {})
    assert again.read_text() == path.read_text()


def test_results_of_others_are_read() -> None:
    card = b"""---
model-index:
- name: theirs
  results:
  - task: {type: text-generation}
    dataset: {name: "IFEval (0-Shot)", type: HuggingFaceH4/ifeval, args: {num_few_shot: 0}}
    metrics:
    - {type: inst_level_strict_acc, value: 66.05, name: strict accuracy}
    - {type: acc, value: "20.0 \xc2\xb1 1.2"}
    - {type: f1, value: many}
    source: {url: "https://example.org/board", name: Open LLM Leaderboard}
---
Text
"""
    found = load.read_scores("README.md", card)
    assert [(each["task"], each["metric"], each["score"], each["stderr"], each["source"]) for each in found.rows] == [
        ("IFEval (0-Shot)", "strict accuracy", 66.05, None, "model card, Open LLM Leaderboard"),
        ("IFEval (0-Shot)", "acc", 20.0, 1.2, "model card, Open LLM Leaderboard"),
    ]
    assert found.notes == ["1 scores of README.md are not a number: left out."]
    entries = b"- dataset: {id: cais/hle, task_id: default}\n  value: 20.9\n  date: 2026-01-15\n  notes: no-tools\n"
    [only] = load.read_scores("hle.yaml", entries, "theirs").rows
    assert only == {"model": "theirs", "revision": None, "task": "cais/hle", "metric": "score, no-tools", "score": 20.9,
                    "stderr": None, "source": "eval results, 2026-01-15"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("README.md", b"# No head", "has no results"),
        ("README.md", b"---\nlicense: mit\n---\n", "has no results"),
        ("README.md", b"---\nmodel-index:\n- name: a\n  results: 3\n---\n", "model-index that cannot be read"),
        ("README.md", b"---\nmodel-index: [3]\n---\n", "model-index that cannot be read"),
        ("a.yaml", b"a: [", "is not YAML"),
        ("a.yaml", b"a: \xff", "is not YAML"),
        ("a.yaml", b"a: &x [1]\nb: [*x, *x]", "has aliases"),
        ("a.yaml", b"a: " + b"[" * 3000, "cannot be read|is not YAML"),
        ("a.yaml", b"- " + b"x" * (1 << 20), "expected at most 1,048,576"),
        ("a.yaml", b"- {value: 3}", "expected dataset with id and task_id"),
        ("a.yaml", b"- {dataset: {id: a/b, task_id: c}, value: no}", "no score that is a number"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load.read_scores(name, content, "mine")


def test_a_file_without_a_model_asks_for_it() -> None:
    with pytest.raises(InputError, match="say which with --model"):
        load.read_scores("a.yaml", b"- {dataset: {id: a/b, task_id: default}, value: 3}")


def test_the_commands(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write.save(build_record("mine", orders=(1,)), data)
    write.save_scores(ROWS, data)
    run = CliRunner().invoke
    done = run(app, ["scores", "export", "mine", "-o", str(out), "--data", str(data)])
    assert f"{len(ROWS)} scores and 4 values of estimates of mine are in {out}." in done.output
    assert any("softh_python-docs" in json.loads(path.read_text())["results"] for path in out.iterdir())
    other = tmp_path / "other"
    done = run(app, ["scores", "import", str(out), "--data", str(other)])
    assert done.exit_code == 0, done.output
    assert as_set(read.benchmarks(other).to_dicts()) == as_set(ROWS)
    for arguments, sentence in (
        (["nobody"], "No score and no estimate is of 'nobody'"),
        (["mine", "--format", "eval-results"], "give --dataset TASK=OWNER/NAME"),
        (["mine", "--format", "eval-results", "--dataset", "piqa=x"], "expected owner/name"),
        (["mine", "--format", "eval-results", "--dataset", "piqa"], "expected TASK=OWNER/NAME"),
    ):
        failed = run(app, ["scores", "export", *arguments, "-o", str(tmp_path / "x.yaml"), "--data", str(data)])
        assert sentence in str(failed.exception)

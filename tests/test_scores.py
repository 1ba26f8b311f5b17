"""Scores of others: every format gives rows, names match by letter, and what is wrong is a sentence."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import polars as pl
import pytest
from typer.testing import CliRunner

from softh.analysis.correlation import study
from softh.cli.main import app
from softh.errors import InputError
from softh.scores import lm_eval, load, tables
from softh.store import read, schema, write
from tests.hub import Hub, Repo, serve

TODAY: dict[str, Any] = {
    "results": {
        "arc_easy": {"alias": "arc_easy", "acc,none": 0.61, "acc_stderr,none": 0.01, "acc_norm,none": 0.58,
                     "acc_norm_stderr,none": 0.01},
        "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.02, "exact_match_stderr,strict-match": 0.004},
        "mmlu": {"alias": "mmlu", "acc,none": 0.25, "acc_stderr,none": "N/A", "sample_len": 3},
    },
    "n-shot": {"arc_easy": 0, "gsm8k": 5, "mmlu": 5},
    "config": {"model": "hf", "model_args": {"pretrained": "EleutherAI/pythia-160m", "revision": "step1000",
                                             "dtype": "float16"}},
    "model_name": "EleutherAI/pythia-160m",
    "lm_eval_version": "0.4.9",
}  # fmt: skip
OLDER: dict[str, Any] = {
    "results": {"piqa": {"acc": 0.6, "acc_stderr": 0.011, "acc_norm": 0.61}},
    "versions": {"piqa": 0},
    "config": {"model": "hf-causal", "model_args": "pretrained=EleutherAI/pythia-70m,revision=main", "num_fewshot": 0},
}


def harness(content: dict[str, Any]) -> list[dict[str, Any]]:
    return load.read_scores("results.json", json.dumps(content).encode()).rows


def test_a_result_file_of_today_gives_every_metric_with_shots_and_precision() -> None:
    rows = harness(TODAY)
    assert {(r["task"], r["metric"], r["score"], r["stderr"]) for r in rows} == {
        ("arc_easy", "accuracy, 0-shot", 0.61, 0.01),
        ("arc_easy", "accuracy, length-normalised, 0-shot", 0.58, 0.01),
        ("gsm8k", "exact_match, strict-match, 5-shot", 0.02, 0.004),
        ("mmlu", "accuracy, 5-shot", 0.25, None),
    }
    assert {(r["model"], r["revision"], r["source"]) for r in rows} == {
        ("EleutherAI/pythia-160m", "step1000", "lm-evaluation-harness 0.4.9, float16")
    }


def test_a_result_file_of_an_older_version_gives_the_same() -> None:
    rows = harness(OLDER)
    assert [(r["metric"], r["score"]) for r in rows] == [
        ("accuracy, 0-shot", 0.6), ("accuracy, length-normalised, 0-shot", 0.61)
    ]  # fmt: skip
    assert {(r["model"], r["revision"]) for r in rows} == {("EleutherAI/pythia-70m", None)}
    assert rows[0]["source"] == "lm-evaluation-harness of an older version"


def _args(**arguments: Any) -> dict[str, Any]:
    config = {"model": "hf", "model_args": {"pretrained": "EleutherAI/pythia-160m", **arguments}}
    return {**TODAY, "results": {"arc_easy": {"acc,none": 0.5}}, "config": config}


PLAIN = _args()
OTHERWISE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "in 4 bits": (_args(load_in_4bit=True), "", "accuracy, 0-shot, 4-bit", ""),
    "in 8 bits": (_args(load_in_8bit="True"), "", "accuracy, 0-shot, 8-bit", ""),
    "in 4 bits of another kind": (
        _args(load_in_4bit=True, bnb_4bit_quant_type="nf4"), "", "accuracy, 0-shot, 4-bit", "bnb_4bit_quant_type=nf4"),
    "GPTQ": (_args(gptqmodel=True), "", "accuracy, 0-shot, GPTQ", ""),
    "AWQ by vLLM": (_args(quantization="awq"), "", "accuracy, 0-shot, quantised by awq", ""),
    "GGUF": (_args(gguf_file="tiny-Q4_K_M.gguf"), "", "accuracy, 0-shot, GGUF tiny-Q4_K_M.gguf", ""),
    "limited": ({**PLAIN, "config": {**PLAIN["config"], "limit": 10}}, "", "accuracy, 0-shot, limit 10", ""),
    "limited by a share": ({**PLAIN, "config": {**PLAIN["config"], "limit": 0.1}}, "",
                           "accuracy, 0-shot, limit 0.1", ""),
    "limited by a list of samples": (
        {**PLAIN, "n-samples": {"arc_easy": {"original": 2376, "effective": 10}}}, "",
        "accuracy, 0-shot, limit 10", ""),
    "chat template": ({**PLAIN, "chat_template": "{{x}}", "chat_template_sha": "abcdef0123"}, "",
                      "accuracy, 0-shot, chat template", "template abcdef01"),
    "chat template, shots as turns": (
        {**PLAIN, "chat_template_sha": "abcdef0123", "fewshot_as_multiturn": True}, "",
        "accuracy, 0-shot, chat template, shots as turns", "template abcdef01"),
    "system prompt": ({**PLAIN, "system_instruction": "Be good", "system_instruction_sha": "0123456789"}, "",
                      "accuracy, 0-shot, system prompt", "prompt 01234567"),
    "other shots": ({**PLAIN, "n-shot": {"arc_easy": 25}}, "", "accuracy, 25-shot", ""),
    "adapter": (_args(peft="acme/lora"), " + acme/lora", "accuracy, 0-shot", ""),
    "adapter of vLLM": ({**_args(lora_local_path="runs/lora"), "config": {
        **_args(lora_local_path="runs/lora")["config"], "model": "vllm"}}, " + runs/lora", "accuracy, 0-shot", "vllm"),
    "weights that are added": (_args(delta="acme/delta"), " + acme/delta", "accuracy, 0-shot", ""),
    "backend": ({**PLAIN, "config": {**PLAIN["config"], "model": "vllm"}}, "", "accuracy, 0-shot", "vllm"),
    "precision": (_args(dtype="bfloat16"), "", "accuracy, 0-shot", "bfloat16"),
    "a token at the beginning": (_args(add_bos_token=True), "", "accuracy, 0-shot", "add_bos_token=True"),
    "a shorter context": (_args(max_length=512), "", "accuracy, 0-shot", "max_length=512"),
    "generation": ({**PLAIN, "config": {**PLAIN["config"], "gen_kwargs": "temperature=0.7,top_p=1"}}, "",
                   "accuracy, 0-shot", "gen_kwargs=temperature=0.7 top_p=1"),
    "seed of the shots": ({**PLAIN, "config": {**PLAIN["config"], "fewshot_seed": 7}}, "", "accuracy, 0-shot",
                          "fewshot_seed=7"),
    "date": ({**PLAIN, "date": 1728118800.5}, "", "accuracy, 0-shot", "2024-10-05"),
    "version": ({**PLAIN, "lm_eval_version": "0.4.5"}, "", "accuracy, 0-shot", "0.4.5"),
}  # fmt: skip
"""Run → its file, what follows the model's name, the metric, and what its source says."""


@pytest.mark.parametrize("name", list(OTHERWISE))
def test_a_run_under_other_conditions_is_another_score(name: str) -> None:
    content, adapter, metric, source = OTHERWISE[name]
    (plain,), (row,) = harness(PLAIN), harness(content)
    assert row["model"] == f"EleutherAI/pythia-160m{adapter}"
    assert row["metric"] == metric
    assert source in row["source"]
    key = ("model", "metric", "source")
    assert [row[part] for part in key] != [plain[part] for part in key]


def test_no_two_of_these_runs_replace_one_another(tmp_path: Path) -> None:
    # A limit by a number and one by a list of as many samples are the same.
    runs = [content for name, (content, *_) in OTHERWISE.items() if name != "limited by a list of samples"]
    for number, content in enumerate([PLAIN, *runs]):
        rows = [{**row, "score": number / 100} for row in harness(content)]
        assert read.replaced(rows, tmp_path) == []
        write.save_scores(rows, tmp_path)
    assert read.benchmarks(tmp_path).height == len(runs) + 1


def test_what_changes_speed_alone_changes_no_source() -> None:
    fast = _args(device="cuda:1", batch_size="auto", parallelize=True, gpu_memory_utilization=0.8, api_key="sk-1",
                 base_url="http://me:pw@host", trust_remote_code=True)  # fmt: skip
    assert harness(fast) == harness(PLAIN)


def test_a_limited_run_never_stands_for_the_whole_task(tmp_path: Path) -> None:
    limited = OTHERWISE["limited"][0]
    imported = load.read_scores("results.json", json.dumps(limited).encode())
    assert "never stand for the whole task" in imported.notes[0]
    rows = [*imported.rows, *harness(PLAIN), *harness(OTHERWISE["chat template"][0])]
    models = pl.DataFrame({"model": ["EleutherAI/pythia-160m"], "source": ["EleutherAI/pythia-160m"]})
    labels = study.matched(pl.DataFrame(rows, schema_overrides={"revision": pl.String}), models)["label"].to_list()
    assert labels == ["arc_easy, accuracy, 0-shot, limit 10", "arc_easy, accuracy, 0-shot",
                      "arc_easy, accuracy, 0-shot, chat template"]  # fmt: skip
    alone = study.matched(pl.DataFrame(imported.rows, schema_overrides={"revision": pl.String}), models)["label"]
    assert alone.to_list() == ["arc_easy, accuracy, 0-shot, limit 10"]
    assert lm_eval.LIMITED.pattern == study.LIMITED


def test_a_score_that_is_replaced_is_told(tmp_path: Path) -> None:
    write.save_scores(harness(PLAIN), tmp_path)
    assert read.replaced(harness(PLAIN), tmp_path) == []
    (told,) = read.replaced([{**harness(PLAIN)[0], "score": 0.7}], tmp_path)
    assert "1 stored scores" in told
    assert "arc_easy of EleutherAI/pythia-160m among them (0.5 → 0.7)" in told


def test_the_command_takes_a_folder_and_leaves_single_answers_out(tmp_path: Path) -> None:
    out = tmp_path / "s" / "EleutherAI__pythia-160m"
    out.mkdir(parents=True)
    (out / "results_2024-10-05T09-00-00.json").write_text(json.dumps(PLAIN))
    (out / "results_2024-10-05T10-00-00.json").write_text(json.dumps({**PLAIN, "results": {"arc_easy": {"acc": 0.9}}}))
    (out / "samples_arc_easy_2024-10-05T09-00-00.jsonl").write_text('{"doc_id": 0}\n{"doc_id": 1}\n')

    def run(*names: Path) -> Any:
        return CliRunner().invoke(app, ["scores", "import", *map(str, names), "--data", str(tmp_path / "data")])

    whole = run(out)
    assert whole.exit_code == 0, whole.output
    assert "1 files of single answers" in whole.output
    assert "1 stored scores of the same model, task, metric and source are replaced" in whole.output
    assert read.benchmarks(tmp_path / "data")["score"].to_list() == [0.9]
    each = run(*sorted(out.iterdir()))
    assert each.exit_code == 0, each.output
    assert "1 files of single answers" in each.output
    for wrong, words in ((out / "samples_arc_easy_2024-10-05T09-00-00.jsonl", "holds single answers"),
                         (tmp_path / "data", "expected results_….json")):  # fmt: skip
        assert words in str(run(wrong).exception)


def test_a_folder_of_two_names_is_no_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s" / "model").mkdir(parents=True)
    (tmp_path / "s" / "model" / "results_1.json").write_text(json.dumps(PLAIN))
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["scores", "import", "s/model", "--data", str(tmp_path / "data")])
    assert run.exit_code == 0, run.output
    assert "1 scores of 1 models" in run.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"config_general": {}, "results": {}}, "a result file of lighteval"),
        ({"instances": []}, "a result file of HELM"),
        ([1, 2], "has no rows"),
        (
            {"scores": 1},
            "has the keys scores; expected one of: results_….json of lm-evaluation-harness; README.md with model-index",
        ),
        ({**OLDER, "config": {"model": "x", "model_args": None}}, "names no model"),
        ({**OLDER, "results": {"piqa": {"acc": float("nan")}}}, "no score that is a number"),
    ],
)
def test_results_of_another_tool_are_refused_in_a_sentence(content: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        harness(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"results": {"a', "cut off or damaged"),
        (b"name,score\na,1\n", "expected a column model"),
        (b"model,task,score\na,t,high\n", "no score that is a number"),
        (b"model,task,score\na,t,1\na,t,2\n", r"gives a two scores on t \(1 and 2\)"),
        (b"PAR1nonsense", "cannot be read"),
        (b"\xff\xfe\x00\x01", "cannot be read|expected a column model"),
        (b"", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load.read_scores("file", content)


def test_tables_are_long_or_wide() -> None:
    long = load.read_scores("t.csv", b"Model,Task,Score,metric,precision\na,t,1.5,accuracy,bfloat16\na,t,,accuracy,x\n")
    assert [(r["task"], r["score"], r["metric"], r["source"]) for r in long.rows] == [
        ("t", 1.5, "accuracy", "t.csv, bfloat16")
    ]
    assert long.notes == ["1 of 2 rows of t.csv have no model, no task or no number: left out."]
    wide = load.read_scores("w.csv", b"model,MMLU,BBH,licence\na,1,2,MIT\nb,3,,MIT\n")
    assert {(r["model"], r["task"], r["score"]) for r in wide.rows} == {
        ("a", "MMLU", 1),
        ("a", "BBH", 2),
        ("b", "MMLU", 3),
    }
    assert any("licence" in note for note in wide.notes)


def test_a_json_list_of_rows_is_a_table() -> None:
    content = json.dumps([{"model": "a", "task": "t", "score": 0.5}, {"model": "b", "task": "t", "score": None}])
    imported = load.read_scores("rows.json", content.encode())
    assert [(row["model"], row["score"], row["source"]) for row in imported.rows] == [("a", 0.5, "rows.json")]
    assert imported.notes == ["1 of 2 rows of rows.json have no model, no task or no number: left out."]


def test_precisions_stay_apart_and_equal_rows_are_one() -> None:
    table = pl.DataFrame({"model": ["a", "a", "a"], "task": ["t"] * 3, "score": [1.0, 2.0, 2.0],
                          "precision": ["float16", "bfloat16", "bfloat16"]})  # fmt: skip
    assert sorted(row["source"] for row in tables.scores_of_table(table, "t").rows) == ["t, bfloat16", "t, float16"]


def test_names_match_by_letter_and_the_nearest_are_named() -> None:
    known = {"pythia-160m": "EleutherAI/pythia-160m", "tiny (dequantised)": "tiny.gguf"}
    found = load.unmatched_models(["EleutherAI/pythia-160m", "pythia-160m", "Pythia-160M-deduped", "zzz"], known)
    assert set(found) == {"Pythia-160M-deduped", "zzz"}
    assert found["Pythia-160M-deduped"] == ["pythia-160m"]
    assert found["zzz"] == []


def test_a_source_shared_by_several_models_names_none_of_them() -> None:
    known = {"zoo-a": "zoo/recipe.toml", "zoo-b": "zoo/recipe.toml"}
    assert list(load.unmatched_models(["zoo/recipe.toml"], known)) == ["zoo/recipe.toml"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve() as server:
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        for name, value in (
            ("ENDPOINT", server.url),
            ("HUGGINGFACE_CO_URL_TEMPLATE", template),
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
        ):
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        yield server


def test_the_leaderboard_is_read_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"fullname": ["org/a", "org/a", "org/b"], "Precision": ["float16", "bfloat16", "bfloat16"],
         "Model sha": ["0123456789abcdef", "0123456789abcdef", None], "Flagged": [False, False, True],
         **{task: [1.0, 2.0, 3.0] for task in tables.LEADERBOARD}}
    )  # fmt: skip
    table.write_parquet(tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    hub.repos["datasets/open-llm-leaderboard/contents"] = Repo({"main": {"data/train-00000-of-00001.parquet": content}})
    rows = load.read_scores("open-llm-leaderboard/contents").rows
    assert len(rows) == 18
    assert {row["source"] for row in rows} == {
        "Open LLM Leaderboard v2, float16, commit 0123456789ab",
        "Open LLM Leaderboard v2, bfloat16, commit 0123456789ab",
        "Open LLM Leaderboard v2, bfloat16",
    }
    with pytest.raises(InputError, match="could not be read from the hub"):
        load.read_scores("no/such")


def test_imported_scores_are_read_beside_packed_ones_and_the_newest_wins(tmp_path: Path) -> None:
    row = {"model": "a", "revision": None, "task": "t", "metric": "m", "score": 1.0, "stderr": None, "source": "s"}
    write.pack(tmp_path, [row, {**row, "task": "other"}])
    before = read.version(tmp_path)
    write.save_scores([{**row, "score": 2.0}], tmp_path)
    assert read.version(tmp_path) != before
    assert dict(read.benchmarks(tmp_path).select("task", "score").iter_rows()) == {"t": 2.0, "other": 1.0}
    write.save_scores([{**row, "score": 3.0}], tmp_path)
    assert dict(read.benchmarks(tmp_path).select("task", "score").iter_rows()) == {"t": 3.0, "other": 1.0}
    write.pack(tmp_path)
    assert not list((tmp_path / schema.SCORES).iterdir())
    assert dict(read.benchmarks(tmp_path).select("task", "score").iter_rows()) == {"t": 3.0, "other": 1.0}


def test_a_damaged_file_of_scores_is_named_and_left_out(tmp_path: Path) -> None:
    row = {"model": "a", "revision": None, "task": "t", "metric": "m", "score": 1.0, "stderr": None, "source": "s"}
    path = write.save_scores([row], tmp_path)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    assert read.benchmarks(tmp_path).is_empty()
    assert f"{path.name} is left out" in read.warnings(tmp_path)[0]
    for broken in ({**row, "score": float("inf")}, {**row, "model": None}, {"model": "a"}):
        with pytest.raises(ValueError, match=r"not a finite|no value for|missing or unknown"):
            write.save_scores([broken], tmp_path)


def test_the_command_imports_lists_and_guesses_nothing(
    tmp_path: Path, record: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write.save(record("pythia-160m (dequantised)"), tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(TODAY))
    run = CliRunner().invoke(app, ["scores", "import", str(tmp_path / "results.json"), "--data", str(tmp_path)])
    assert run.exit_code == 0, run.output
    assert "4 scores of 1 models" in run.output
    assert "EleutherAI/pythia-160m; nearest: pythia-160m (dequantised)" in run.output
    matched = f"EleutherAI/pythia-160m={'pythia-160m (dequantised)'}"
    run = CliRunner().invoke(
        app, ["scores", "import", str(tmp_path / "results.json"), "--match", matched, "--data", str(tmp_path)]
    )
    assert "nearest" not in run.output
    assert set(read.benchmarks(tmp_path)["model"]) == {"EleutherAI/pythia-160m", "pythia-160m (dequantised)"}
    run = CliRunner().invoke(app, ["scores", "list", "--data", str(tmp_path)])
    assert "8 scores of    2 models" in run.output
    for wrong in (["no.json"], [str(tmp_path / "results.json"), "--match", "a"]):
        run = CliRunner().invoke(app, ["scores", "import", *wrong, "--data", str(tmp_path)])
        assert isinstance(run.exception, InputError)

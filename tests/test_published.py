"""Published scores become rows that say whose they are."""

from pathlib import Path

import pytest

from data.published import rows

FILES = {
    "open-llm-leaderboard-v2.csv": "model,commit_sha,precision,ifeval,bbh,math_lvl_5,gpqa,musr,mmlu_pro\n"
    "a/b,0123456789abcdef,bfloat16,28.5,,1.5,2.5,3.5,4.5\na/b,,float16,5.5,6.5,1,2,3,4\n",
    "pythia-zero-shot-by-step.csv": "model,step,task,metric,value,stderr\npythia-1b-bf16,512,piqa,acc,0.5,0.01\n"
    "pythia-1b-bf16,512,lambada_openai,ppl,NaN,\n",
    "base-models-size-data-flops.csv": "model,family,params_b,pretraining_tokens_t,flops_1e21,mmlu,arc_c,hellaswag,"
    "winograd,truthfulqa,gsm8k,humaneval\na/c,A,7.0,2.0,84.0,0.4,,,,,,\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_each_precision_of_a_model_is_a_source_of_its_own(folder: Path) -> None:
    ifeval = {row["source"]: row["score"] for row in rows(folder) if row["task"] == "IFEval"}
    assert ifeval == {
        "Open LLM Leaderboard v2, bfloat16, commit 0123456789ab": 28.5,
        "Open LLM Leaderboard v2, float16": 5.5,
    }


def test_pythia_scores_stand_at_the_revision_of_the_hub(folder: Path) -> None:
    [row] = [row for row in rows(folder) if "pythia" in row["model"]]
    assert (row["model"], row["revision"], row["stderr"]) == ("EleutherAI/pythia-1b", "step512", 0.01)


def test_sizes_have_units_of_their_own_and_what_is_missing_is_left_out(folder: Path) -> None:
    found = {(row["task"], row["metric"]): row["score"] for row in rows(folder) if row["model"] == "a/c"}
    assert found == {
        ("MMLU", "accuracy"): 0.4,
        ("parameters", "count"): 7e9,
        ("training tokens", "tokens"): 2e12,
        ("training compute", "FLOPs"): 8.4e22,
    }

"""Stages of training: one rule for names, order and base models, which agrees with the shipped tables."""

import duckdb
import pytest

from softh.checkpoints.stages import STAGES, stage_from_name, stage_rank, without_stage
from softh.settings import ROOT


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "instruct"),
        ("SmolLM2-135M-Instruct (dequantised Q4_1)", "instruct"),
        ("google/gemma-3-270m-it", "instruct"),
        ("Llama-2-7b-chat-hf", "instruct"),
        ("Llama-3_instruct", "instruct"),
        ("allenai/OLMo-2-0425-1B-SFT", "sft"),
        ("allenai/OLMo-2-0425-1B-DPO", "dpo"),
        ("zoo-llama-20m-sft (trained here)", "sft"),
        ("x-sft-dpo", "dpo"),
        ("EleutherAI/pythia-14m", None),
        ("meta/split-chatter-items", None),
    ],
)
def test_the_name_states_the_stage(name: str, stage: str | None) -> None:
    assert stage_from_name(name) == stage


def test_names_of_one_family_agree_without_their_stages() -> None:
    for ending in ("", "-base", "-sft", "_instruct", " chat", "-IT", "-DPO"):
        assert without_stage(f"Llama-3{ending}") == "Llama-3"
        assert without_stage(f"x-20m{ending} (trained here)") == "x-20m (trained here)"
    assert without_stage("chat") == "chat"


def test_stages_are_ranked_in_the_order_of_training() -> None:
    assert [stage_rank(stage) for stage in STAGES] == [0, 1, 2, 3, 4]
    assert stage_rank(None) == 0
    assert stage_rank("another") == 5


def test_names_agree_with_the_stages_of_the_shipped_tables() -> None:
    with duckdb.connect(str(ROOT / "data" / "softh.duckdb"), read_only=True) as connection:
        models = connection.sql("SELECT model, stage FROM models").fetchall()
    assert len(models) > 40
    assert {model: stage_from_name(model) for model, _ in models} == {
        model: None if stage == "base" else stage for model, stage in models
    }

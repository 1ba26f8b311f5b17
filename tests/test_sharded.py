"""The plane of a model that is sharded over processes, wrapped or compiled: equal to that of the whole model."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from softh.callback import InformationPlane, digest
from softh.models.sharded import is_sharded, unwrapped
from tests.fsdp_child import DUE, PAIRS, TEXT
from tests.tiny import llama, tokenizer

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of trainings of every kind that both processes survive."""
    kinds = ("plain", "compiled", "checkpointing", "probed", "parallel", "untokenized", "frozen")
    return train(tmp_path_factory.mktemp("trained"), *kinds)


def train(folder: Path, *kinds: str) -> Path:
    """Two processes run one training after another."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    command = [sys.executable, "-m", "tests.fsdp_child"]
    children = [
        subprocess.Popen(
            [*command, str(rank), str(folder), *kinds],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    errors = []
    try:
        errors = [child.communicate(timeout=400)[1].decode() for child in children]
    finally:
        for child in children:
            child.kill()
    assert children[0].returncode == 0, errors[0][-2000:]
    return folder


def reports(folder: Path) -> list[dict[str, Any]]:
    """What both processes report; empty of one that died."""
    paths = [folder / f"rank{rank}.json" for rank in range(2)]
    return [json.loads(path.read_text()) if path.exists() else {} for path in paths]


def values(measures: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("layer", "quantity", "variable", "ngram", "correction")
    return {str([row[key] for key in keys]): row["value"] for row in measures if row["value"] is not None}


def of_whole(weights: Path, **options: Any) -> list[dict[str, Any]]:
    """The records of the unsharded checkpoint."""
    records: list[dict[str, Any]] = []
    model = AutoModelForCausalLM.from_config(llama())
    model.load_state_dict(torch.load(weights))
    settings: dict[str, Any] = {"documents": 12, "context": 32, "draws": 2, "orders": (1,)}
    InformationPlane("mine", tokenizer(), 4, corpora=[TEXT], save=records.append, **settings, **options).estimate(
        model, 0
    )
    return records


@pytest.mark.parametrize("kind", ["plain", "compiled", "parallel"])
def test_a_sharded_training_has_the_plane_of_its_unsharded_checkpoints(trained: Path, kind: str) -> None:
    check(trained, kind)


def test_a_training_with_zero_3_has_the_plane_of_its_unsharded_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("deepspeed")
    check(train(tmp_path, "zero"), "zero")


def check(trained: Path, kind: str) -> None:
    """Every estimate of a training against that of the unsharded checkpoint."""
    first, second = reports(trained / kind)
    assert first["failures"] == second["failures"] == []
    assert second["records"] == []
    assert first["training"]
    assert [each["step"] for each in first["records"]] == list(DUE)
    for step, found in zip(DUE, first["records"], strict=True):
        [expected] = of_whole(trained / kind / f"step{step}.pt")
        assert found["digest"] == expected["checkpoint"]["digest"]
        assert found["parameters"] == expected["model"]["parameters"]
        assert found["architecture"] == expected["model"]["architecture"]
        mine, theirs = values(found["measures"]), values(expected["measures"])
        assert mine.keys() == theirs.keys()
        assert any("bits_per_byte" in key for key in mine)
        assert [mine[key] for key in mine] == pytest.approx([theirs[key] for key in mine], abs=1e-4)


def test_a_sharded_training_has_the_preference_information_of_its_unsharded_checkpoints(trained: Path) -> None:
    first, second = reports(trained / "probed")
    assert first["failures"] == second["failures"] == []
    assert second["records"] == []
    for step in DUE:
        plane, probe = [each for each in first["records"] if each["step"] == step]
        assert (plane["labels"], probe["labels"]) == ("tokens", "preference")
        expected = of_whole(trained / "probed" / f"step{step}.pt", pairs=PAIRS)
        for found, whole in zip((plane, probe), expected, strict=True):
            mine, theirs = values(found["measures"]), values(whole["measures"])
            assert mine.keys() == theirs.keys()
            assert [mine[key] for key in mine] == pytest.approx([theirs[key] for key in mine], abs=1e-4)


def test_gradient_checkpointing_and_mixed_precision(trained: Path) -> None:
    first, _ = reports(trained / "checkpointing")
    assert first["failures"] == []
    assert [each["dtype"] for each in first["records"]] == ["bfloat16"] * len(DUE)


@pytest.mark.parametrize("kind", ["killed", "killed_within"])
def test_a_process_that_dies_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    first, second = reports(train(tmp_path, kind) / kind)
    assert second == {}
    assert first["waited"] < 30
    assert len(first["records"]) == len(DUE) - 1
    assert first["failures"][0].startswith("Step 2 of mine has no estimate: ")


def test_a_process_that_cannot_prepare_tells_the_others(trained: Path) -> None:
    first, second = reports(trained / "untokenized")
    assert first["records"] == []
    assert "another process could not prepare the text" in first["failures"][0]
    assert "TypeError" in second["failures"][0]
    assert len(first["failures"]) == len(second["failures"]) == len(DUE)


def test_a_process_that_never_asks_is_not_waited_for(trained: Path) -> None:
    first, _ = reports(trained / "frozen")
    assert first["records"] == []
    assert len(first["failures"]) == len(DUE)
    assert first["seconds"] < 60


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(llama())


def measured(model: nn.Module, **options: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    settings: dict[str, Any] = {"documents": 12, "context": 32, "draws": 2, "orders": (1,), "share": None}
    plane = InformationPlane("mine", tokenizer(), 4, corpora=[TEXT], save=records.append, **settings | options)
    plane.at(model, 0)
    assert plane.failures == []
    return records


def test_compiled_models_are_measured_as_they_are(model: nn.Module) -> None:
    plain = measured(model)[0]
    for compiled in (torch.compile(model, backend="eager"), model):
        if compiled is model:
            model.compile(backend="eager")
        [record] = measured(compiled)
        assert values(record["measures"]) == values(plain["measures"])
        assert record["checkpoint"]["digest"] == plain["checkpoint"]["digest"]


def test_autocast_around_a_loop_changes_no_estimate(model: nn.Module) -> None:
    plain = measured(model)[0]
    model.gradient_checkpointing_enable()
    with torch.autocast("cpu", torch.bfloat16):
        [record] = measured(model.train())
    assert values(record["measures"]) == values(plain["measures"])
    assert record["estimate"]["dtype"] == "float32"
    assert model.training


def test_wrappers_are_taken_off(model: nn.Module) -> None:
    assert unwrapped(nn.DataParallel(torch.compile(model, backend="eager"))) is model
    assert not is_sharded(model)
    assert digest(model) == digest(unwrapped(model))


def test_adapters_are_measured_and_change_the_plane(model: nn.Module) -> None:
    peft = pytest.importorskip("peft")
    plain = measured(model)[0]
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_alpha=64))
    assert values(measured(adapted)[0]["measures"]) == pytest.approx(values(plain["measures"]), abs=1e-6)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    [changed] = measured(adapted)
    assert values(changed["measures"]) != pytest.approx(values(plain["measures"]), abs=1e-3)

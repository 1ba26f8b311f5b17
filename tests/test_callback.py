"""The plane of a running training: at the asked steps, in the store, cheap, and never in the way."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from softh import FrozenSample, InputError, lightning
from softh.callback import InformationPlane, InformationPlaneCallback, digest, log_spaced
from softh.store import read
from softh.text import corpus
from tests.tiny import llama, texts, tokenizer

TEXT = corpus.sample("some", texts(12), 12, 0, "English of Python's help.")
SETTINGS: dict[str, Any] = {"corpora": [TEXT], "documents": 12, "context": 32, "draws": 2, "orders": (1, 2)}


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(llama())


class Rows(Dataset):
    """Token ids to learn."""

    def __init__(self, ids: list[list[int]]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def trainer(model: torch.nn.Module, folder: Path, *callbacks: Any, steps: int = 6) -> Trainer:
    ids = [tokenizer()(text, truncation=True, max_length=32)["input_ids"][:32] for text in texts(24)]
    arguments = TrainingArguments(
        str(folder), max_steps=steps, per_device_train_batch_size=4, save_steps=3, report_to=[], use_cpu=True,
        disable_tqdm=True, logging_strategy="no", seed=0,
    )  # fmt: skip
    return Trainer(model, arguments, train_dataset=Rows([row for row in ids if len(row) == 32]), callbacks=[*callbacks])


def test_a_trainer_fills_the_store_at_log_spaced_steps(model: torch.nn.Module, tmp_path: Path) -> None:
    data = tmp_path / "data"
    callback = InformationPlaneCallback(
        "mine-1m", tokenizer(), data=data, points=4, share=None, tokens_per_step=128, **SETTINGS
    )
    trainer(model, tmp_path, callback).train()
    rows = read.estimates(data).sort("step")
    assert rows["step"].to_list() == log_spaced(6, 4)
    assert rows["tokens"].to_list() == [128 * step for step in log_spaced(6, 4)]
    assert rows["revision"].to_list() == [f"step{step}" for step in log_spaced(6, 4)]
    assert rows["digest"].n_unique() == rows.height
    assert not read.warnings(data)


def test_a_training_ends_the_same_with_and_without_estimates(model: torch.nn.Module, tmp_path: Path) -> None:
    def trained(*callbacks: Any) -> str:
        torch.manual_seed(0)
        fresh = AutoModelForCausalLM.from_config(llama(hidden_size=24))
        trainer(fresh, tmp_path, *callbacks).train()
        return digest(fresh)

    callback = InformationPlaneCallback("mine-1m", tokenizer(), data=tmp_path, share=None, **SETTINGS)
    assert trained(callback) == trained()


def test_a_resumed_trainer_goes_on_with_the_steps_left(tmp_path: Path) -> None:
    def run(data: Path, **resume: Any) -> list[int]:
        torch.manual_seed(0)
        callback = InformationPlaneCallback(
            "mine-1m", tokenizer(), data=data, points=[0, 2, 4, 6], share=None, **SETTINGS
        )
        trainer(AutoModelForCausalLM.from_config(llama()), tmp_path, callback).train(**resume)
        return read.estimates(data)["step"].sort().to_list()

    assert run(tmp_path / "whole") == [0, 2, 4, 6]
    assert run(tmp_path / "rest", resume_from_checkpoint=str(tmp_path / "checkpoint-3")) == [4, 6]
    whole, rest = (read.estimates(tmp_path / name).sort("step") for name in ("whole", "rest"))
    assert rest["estimate_id"].to_list() == whole["estimate_id"].to_list()[2:]


def test_an_estimate_that_fails_is_a_sentence_and_training_goes_on(
    model: torch.nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = tmp_path / "a file where the folder should be"
    full.write_text("")
    callback = InformationPlaneCallback("mine-1m", tokenizer(), data=full, points=[0, 6], share=None, **SETTINGS)
    with caplog.at_level(logging.WARNING, "softh.callback"):
        state = trainer(model, tmp_path, callback).train()
    assert state.global_step == 6
    assert [record.message[:52] for record in caplog.records] == [
        "Step 0 of mine-1m has no estimate: InputError: The e",
        "Step 6 of mine-1m has no estimate: InputError: The e",
    ]


def test_the_log_of_a_failed_estimate_has_type_and_traceback(
    model: torch.nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    def save(record: dict[str, Any]) -> None:
        raise KeyError("a bug of ours")

    plane = InformationPlane("mine-1m", tokenizer(), 4, save=save, share=None, **SETTINGS)
    with caplog.at_level(logging.WARNING, "softh.callback"):
        plane.at(model, 0)
    assert "KeyError: 'a bug of ours'" in plane.failures[0]
    assert "Traceback (most recent call last)" in caplog.text
    assert "in save" in caplog.text


def test_a_model_is_left_as_it_was_found(model: torch.nn.Module) -> None:
    records: list[dict[str, Any]] = []
    plane = InformationPlane("mine-1m", tokenizer(), 4, save=records.append, share=None, **SETTINGS)
    before = digest(model)
    plane.at(model.train(), 0)
    assert model.training
    assert digest(model) == before
    assert all(weight.requires_grad for weight in model.parameters())
    assert len(records) == 1


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("a_step", "cost", "share"), [(1.0, 10.0, 0.03), (0.1, 4.0, 0.03), (1.0, 0.1, 0.03), (1.0, 5.0, 0.03)]
)
def test_estimates_stay_within_their_share(
    monkeypatch: pytest.MonkeyPatch, model: torch.nn.Module, a_step: float, cost: float, share: float
) -> None:
    clock, done = Clock(), []
    monkeypatch.setattr("softh.callback.time", clock)
    plane = InformationPlane("mine-1m", tokenizer(), 2000, share=share)

    def estimate(model: torch.nn.Module, step: int) -> None:
        clock.now += cost
        done.append(step)

    monkeypatch.setattr(plane, "estimate", estimate)
    for step in range(2001):
        plane.at(model, step)
        clock.now += 50.0 if step == 0 else a_step  # the first step compiles
    assert plane.seconds == pytest.approx(cost * len(done))
    # The untrained model is always estimated; the first step is not, since the pace is not known.
    assert done[0] == 0
    assert cost * (len(done) - 1) <= share * 2000 * a_step
    if cost * 21 <= share * 2000 * a_step:
        assert done == [step for step in log_spaced(2000, 20) if step != 1]
    if cost * 2 <= share * 2000 * a_step:
        assert done[-1] == 2000


def test_the_digest_tells_weights_apart(model: torch.nn.Module) -> None:
    before = digest(model)
    assert digest(model) == before
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-3
    assert digest(model) != before


def test_preference_pairs_are_probed_at_the_same_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": text[:40], "chosen": text[40:90], "rejected": text[200:260]} for text in texts(20)]
    pairs.write_text("\n".join(json.dumps(row) for row in rows))
    callback = InformationPlaneCallback(
        "mine", tokenizer(), data=tmp_path / "data", points=[0, 2], share=None, pairs=str(pairs), pair_limit=18,
        **SETTINGS,
    )  # fmt: skip
    trainer(AutoModelForCausalLM.from_config(llama()), tmp_path, callback, steps=2).train()
    assert callback.plane is not None
    assert callback.plane.failures == []
    assert read.estimates(tmp_path / "data")["step"].sort().to_list() == [0, 2]
    probes = read.probes(tmp_path / "data").sort("step")
    assert probes["step"].to_list() == [0, 2]
    assert probes["documents"].to_list() == [36, 36]
    assert probes["settings"].n_unique() == 1


def test_pairs_that_cannot_be_read_cost_the_probe_alone(model: torch.nn.Module, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    plane = InformationPlane(
        "mine", tokenizer(), 4, save=records.append, pairs=str(tmp_path / "gone.jsonl"), **SETTINGS
    )
    plane.at(model, 0)
    assert [record["estimate"]["labels"] for record in records] == ["tokens"]
    assert "no file is there" in plane.failures[0]


def test_a_sample_of_another_tokenizer_is_a_sentence_and_training_goes_on(
    model: torch.nn.Module, tmp_path: Path
) -> None:
    FrozenSample.write(tmp_path / "sample", tokenizer(280), TEXT, documents=12, context=32, orders=(1, 2))
    callback = InformationPlaneCallback(
        "mine", tokenizer(), data=tmp_path / "data", points=[0, 2], share=None,
        **SETTINGS | {"corpora": [f"file:{tmp_path / 'sample'}"]},
    )  # fmt: skip
    assert trainer(model, tmp_path, callback, steps=2).train().global_step == 2
    assert callback.plane is not None
    assert [failure[:40] for failure in callback.plane.failures] == [
        "Step 0 of mine has no estimate: InputErr", "Step 2 of mine has no estimate: InputErr",
    ]  # fmt: skip
    assert "tokenizer" in callback.plane.failures[0]


def test_lightning_that_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning, "Callback", None)
    with pytest.raises(InputError, match="pip install lightning"):
        lightning.LightningPlane("mine", tokenizer())

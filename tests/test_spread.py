"""Models and GPUs: one where it fits, else as few as hold it; a model in pieces gives the states of a whole one."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from softh.checkpoints.resolve import resolve
from softh.cost.predict import Sizes, gpus_needed
from softh.cost.preflight import sizes_of
from softh.errors import InputError
from softh.models import loading
from softh.models.hidden_states import HiddenStates, load_model
from softh.text.corpus import Corpus, tokenize
from tests.tiny import llama, save_model

GB = 10**9
OLMO = {
    "1b": Sizes(1_484_916_736, 16, 2048, 100_352),
    "7b": Sizes(7_298_011_136, 32, 4096, 100_352),
    "32b": Sizes(32_234_279_936, 64, 5120, 100_352),
}  # fmt: skip


@pytest.mark.parametrize(
    ("size", "gpus", "expected"),
    [
        ("1b", [24 * GB], 1), ("7b", [80 * GB] * 8, 1), ("7b", [24 * GB] * 4, 2), ("32b", [80 * GB] * 8, 2),
        ("32b", [141 * GB] * 2, 1), ("32b", [48 * GB] * 4, 3), ("32b", [24 * GB] * 2, 2), ("7b", [], 1),
    ],
)  # fmt: skip
def test_a_model_takes_as_few_gpus_as_hold_it(size: str, gpus: list[int], expected: int) -> None:
    assert gpus_needed(OLMO[size], 2, gpus) == expected


@given(st.integers(10**6, 10**12), st.lists(st.integers(8 * GB, 200 * GB), min_size=1, max_size=8))
def test_larger_models_never_take_fewer_gpus_and_all_there_are_at_most(parameters: int, gpus: list[int]) -> None:
    small = Sizes(parameters, 32, 4096, 32_000)
    found = gpus_needed(small, 2, gpus)
    assert 1 <= found <= len(gpus)
    assert found <= gpus_needed(dataclasses.replace(small, parameters=2 * parameters), 2, gpus)
    assert found <= gpus_needed(small, 4, gpus)


def test_the_sizes_that_decide_are_those_of_the_files(tmp_path: Path) -> None:
    found = sizes_of(resolve(str(save_model(tmp_path / "tiny"))))
    model = load_model(resolve(str(tmp_path / "tiny")), device="cpu")
    assert found == Sizes(model.parameters, model.layers, model.width, model.vocabulary)


def test_a_model_in_pieces_gives_the_hidden_states_and_the_loss_of_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = resolve(str(save_model(tmp_path / "tiny", llama(num_hidden_layers=4))))
    parts = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
    # Without GPUs the pieces that are elsewhere are on the disk; accelerate moves what enters them in the same way.
    places = parts | {f"model.layers.{layer}": "cpu" if layer < 2 else "disk" for layer in range(4)}
    load = loading.load_module
    monkeypatch.setattr(loading, "load_module", lambda checkpoint, dtype, _: load(checkpoint, dtype, places))
    spread = load_model(checkpoint, device="cpu")
    assert spread.module.hf_device_map == places
    assert "is larger than its GPUs" in caplog.text
    caplog.clear()
    monkeypatch.undo()
    whole = load_model(checkpoint, device="cpu")
    assert not caplog.records
    described = dataclasses.replace(spread, module=None, tokenizer=None)
    assert described == dataclasses.replace(whole, module=None, tokenizer=None)
    text = Corpus("text", ("Some words to read. " * 8, "And some others, fewer."), "", "")
    found = []
    for model in (spread, whole):
        states = HiddenStates(model, tokenize(text, model.tokenizer, 64, 2), "", cache=None)
        found.append((next(states.read(range(5)))[1], states.nll))
    for layer in range(5):
        assert torch.equal(found[0][0][layer], found[1][0][layer])
    assert np.array_equal(found[0][1], found[1][1])


def test_weights_that_fit_nowhere_are_refused_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = resolve(str(save_model(tmp_path / "tiny")))
    left = []

    def full(*_: object, **__: object) -> None:
        left[:] = [0, 0]  # what was loaded so far
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", full)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: (left[getattr(place, "index", place)], 80 * GB))
    monkeypatch.setattr("softh.cost.preflight.sizes_of", lambda _: OLMO["32b"])
    said = {}
    for places in ("auto", torch.device("cuda:1")):
        left[:] = [3 * GB, 3 * GB]
        with pytest.raises(InputError) as refused:
            loading.load_module(checkpoint, torch.bfloat16, places)
        said[places] = str(refused.value)
    assert all("64.5 GB in bfloat16" in words and "CUDA" not in words for words in said.values())
    assert "2 GPUs have 6.0 GB free of 160.0 GB; expected room for them: use more GPUs" in said["auto"]
    assert "1 GPU has 3.0 GB free of 80.0 GB" in said[torch.device("cuda:1")]

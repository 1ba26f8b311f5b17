"""The whole path on tiny models: repeatable to the bit, remembered, and indifferent to how the work is cut."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from softh.checkpoints.resolve import resolve
from softh.errors import InputError
from softh.estimator import entropies as module
from softh.estimator import memory_plan
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import label, measure_entropies
from softh.estimator.measures import Entropies, Measure
from softh.estimator.pipeline import Estimate, estimate
from softh.models.hidden_states import Cache, HiddenStates, load_model, open_cache
from softh.spec import EstimateSpec
from softh.store import read, write
from softh.text import corpus as corpora
from tests.tiny import save_model, save_text


@pytest.fixture
def spec(tmp_path: Path) -> EstimateSpec:
    model, text = save_model(tmp_path / "tiny-llama"), save_text(tmp_path / "text.jsonl")
    return EstimateSpec(model=str(model), corpus=f"file:{text}", documents=24, context=40, draws=3, bins=20, folds=4)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path / "cache")


def rows(found: Estimate) -> list[Measure]:
    return list(found.measures)


def entropies(spec: EstimateSpec, *, batch_tokens: int = 4096, order: np.ndarray | None = None) -> Entropies:
    """The estimator on the specification's text, cut into other batches or put in another order."""
    checkpoint = resolve(spec.model)
    model = load_model(checkpoint, "float32", "cpu")
    text = corpora.load(spec.corpus, spec.documents, spec.seed)
    if order is not None:
        text = dataclasses.replace(text, texts=tuple(text.texts[i] for i in order))
    tokenized = corpora.tokenize(text, model.tokenizer, spec.context, max(spec.orders))
    states = HiddenStates(model, tokenized, checkpoint.digest, cache=None, batch_tokens=batch_tokens)
    directions = references(spec.bins, model.width, spec.draws, spec.seed)
    epsilon = temperature(spec.bins, model.width)
    return measure_entropies(
        states, label(tokenized, spec, "cpu"), directions, epsilon, spec, lambda phase, done, total: None
    )


def test_same_estimate_twice_is_bit_equal_and_runs_no_second_forward_pass(spec: EstimateSpec, cache: Cache) -> None:
    first, second = estimate(spec, cache=cache), estimate(spec, cache=cache)
    assert first.forward_passes > 0 == second.forward_passes
    assert rows(first) == rows(second)
    assert first.id == second.id
    assert rows(estimate(spec)) == rows(first)


@pytest.mark.parametrize(
    "change",
    [
        {"bins": 7},
        {"draws": 5},
        {"orders": (1,)},
        {"label_weighting": "labels"},
        {"directions": "orthonormal"},
        {"center": True},
    ],
)
def test_another_question_about_the_same_states_runs_no_forward_pass(
    spec: EstimateSpec, cache: Cache, change: dict
) -> None:
    first = estimate(spec, cache=cache)
    other = estimate(dataclasses.replace(spec, **change), cache=cache)
    assert other.forward_passes == 0
    assert other.id != first.id
    assert rows(other) != rows(first)


def test_batches_and_document_order_do_not_matter(spec: EstimateSpec) -> None:
    whole = entropies(spec)
    shuffled = np.random.default_rng(0).permutation(spec.documents)
    for other in (entropies(spec, batch_tokens=1), entropies(spec, batch_tokens=100), entropies(spec, order=shuffled)):
        assert np.allclose(other.entropy[:, 0], whole.entropy[:, 0], rtol=0, atol=2e-6)
        for key, value in whole.conditional.items():
            assert np.allclose(other.conditional[key].raw[:, 0], value.raw[:, 0], rtol=0, atol=2e-6)


def test_tables_that_do_not_fit_at_once_give_the_same_numbers(
    spec: EstimateSpec, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [row.value for row in rows(estimate(spec))]
    for name in ("_CACHED", "_COMPUTED"):
        monkeypatch.setattr(memory_plan, name, 1)
    for memory in (None, cache):
        assert [row.value for row in rows(estimate(spec, cache=memory))] == pytest.approx(whole, abs=2e-6)


def test_states_too_large_for_the_cache_are_streamed_and_it_says_so(
    spec: EstimateSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOFTH_CACHE_GB", "0.00001")
    with open_cache(tmp_path / "small") as small:
        streamed = estimate(spec, cache=small)
    assert "not stored" in caplog.text
    assert "SOFTH_CACHE_GB" in caplog.text
    assert rows(streamed) == rows(estimate(spec))


def test_every_layer_order_and_correction_is_there_and_within_bounds(spec: EstimateSpec) -> None:
    found = estimate(spec)
    layers = {row.layer for row in found.measures}
    assert layers == {None, 0, 1, 2}
    by = {(r.layer, r.quantity, r.variable, r.ngram, r.correction): r for r in found.measures}
    for layer in layers:
        h = by[layer, "entropy", None, None, "raw"].value
        assert 0 < h <= 1
        for variable in ("input", "output"):
            for order in (1, 2, 3, 4):
                raw, null, corrected = (
                    by[layer, "information", variable, order, c] for c in ("raw", "null", "corrected")
                )
                assert 0 <= raw.value <= h + 1e-12
                assert corrected.value == pytest.approx(raw.value - null.value)
                assert raw.se_draws > 0
                assert raw.se_documents > 0
                assert raw.labels > 1
    assert by[None, "bits_per_byte", None, None, "raw"].value > 0
    assert len(by[None, "entropy", None, None, "raw"].draws) == spec.draws


def test_bits_per_byte_is_the_models_own_loss(spec: EstimateSpec) -> None:
    model = load_model(resolve(spec.model), "float32", "cpu")
    text = corpora.load(spec.corpus, spec.documents, spec.seed)
    tokenized = corpora.tokenize(text, model.tokenizer, spec.context, 4)
    nats = size = 0.0
    for ids, covered in zip(tokenized.ids, tokenized.predicted_bytes, strict=True):
        fed = torch.from_numpy(np.concatenate([tokenized.prefix, ids]).astype(np.int64))[None]
        with torch.no_grad():
            loss = model.module(input_ids=fed, labels=fed).loss
        nats += float(loss) * (fed.shape[1] - 1)
        size += covered
    (row,) = [row for row in estimate(spec).measures if row.quantity == "bits_per_byte"]
    assert row.value == pytest.approx(nats / size / math.log(2), rel=1e-5)


def test_record_goes_through_the_store_and_back(spec: EstimateSpec, tmp_path: Path) -> None:
    found = estimate(spec)
    write.save(found.record(), tmp_path / "data")
    assert read.warnings(tmp_path / "data") == []
    (row,) = read.estimates(tmp_path / "data").to_dicts()
    assert row["estimate_id"] == found.id
    assert row["model"] == "tiny-llama"
    assert row["positions"] == found.positions
    assert EstimateSpec.from_json(row["spec"]) == spec


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bins": 1}, "bins was 1"),
        ({"draws": 0}, "draws was 0"),
        ({"orders": (1, 5)}, "orders was 1,5"),
        ({"orders": ()}, "orders was none"),
        ({"directions": "square"}, "directions was 'square'"),
        ({"context": True}, "context was True"),
    ],
)
def test_a_bad_specification_is_one_sentence(change: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        EstimateSpec(model="m", **change)


def test_a_specification_survives_its_canonical_form() -> None:
    spec = EstimateSpec(model="m", orders=(3, 1, 1), center=True)
    assert spec.orders == (1, 3)
    assert EstimateSpec.from_json(spec.canonical()) == spec
    with pytest.raises(InputError, match="unknown keys"):
        EstimateSpec.from_json('{"model":"m","sead":1}')


def test_centring_states_that_all_agree_is_refused(spec: EstimateSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "normalise", lambda hidden: torch.ones_like(hidden) / math.sqrt(hidden.shape[-1]))
    with pytest.raises(InputError, match="layer 0 all point the same way"):
        estimate(dataclasses.replace(spec, center=True))


def test_an_interrupted_estimate_counts_only_what_is_missing(
    spec: EstimateSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    really = module.assign_all

    def counting(*arguments: object) -> object:
        counted.extend(arguments[3])
        if len(counted) == 3:
            raise KeyboardInterrupt
        return really(*arguments)

    with open_cache(tmp_path / "cache") as cache:
        monkeypatch.setattr(module, "assign_all", counting)
        with pytest.raises(KeyboardInterrupt):
            estimate(spec, cache=cache)
        assert counted == [0, 1, 2]
        resumed = estimate(spec, cache=cache)
        assert counted == [0, 1, 2, 2]
        monkeypatch.setattr(module, "assign_all", really)
        again = estimate(spec, cache=cache)
        assert [row.value for row in resumed.measures] == [row.value for row in again.measures]
        assert not [key for key in cache if key.endswith("0-3")]

"""One sample in parts: the numbers of an estimate in one piece to the bit, whoever runs the parts and in what order."""

import dataclasses
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softh.errors import InputError
from softh.estimator.pipeline import estimate
from softh.models import hidden_states
from softh.spec import EstimateSpec
from softh.sweeps import clusters, engine, local, sharding
from softh.text.corpus import TokenizedCorpus
from tests.tiny import save_model, save_text

PASSING = {"seconds", "created_at"}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EstimateSpec:
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    model, text = save_model(tmp_path / "tiny-llama"), save_text(tmp_path / "text.jsonl", 60)
    return EstimateSpec(model=str(model), corpus=f"file:{text}", documents=60, context=40, draws=3, bins=20, folds=4)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hidden_states.BATCH_TOKENS, "cpu", 200)


def here(units: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Units one after another, the last first, through what a network would carry."""
    for unit in reversed(units):
        sent = pickle.loads(pickle.dumps(unit))
        yield unit, pickle.loads(pickle.dumps(sent.run("cpu", None)))


def rows(record: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in record["estimate"].items() if name not in PASSING}
    return record | {"estimate": said}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("change", [{}, {"label_weighting": "labels"}, {"directions": "orthonormal", "orders": (2,)}])
@pytest.mark.parametrize("parts", [1, 8])
def test_parts_give_the_rows_of_one_piece_to_the_bit(
    spec: EstimateSpec, tmp_path: Path, change: dict, parts: int
) -> None:
    spec = dataclasses.replace(spec, **change)
    found = sharding.estimate(spec, parts, here, tmp_path)
    assert rows(found.record()) == rows(estimate(spec).record())
    assert not list(tmp_path.glob("shards-*"))


@given(st.lists(st.integers(8, 60), min_size=1, max_size=80), st.integers(1, 6))
def test_a_part_has_batches_of_the_whole_and_all_parts_have_all(lengths: list[int], parts: int) -> None:
    ids = tuple(np.full(length, number) for number, length in enumerate(lengths))
    tokenized = TokenizedCorpus(ids, (1,), (), np.array(lengths), "", 0, 64)
    whole = [batch.tolist() for batch in hidden_states.batches(tokenized, "cpu", 130)]
    found = []
    for part in range(min(parts, len(whole))):
        documents = np.concatenate([np.array(batch) for batch in whole[part :: min(parts, len(whole))]])
        some = sharding.select_documents(tokenized, documents)
        found += [documents[batch].tolist() for batch in hidden_states.batches(some, "cpu", 130)]
    assert sorted(found) == sorted(whole)


def test_what_cannot_be_split_is_refused_with_a_remedy(spec: EstimateSpec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"are 1 batches; expected a batch for each: try --shards 1"):
        sharding.estimate(spec, 2, here, tmp_path)
    with pytest.raises(InputError, match="leave out --shards or the centring"):
        sharding.estimate(dataclasses.replace(spec, center=True), 2, here, tmp_path)


@pytest.mark.usefixtures("small_batches")
def test_parts_of_different_weights_are_never_put_together(spec: EstimateSpec, tmp_path: Path) -> None:
    def moving(units: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for unit, found in here(units):
            yield unit, found
            save_model(tmp_path / "tiny-llama", seed=1)

    with pytest.raises(InputError, match="a branch may have moved"):
        sharding.estimate(spec, 2, moving, tmp_path)


@pytest.fixture
def eight(spec: EstimateSpec, tmp_path: Path) -> EstimateSpec:
    """Enough text for eight batches of the usual size."""
    text = save_text(tmp_path / "long.jsonl", 300)
    return dataclasses.replace(spec, corpus=f"file:{text}", documents=300, context=128, orders=(1, 2))


def assert_equal(found: dict[str, Any] | None, whole: dict[str, Any]) -> None:
    assert found is not None
    assert found["estimate"]["estimate_id"] == whole["estimate"]["estimate_id"]
    for name in ("value", "se_draws", "se_documents"):
        ours, theirs = ([row[name] for row in record["measures"]] for record in (found, whole))
        assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.real
def test_eight_shards_on_ray_equal_one_piece_to_1e_9(eight: EstimateSpec) -> None:
    [outcome] = engine.run_sharded([eight], clusters.RayEngine("cpu"), 8)
    assert_equal(outcome.record, estimate(eight).record())


@pytest.mark.real
def test_a_shard_that_cannot_be_run_sets_its_estimate_aside_and_the_next_goes_on(
    eight: EstimateSpec, tmp_path: Path
) -> None:
    bad = dataclasses.replace(eight, model=str(tmp_path / "nothing"))
    first, second = engine.run_sharded([bad, eight], local.LocalEngine("cpu"), 2)
    assert first.record is None
    assert "does not exist" in first.failure
    assert_equal(second.record, estimate(eight).record())

"""Counts: equal to the definition written out, to the published package, and however the work is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from soft_entropy.accumulator import SoftEntropyAccumulator

from softh.estimator import conditional
from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.labels import LabelSet

BINS, DRAWS, FOLDS = 7, 3, 4


def label_set(labels: np.ndarray) -> LabelSet:
    distinct, dense = np.unique(labels, return_inverse=True)
    return LabelSet("input", 1, torch.from_numpy(dense), len(distinct))


def assignments(positions: int, seed: int = 0) -> Assignments:
    p = torch.randn(positions, DRAWS, BINS, generator=torch.Generator().manual_seed(seed)).double().mul(3).softmax(-1)
    return Assignments(p, torch.special.entr(p).sum(-1))


def counted(labels: np.ndarray, fold: np.ndarray, weighting: str) -> np.ndarray:
    grouping = group(label_set(labels), torch.from_numpy(fold), FOLDS)
    return conditional_entropy(assignments(len(labels)), grouping, weighting)


def written_out(labels: np.ndarray, keep: np.ndarray, weighting: str) -> np.ndarray:
    """H(Z | label) by a loop over labels, straight from the definition."""
    p, labels = assignments(len(labels)).p.numpy()[keep], labels[keep]
    total, weights = np.zeros(DRAWS), 0.0
    for label in np.unique(labels):
        mean = p[labels == label].mean(0)
        size = (labels == label).sum()
        weight = size if weighting == "positions" else float(size >= 5)
        total += weight * -(mean * np.log(mean)).sum(-1)
        weights += weight
    return total / weights


@pytest.mark.parametrize("weighting", ["positions", "labels"])
@pytest.mark.parametrize("distinct", [1, 3, 40, 10_000])
def test_conditional_entropy_and_every_fold_left_out_equal_the_definition(weighting: str, distinct: int) -> None:
    generator = np.random.default_rng(distinct)
    labels, fold = generator.integers(0, distinct, 300), generator.integers(0, FOLDS, 300)
    found = counted(labels, fold, weighting)
    if weighting == "labels" and distinct == 10_000:
        assert np.isnan(found).all()  # no label was seen five times
        return
    for subset in range(FOLDS + 1):
        keep = np.ones(300, dtype=bool) if subset == 0 else fold != subset - 1
        assert found[subset] == pytest.approx(written_out(labels, keep, weighting), abs=1e-12)


def test_total_entropy_and_every_fold_left_out_equal_the_definition() -> None:
    found, fold = assignments(200), torch.arange(200) % FOLDS
    whole = conditional_entropy(found, single_group(fold, FOLDS), "positions")
    for subset in range(FOLDS + 1):
        mean = found.p[fold != subset - 1].mean(0)
        assert whole[subset] == pytest.approx(torch.special.entr(mean).sum(-1).numpy(), abs=1e-12)


@pytest.mark.parametrize("weighting", ["positions", "labels"])
def test_long_rows_and_small_pieces_change_nothing(weighting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    labels, fold = generator.zipf(1.3, 3000) % 60, generator.integers(0, FOLDS, 3000)
    whole = counted(labels, fold, weighting)
    monkeypatch.setattr(conditional, "_CHUNK", 40)
    monkeypatch.setattr(conditional, "_RUN", 7)
    assert np.allclose(counted(labels, fold, weighting), whole, rtol=0, atol=1e-12)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 2**16))
def test_where_assignments_are_kept_does_not_matter(labels: list[int], seed: int) -> None:
    array = np.array(labels)
    fold = torch.arange(len(labels)) % FOLDS
    place = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels))).int()
    found, grouping = assignments(len(labels)), group(label_set(array), fold, FOLDS)
    moved = Assignments(torch.empty_like(found.p), torch.empty_like(found.entropy))
    moved.p[place], moved.entropy[place] = found.p, found.entropy
    for weighting in ("positions", "labels"):
        a, b = (
            conditional_entropy(found, grouping, weighting),
            conditional_entropy(moved, grouping.reindexed(place), weighting),
        )
        assert np.allclose(a, b, rtol=0, atol=1e-12, equal_nan=True)


def test_equals_the_published_package_with_its_own_directions() -> None:
    generator = np.random.default_rng(5)
    z = generator.standard_normal((900, 48)).astype(np.float32) + 0.5
    labels = generator.zipf(1.5, 900) % 200
    oracle = SoftEntropyAccumulator(d=48, n_bins=30, backend="torch")
    oracle.update(torch.from_numpy(z), torch.from_numpy(labels))
    found = Assignments(*assign(normalise(torch.from_numpy(z)), oracle.w[None], temperature(30, 48, "bound")))
    fold = torch.zeros(900, dtype=torch.int64)
    whole, within = (
        conditional_entropy(found, grouping, "positions")[0, 0] / np.log(30)
        for grouping in (single_group(fold, 1), group(label_set(labels), fold, 1))
    )
    assert whole == pytest.approx(oracle.entropy(), abs=2e-6)
    assert whole - within == pytest.approx(oracle.mutual_information()["labels"], abs=2e-6)


def test_directions_of_one_draw_do_not_touch_another() -> None:
    one = references(5, 9, 1, seed=0).directions
    both = torch.cat([one, references(5, 9, 1, seed=1).directions])
    unit = normalise(torch.randn(20, 9, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(assign(unit, both, 0.1)[0][:, :1], assign(unit, one, 0.1)[0], atol=1e-6)

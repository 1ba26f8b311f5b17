"""Counts: equal to the definition written out, to the published package, and to their own merged parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from soft_entropy.accumulator import SoftEntropyAccumulator

from softh.assignment import assign, normalise, references
from softh.calibration import temperature
from softh.counts import Counts, Mass, group, indicator
from softh.errors import InputError
from softh.labels import LabelSet

BINS, DRAWS, FOLDS = 7, 3, 4


def label_set(labels: np.ndarray) -> LabelSet:
    distinct, dense = np.unique(labels, return_inverse=True)
    return LabelSet("input", 1, False, dense, len(distinct))


def assignments(positions: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    p = torch.randn(positions, DRAWS, BINS, generator=torch.Generator().manual_seed(seed)).double().mul(3).softmax(-1)
    return p, torch.special.entr(p).sum(-1)


def counted(labels: np.ndarray, fold: np.ndarray, at: list[np.ndarray] | None = None) -> Counts:
    p, entropy = assignments(len(labels))
    counts = Counts(group(label_set(labels), fold, FOLDS), DRAWS, BINS)
    for part in map(torch.from_numpy, at or [np.arange(len(labels))]):
        counts.add(p[part], entropy[part], counts.grouping.part(part))
    return counts


def written_out(labels: np.ndarray, keep: np.ndarray, weighting: str) -> np.ndarray:
    """H(Z | label) by a loop over labels, straight from the definition."""
    p, labels = assignments(len(labels))[0].numpy()[keep], labels[keep]
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
    found = counted(labels, fold).conditional_entropy(weighting)
    if weighting == "labels" and distinct == 10_000:
        assert np.isnan(found).all()  # no label was seen five times
        return
    for subset in range(FOLDS + 1):
        keep = np.ones(300, dtype=bool) if subset == 0 else fold != subset - 1
        assert found[subset] == pytest.approx(written_out(labels, keep, weighting), abs=1e-12)


def test_total_entropy_and_every_fold_left_out_equal_the_definition() -> None:
    p, _ = assignments(200)
    fold = torch.arange(200) % FOLDS
    mass = Mass(FOLDS, DRAWS, BINS)
    mass.add(p, indicator(fold, FOLDS))
    for subset in range(FOLDS + 1):
        mean = p[fold != subset - 1].mean(0)
        assert mass.entropy()[subset] == pytest.approx(torch.special.entr(mean).sum(-1).numpy(), abs=1e-12)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 2**16))
def test_merge_of_any_split_equals_the_whole(labels: list[int], cut: int, seed: int) -> None:
    array = np.array(labels)
    fold = np.arange(len(labels)) % FOLDS
    order = np.random.default_rng(seed).permutation(len(labels))
    whole = counted(array, fold)
    left, right = (counted(array, fold, [part]) for part in (order[:cut], order[cut:]))
    left.merge(right)
    for weighting in ("positions", "labels"):
        a, b = left.conditional_entropy(weighting), whole.conditional_entropy(weighting)
        assert np.allclose(a, b, rtol=0, atol=1e-12, equal_nan=True)


def test_merge_refuses_other_labels() -> None:
    fold = np.zeros(6, dtype=np.int64)
    with pytest.raises(InputError, match="expected shards of one corpus"):
        counted(np.array([0, 0, 1, 1, 2, 2]), fold).merge(counted(np.array([0, 1, 0, 1, 2, 2]), fold))


def test_equals_the_published_package_with_its_own_directions() -> None:
    generator = np.random.default_rng(5)
    z = generator.standard_normal((900, 48)).astype(np.float32) + 0.5
    labels = generator.zipf(1.5, 900) % 200
    oracle = SoftEntropyAccumulator(d=48, n_bins=30, backend="torch")
    oracle.update(torch.from_numpy(z), torch.from_numpy(labels))
    scaled = (oracle.w / temperature(30, 48, "bound"))[None]
    p, entropy = assign(normalise(torch.from_numpy(z)), scaled)
    fold = torch.zeros(900, dtype=torch.int64)
    mass, counts = Mass(1, 1, 30), Counts(group(label_set(labels), fold.numpy(), 1), 1, 30)
    mass.add(p.double(), indicator(fold, 1))
    counts.add(p.double(), entropy.double(), counts.grouping.part(torch.arange(900)))
    h, conditional = mass.entropy()[0, 0] / np.log(30), counts.conditional_entropy("positions")[0, 0] / np.log(30)
    assert h == pytest.approx(oracle.entropy(), abs=2e-6)
    assert h - conditional == pytest.approx(oracle.mutual_information()["labels"], abs=2e-6)


def test_directions_of_one_draw_do_not_touch_another() -> None:
    one = references(5, 9, 1, seed=0).directions / 0.1
    both = torch.cat([one, references(5, 9, 1, seed=1).directions / 0.1])
    unit = normalise(torch.randn(20, 9, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(assign(unit, both)[0][:, :1], assign(unit, one)[0], atol=1e-6)

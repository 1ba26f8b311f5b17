"""Sums of gains: equal to their definition in float64, of all positions and without each fold, on CPU and GPU."""

import numpy as np
import pytest
import torch

from softh.estimator import gains as module
from softh.estimator.conditional import Assignments
from softh.estimator.gains import CLASSES, LARGEST_SIZE, Design, design
from softh.estimator.labels import LabelSet
from softh.estimator.random_groups import random_gains

BINS, DRAWS, FOLDS = 24, 3, 4


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


class Text:
    """Documents of unequal length, with labels that repeat in them, and assignments of every position."""

    def __init__(self, seed: int, documents: int = 60, types: int = 40) -> None:
        rng = np.random.default_rng(seed)
        self.document = np.repeat(np.arange(documents), rng.integers(1, 30, documents))
        positions = len(self.document)
        self.labels = (rng.pareto(0.6, positions) % types).astype(int)
        self.labels = np.unique(self.labels, return_inverse=True)[1]
        self.p = rng.dirichlet(np.full(BINS, 0.3), (positions, DRAWS))
        self.fold = self.document % FOLDS
        kept = LabelSet("input", 1, torch.from_numpy(self.labels), self.labels.max() + 1)
        self.design: Design = design([kept], self.document, self.fold, FOLDS, seed)

    def sums(self, device: str = "cpu", dtype: torch.dtype = torch.float64) -> np.ndarray:
        p = torch.from_numpy(self.p).to(dtype)
        own = torch.from_numpy(entropy(self.p)).to(dtype)
        kept = LabelSet("input", 1, torch.from_numpy(self.labels).to(device), int(self.labels.max()) + 1)
        prepared = design([kept], self.document, self.fold, FOLDS, 0)
        return prepared.sums(Assignments(p.to(device), own.to(device))).cpu().numpy()

    def subsets(self) -> list[np.ndarray]:
        """Positions of all, then without each fold."""
        return [np.ones(len(self.fold), bool), *(self.fold != fold for fold in range(FOLDS))]


def gain_of_members(text: Text, members: np.ndarray, weight: np.ndarray) -> np.ndarray:
    p, weight = text.p[members], weight[:, None] / weight.sum()
    own = (weight * entropy(p)).sum(0)
    return entropy((weight[..., None] * p).sum(0)) - own


def expected_gains(text: Text, keep: np.ndarray) -> np.ndarray:
    """Sums by class of positions · gain and positions · gain², from the choices that the design made."""
    total = np.zeros((2, len(CLASSES), DRAWS))
    chosen = {}
    for block in text.design.gains[0].blocks:
        label = text.labels[block.members[0].numpy()]
        for one in np.unique(label):
            chosen[one] = (block.members.numpy()[:, label == one], block.weight.numpy()[label == one].astype(float))
    for one in np.unique(text.labels[keep]):
        inside = keep & (text.labels == one)
        documents = len(np.unique(text.document[inside]))
        if documents < 2:
            continue
        choices, weight = chosen[one]
        left = [keep[members] for members in choices]
        gain = np.mean([gain_of_members(text, m[k], weight[k]) for m, k in zip(choices, left, strict=True)], 0)
        at = np.searchsorted(CLASSES, documents, side="right") - 1
        total[:, at] += inside.sum() * np.stack([gain, gain**2])
    return total


@pytest.mark.parametrize("seed", [0, 1])
def test_sums_of_gains_are_those_of_the_definition_without_every_fold(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2000)  # many chunks
    text = Text(seed)
    p, own = torch.from_numpy(text.p), torch.from_numpy(entropy(text.p))
    found = module.gain_sums(Assignments(p, own), text.design.gains[0], FOLDS).numpy()
    for subset, keep in enumerate(text.subsets()):
        assert np.allclose(found[:, subset], expected_gains(text, keep), rtol=0, atol=1e-9)


def test_one_occurrence_a_document_is_chosen() -> None:
    text = Text(2)
    for block in text.design.gains[0].blocks:
        members = block.members.numpy()
        for choice in members:
            cells = np.unique(np.stack([text.labels[choice], text.document[choice]]), axis=1)
            assert cells.shape[1] == len(choice)
        repeats = any(((text.labels == k) & (text.document == d)).sum() > 1 for k, d in cells.T)
        assert len(members) == (2 if repeats and block.few else 1)


def test_sizes_of_classes_are_counted_without_every_fold() -> None:
    text = Text(3)
    sizes = text.design.gains[0].sizes
    for subset, keep in enumerate(text.subsets()):
        size = np.bincount(text.labels[keep])
        documents = np.array([len(np.unique(text.document[keep & (text.labels == k)])) for k in range(len(size))])
        at = np.searchsorted(CLASSES, documents, side="right") - 1
        seen = size > 0
        assert np.allclose(sizes.labels[subset], np.bincount(at[seen], minlength=len(CLASSES)))
        assert np.allclose(sizes.positions[subset], np.bincount(at[seen], size[seen], minlength=len(CLASSES)))
        capped = np.bincount(np.minimum(size, LARGEST_SIZE), minlength=1 + LARGEST_SIZE)
        assert np.allclose(sizes.sizes[subset][1:], capped[1:])


def test_random_groups_are_of_different_documents_and_their_gains_are_means() -> None:
    text = Text(4, documents=80)
    groups = text.design.groups
    p, own = torch.from_numpy(text.p), torch.from_numpy(entropy(text.p))
    mean, variance = random_gains(Assignments(p, own), groups).numpy()
    members = groups.members.numpy()
    for at, size in enumerate(groups.sizes):
        blocks = members.reshape(-1, size)
        if size <= 8:
            assert all(len(np.unique(text.document[block])) == size for block in blocks[: len(blocks) // 2])
        gain = entropy(text.p[blocks].mean(1)) - entropy(text.p)[blocks].mean(1)
        assert np.allclose(mean[at], gain.mean(0), atol=1e-12)
        assert np.allclose(variance[at], gain.var(0), atol=1e-12)


def test_the_jackknife_of_the_entropy_is_that_of_the_definition() -> None:
    text = Text(5)
    found = module.entropy_bias(torch.from_numpy(text.p), text.design.documents).numpy()
    total, positions = text.p.sum(0), len(text.p)
    expected = (len(np.unique(text.document)) - 1) * entropy(total / positions)
    for document in np.unique(text.document):
        rest = text.document != document
        expected -= rest.sum() / positions * entropy(text.p[rest].mean(0))
    assert np.allclose(found, expected, atol=1e-9)


def test_the_lower_bound_leaves_out_the_document() -> None:
    text = Text(6, documents=12, types=8)
    everywhere = torch.from_numpy(text.p.mean(0))
    found = module.cross_entropy(torch.from_numpy(text.p), text.design.gains[0], everywhere, FOLDS).numpy()
    mean, terms = text.p.mean(0), np.zeros((len(text.p), DRAWS))
    for i in range(len(text.p)):
        others = (text.labels == text.labels[i]) & (text.document != text.document[i])
        shown = (text.p[others].sum(0) + mean) / (others.sum() + 1)
        terms[i] = -(text.p[i] * np.log(shown)).sum(-1)
    for subset, keep in enumerate(text.subsets()):
        assert np.allclose(found[subset], terms[keep].sum(0), rtol=1e-5)


def test_assignments_in_another_order_give_the_same_sums() -> None:
    text = Text(7)
    place = np.random.default_rng(0).permutation(len(text.p))
    p, own = np.empty_like(text.p), np.empty((len(text.p), DRAWS))
    p[place], own[place] = text.p, entropy(text.p)
    moved = text.design.reindexed(torch.from_numpy(place.astype(np.int32)))
    found = moved.sums(Assignments(torch.from_numpy(p), torch.from_numpy(own))).numpy()
    same = text.design.sums(Assignments(torch.from_numpy(text.p), torch.from_numpy(entropy(text.p)))).numpy()
    assert np.allclose(found, same, atol=1e-9, equal_nan=True)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_sums_on_a_gpu_are_those_of_float64(dtype: torch.dtype) -> None:
    text = Text(8, documents=400, types=300)
    text.p = torch.from_numpy(text.p).to(dtype).double().numpy()
    expected = text.sums()
    found = text.sums("cuda", dtype)
    assert (
        np.nanmax(np.abs(found - expected) / np.maximum(np.abs(expected), 1)) < 2e-6 if dtype == torch.float32 else 2e-3
    )

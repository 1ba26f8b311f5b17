"""Debiased information: near the truth where the plug-in is not, nothing for independent labels, else a sentence."""

import numpy as np
import pytest
from scipy.special import softmax

from softh.errors import InputError
from softh.estimator import debiasing
from softh.estimator.debiasing import information

BINS, TYPES = 100, 400
SCALE = np.sqrt(2 * np.log(BINS))


def zipf(types: int) -> np.ndarray:
    weights = 1 / np.arange(1, types + 1)
    return weights / weights.sum()


class Channel:
    """Assignments whose logits are a part of the label and a part of the position."""

    def __init__(self, within: float) -> None:
        self.within = within
        self.centre = np.random.default_rng(5).standard_normal((TYPES, BINS))

    def assignments(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal((len(labels), BINS))
        return softmax(SCALE * (np.sqrt(1 - self.within) * self.centre[labels] + np.sqrt(self.within) * noise), axis=1)

    def truth(self) -> float:
        """Information by many fresh occurrences of every label; halves take out what is left of the bias."""
        rng, conditional, mean = np.random.default_rng(6), 0.0, np.zeros(BINS)
        for label, weight in enumerate(zipf(TYPES)):
            halves = self.assignments(np.full(600, label), rng).reshape(2, 300, BINS).mean(1)
            whole = halves.mean(0)
            conditional += weight * (2 * entropy(whole) - entropy(halves).mean())
            mean += weight * whole
        return float(entropy(mean) - conditional)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(-1)


@pytest.mark.parametrize("within", [0.6, 0.9])
def test_the_debiased_value_is_near_the_truth_where_raw_and_corrected_are_not(within: float) -> None:
    channel, rng = Channel(within), np.random.default_rng(0)
    truth, errors = channel.truth(), []
    for seed in range(3):
        labels = rng.choice(TYPES, 4000, p=zipf(TYPES))
        found = information(channel.assignments(labels, rng), labels, seed=seed)
        assert found.lower < found.debiased < found.raw
        errors.append([value / truth - 1 for value in (found.raw, found.corrected, found.debiased)])
    raw, corrected, debiased = np.mean(errors, 0)
    assert raw > 0.05
    assert corrected < -0.05
    assert abs(debiased) < 0.04


def test_another_tokenizer_with_the_same_information_changes_little() -> None:
    channel, rng = Channel(0.7), np.random.default_rng(1)
    labels = rng.choice(TYPES, 6000, p=zipf(TYPES))
    p = channel.assignments(labels, rng)
    whole, split = information(p, labels), information(p, labels * 4 + rng.integers(0, 4, len(labels)))
    assert split.debiased == pytest.approx(whole.debiased, rel=0.05)
    assert split.raw / whole.raw > 1.1
    assert split.corrected / whole.corrected < 0.9


def test_independent_labels_carry_nothing() -> None:
    rng, found = np.random.default_rng(2), []
    for seed in range(6):
        p = Channel(1.0).assignments(np.zeros(2500, int), rng)
        found.append(information(p, rng.choice(TYPES, 2500, p=zipf(TYPES)), seed=seed).debiased / np.log(BINS))
    spread = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found)) < max(3 * spread, 0.003)


def test_occurrences_that_repeat_in_a_document_count_once() -> None:
    rng, channel = np.random.default_rng(3), Channel(0.8)
    labels = rng.choice(TYPES, 1500, p=zipf(TYPES))
    p, document = channel.assignments(labels, rng), np.arange(1500) // 10
    once = information(p, labels, document)
    thrice = information(np.repeat(p, 3, 0), np.repeat(labels, 3), np.repeat(document, 3))
    assert thrice.debiased == pytest.approx(once.debiased, rel=0.05)
    alone = information(np.repeat(p, 3, 0), np.repeat(labels, 3))
    assert alone.debiased > 1.1 * once.debiased


def test_the_names_of_labels_and_the_order_of_documents_change_nothing() -> None:
    rng = np.random.default_rng(4)
    labels = rng.choice(50, 800)
    p = Channel(0.5).assignments(labels, rng)
    named = np.array([f"label {number:03}" for number in labels])
    assert np.isclose(information(p, named).debiased, information(p, labels).debiased, rtol=1e-12)


def test_the_shipped_table_is_what_the_simulation_gives() -> None:
    shipped = debiasing.unseen_share(BINS)
    spread, unseen, _ = debiasing.simulate(BINS, 12, labels=24)
    assert shipped.spread[13] == pytest.approx(spread, rel=0.05)
    assert shipped.times_group(8, spread) == pytest.approx(8 * unseen[6], rel=0.05)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": np.arange(40)}, "No label occurs in two documents"),
        ({"labels": np.zeros(39, int)}, "39 labels; expected one of each"),
        ({"groups": np.zeros(40, int)}, "1 documents; expected at least 4"),
        ({"p": np.full((40, BINS), 1 / BINS)}, "All assignments are the same"),
        ({"p": np.full((40, 5), np.nan)}, "Row 0 of p is not finite"),
    ],
)
def test_what_cannot_be_estimated_is_a_sentence(change: dict, sentence: str) -> None:
    rng = np.random.default_rng(0)
    arguments = {"p": softmax(rng.standard_normal((40, BINS)), axis=1), "labels": rng.integers(0, 3, 40)}
    with pytest.raises(InputError, match=sentence):
        information(**{**arguments, **change})

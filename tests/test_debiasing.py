"""Debiased information: near the truth where the plug-in is not, nothing for independent labels, else a sentence."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from softh.errors import InputError
from softh.estimator.information import Information, information, of_assignments
from softh.estimator.information import entropy as softh_entropy
from softh.estimator.unseen_share import simulate, unseen_share

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


def found_of(p: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> Information:
    return of_assignments(p[:, None], labels, groups=groups, seed=seed)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(-1)


@pytest.mark.parametrize("within", [0.6, 0.9])
def test_the_debiased_value_is_near_the_truth_where_raw_and_corrected_are_not(within: float) -> None:
    channel, rng = Channel(within), np.random.default_rng(0)
    truth, errors = channel.truth() / np.log(BINS), []
    for seed in range(3):
        labels = rng.choice(TYPES, 4000, p=zipf(TYPES))
        found = found_of(channel.assignments(labels, rng), labels, seed=seed)
        assert found.lower.value < found.debiased.value < found.raw.value
        errors.append([value.value / truth - 1 for value in (found.raw, found.corrected, found.debiased)])
    raw, corrected, debiased = np.mean(errors, 0)
    assert raw > 0.05
    assert corrected < -0.05
    assert abs(debiased) < 0.04


def test_another_tokenizer_with_the_same_information_changes_little() -> None:
    channel, rng = Channel(0.7), np.random.default_rng(1)
    labels = rng.choice(TYPES, 6000, p=zipf(TYPES))
    p = channel.assignments(labels, rng)
    whole, split = found_of(p, labels), found_of(p, labels * 4 + rng.integers(0, 4, len(labels)))
    assert split.debiased.value == pytest.approx(whole.debiased.value, rel=0.05)
    assert split.raw.value / whole.raw.value > 1.1
    assert split.corrected.value / whole.corrected.value < 0.9


def test_independent_labels_carry_nothing_within_the_stated_error() -> None:
    rng, values, errors = np.random.default_rng(2), [], []
    for seed in range(8):
        p = Channel(1.0).assignments(np.zeros(2500, int), rng)
        found = found_of(p, rng.choice(TYPES, 2500, p=zipf(TYPES)), seed=seed).debiased
        values.append(found.value)
        errors.append(found.se_documents)
    assert abs(np.mean(values)) < max(3 * np.std(values, ddof=1) / np.sqrt(8), 0.002)
    assert sum(abs(value) < 3 * error for value, error in zip(values, errors, strict=True)) >= 7


def test_the_error_over_documents_is_the_spread_over_fresh_samples() -> None:
    channel, rng = Channel(0.7), np.random.default_rng(3)
    values, errors = [], []
    for seed in range(40):
        labels = rng.choice(TYPES, 1500, p=zipf(TYPES))
        found = found_of(channel.assignments(labels, rng), labels, seed=seed).debiased
        values.append(found.value)
        errors.append(found.se_documents)
    assert 0.6 < np.sqrt(np.mean(np.square(errors))) / np.std(values, ddof=1) < 1.6


def test_the_null_is_what_labels_give_on_average_when_they_are_shuffled() -> None:
    channel, rng = Channel(0.7), np.random.default_rng(6)
    labels = rng.choice(TYPES, 3000, p=zipf(TYPES))
    p = channel.assignments(labels, rng)
    found = found_of(p, labels)
    shuffled = [found_of(p, rng.permutation(labels)).raw.value for _ in range(12)]
    assert found.null.value == pytest.approx(np.mean(shuffled), abs=0.003)
    assert found.corrected.value == pytest.approx(found.raw.value - found.null.value)


def test_occurrences_that_repeat_in_a_document_count_once() -> None:
    rng, channel = np.random.default_rng(3), Channel(0.8)
    labels = rng.choice(TYPES, 1500, p=zipf(TYPES))
    p, document = channel.assignments(labels, rng), np.arange(1500) // 10
    once = found_of(p, labels, document).debiased.value
    again = [np.repeat(values, 3, 0) for values in (p, labels, document)]
    assert found_of(*again).debiased.value == pytest.approx(once, rel=0.05)
    assert found_of(*again[:2]).debiased.value > 1.1 * once


def test_the_names_of_labels_and_the_order_of_positions_change_nothing() -> None:
    rng = np.random.default_rng(4)
    labels = rng.choice(50, 800)
    p, document = Channel(0.5).assignments(labels, rng), np.repeat(np.arange(80), 10)
    named, order = np.array([f"label {number:03}" for number in labels]), rng.permutation(80)
    there = np.argsort(order[document], kind="stable")
    first = found_of(p, labels, document)
    for other in (found_of(p, named, document), found_of(p[there], labels[there], document[there])):
        assert other.debiased.value == pytest.approx(first.debiased.value, rel=1e-6)


def test_hidden_states_of_numpy_and_torch_give_the_same() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 30, 900)
    hidden = (rng.standard_normal((30, 24))[labels] + rng.standard_normal((900, 24))).astype(np.float32)
    first = information(hidden, labels, draws=3)
    second = information(torch.from_numpy(hidden), torch.from_numpy(labels), draws=3)
    assert first == second
    assert first.entropy.value == pytest.approx(softh_entropy(hidden, draws=3).value, abs=1e-6)
    assert len(first.debiased.draws) == 3
    assert len(first.debiased.folds) == 8
    assert first.to_polars()["name"].to_list() == ["entropy", "raw", "null", "corrected", "debiased", "lower"]
    assert "900 positions, 30 labels" in first.summary()


def test_the_shipped_table_is_what_the_simulation_gives() -> None:
    shipped = unseen_share(BINS)
    spread, unseen, _ = simulate(BINS, 12, labels=24)
    assert shipped.spread[13] == pytest.approx(spread, rel=0.05)
    assert shipped.times_group(8, spread) == pytest.approx(8 * unseen[6], rel=0.05)


def test_tables_of_other_numbers_of_bins_are_interpolated() -> None:
    spread, unseen, _ = simulate(45, 10, labels=24)
    table = unseen_share(45)
    assert table.spread[11] == pytest.approx(spread, rel=0.06)
    assert table.times_group(4, spread) == pytest.approx(4 * unseen[3], rel=0.06)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"labels": np.arange(40)}, "no label occurs in two documents"),
        ({"groups": np.arange(40) % 3}, "3 documents; expected at least 4"),
        ({"groups": np.zeros(40, int)}, "1 documents; expected at least 4"),
    ],
)
def test_what_cannot_be_debiased_has_no_number_and_says_why(change: dict[str, Any], note: str) -> None:
    rng = np.random.default_rng(0)
    arguments = {"hidden": rng.standard_normal((40, 8)), "labels": rng.integers(0, 3, 40), "draws": 2}
    found = information(**{**arguments, **change})
    assert found.debiased.value is None
    assert found.raw.value is not None
    assert note in (found.note or "")
    assert note in found.summary()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": np.zeros(39, int)}, r"labels has shape \(39,\) and hidden 40 rows"),
        ({"labels": np.zeros(40, int)}, "All labels are equal"),
        ({"labels": np.linspace(0, 1, 40)}, "labels are of type float64"),
        ({"groups": np.zeros((40, 2), int)}, r"groups has shape \(40, 2\)"),
        ({"hidden": np.zeros((40, 8))}, "row 0; expected finite rows"),
        ({"hidden": np.where(np.arange(40)[:, None] == 3, np.nan, 1.0)}, "row 3; expected finite rows"),
        ({"hidden": np.ones((1, 8))}, "1 positions; expected at least two"),
        ({"hidden": np.ones(40)}, r"shape \(40,\)"),
        ({"hidden": np.ones((40, 8), int)}, "hidden was int64"),
    ],
)
def test_what_cannot_be_estimated_is_a_sentence(change: dict[str, Any], sentence: str) -> None:
    rng = np.random.default_rng(0)
    arguments = {"hidden": rng.standard_normal((40, 8)), "labels": rng.integers(0, 3, 40), "draws": 2}
    with pytest.raises(InputError, match=sentence):
        information(**{**arguments, **change})

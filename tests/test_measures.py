"""Measures against known truth: independence, channels of known information, and errors that cover."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.debiasing import Conditionals, Sums, conditionals
from softh.estimator.gains import design
from softh.estimator.labels import LabelSet, Variable
from softh.estimator.measures import Entropies, Key, Measure, bits_per_byte, measure

FOLDS, DRAWS, BINS = 8, 4, 50


def entropies(hidden: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, seed: int = 0) -> Entropies:
    """One layer, order 1, straight through the estimator."""
    positions, dimension = hidden.shape
    directions = references(BINS, dimension, DRAWS, seed).directions
    p, entropy = assign(normalise(torch.from_numpy(hidden)), directions, temperature(BINS, dimension))
    found, fold = Assignments(p, entropy), torch.arange(positions) % FOLDS
    whole = conditional_entropy(found, single_group(fold, FOLDS), "positions")
    names: tuple[tuple[Variable, np.ndarray], ...] = (("input", inputs), ("output", outputs))
    sets = []
    for variable, values in names:
        distinct, dense = np.unique(values, return_inverse=True)
        sets.append(LabelSet(variable, 1, torch.from_numpy(dense), len(distinct)))
    prepared = design(sets, np.arange(positions), fold.numpy(), FOLDS, seed)
    sums = Sums(prepared.sums(found).numpy()[None], prepared)
    raw = [conditional_entropy(found, group(labels, fold, FOLDS), "positions")[None] for labels in sets]
    keys = [Key(labels.variable, 1) for labels in sets]
    found_all = conditionals(whole[None], raw, sums, BINS, "positions")
    sizes = {key: labels.distinct for key, labels in zip(keys, sets, strict=True)}
    return Entropies(whole[None], dict(zip(keys, found_all, strict=True)), sizes, BINS, positions)


def same(value: np.ndarray) -> Conditionals:
    """H(Z | label) that every correction agrees on but the null, which is one nat more."""
    return Conditionals(raw=value, null=value + 1, debiased=value, lower=value)


def one(rows: list[Measure], quantity: str, correction: str = "raw", variable: str | None = None) -> Measure:
    (row,) = [
        row
        for row in rows
        if (row.layer, row.quantity, row.correction, row.variable) == (0, quantity, correction, variable)
    ]
    return row


def anisotropic(positions: int, dimension: int, seed: int) -> np.ndarray:
    """Hidden states with a long mean and one coordinate that holds much of the norm, as real ones have."""
    generator = np.random.default_rng(seed)
    scale = np.r_[4.0, np.ones(dimension - 1)]
    return (generator.standard_normal((positions, dimension)) * scale + 0.7 * scale).astype(np.float32)


def zipf(distinct: int, positions: int, generator: np.random.Generator) -> np.ndarray:
    weights = 1 / np.arange(1, distinct + 1)
    return generator.choice(distinct, positions, p=weights / weights.sum())


@pytest.mark.parametrize("sparsity", [10, 500, 5_000, 50_000, "unique"])
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_labels_correct_to_zero_within_three_standard_errors(sparsity: int | str, seed: int) -> None:
    positions = 12_000
    generator = np.random.default_rng(100 + seed)
    labels = np.arange(positions) if sparsity == "unique" else zipf(int(sparsity), positions, generator)
    hidden = np.random.default_rng(seed).standard_normal((positions, 64)).astype(np.float32)
    rows = measure(entropies(hidden, labels, labels[::-1].copy(), seed))
    for variable in ("input", "output"):
        raw, corrected = (one(rows, "information", c, variable) for c in ("raw", "corrected"))
        error = math.hypot(corrected.se_draws, corrected.se_documents)
        assert abs(corrected.value) <= 3 * error + 1e-12
        assert raw.value >= 0
        if sparsity == "unique":
            assert raw.value > 0.3


def test_a_channel_with_more_information_measures_more() -> None:
    """X uniform over m symbols, replaced at random with probability e; Z a noisy embedding of what comes out."""
    generator = np.random.default_rng(0)
    symbols, positions, dimension = 16, 6_000, 32
    codebook = generator.standard_normal((symbols, dimension)) * 3
    truth, found = [], []
    for flip in (0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0):
        x = generator.integers(0, symbols, positions)
        out = np.where(generator.random(positions) < flip, generator.integers(0, symbols, positions), x)
        hidden = (codebook[out] + generator.standard_normal((positions, dimension))).astype(np.float32)
        rows = measure(entropies(hidden, x, x))
        stay = 1 - flip + flip / symbols
        other = flip / symbols
        noise = stay * math.log(stay) + (symbols - 1) * other * math.log(other) if flip else 0.0
        truth.append(math.log(symbols) + noise)
        found.append(one(rows, "information", "corrected", "input").value)
    assert spearmanr(truth, found).statistic == 1.0
    assert found[-1] < 0.02 < found[0]


def test_information_lies_between_zero_and_entropy_and_ratios_follow() -> None:
    generator = np.random.default_rng(2)
    hidden = anisotropic(3_000, 40, 2)
    inputs, outputs = zipf(300, 3_000, generator), (hidden[:, 1] > 1).astype(np.int64)
    rows = measure(entropies(hidden, inputs, outputs))
    h, x, y = (one(rows, *what) for what in (("entropy",), *(("information", "raw", v) for v in ("input", "output"))))
    assert 0 <= y.value <= h.value <= 1
    assert 0 <= x.value <= h.value
    assert one(rows, "optimality").value == pytest.approx(y.value / x.value)
    assert one(rows, "regularity", "raw", "input").value == pytest.approx(x.value / h.value)
    assert one(rows, "proportion", "raw", "input").value == pytest.approx(x.value / h.value)
    assert one(rows, "residual", "raw", "output").value == pytest.approx(1 - y.value / h.value)
    corrected, null = (one(rows, "information", c, "input") for c in ("corrected", "null"))
    assert corrected.value == pytest.approx(x.value - null.value)


def test_standard_error_over_draws_is_that_of_the_mean() -> None:
    hidden = anisotropic(2_000, 40, 3)
    labels = np.random.default_rng(0).integers(0, 20, 2_000)
    rows = [r for r in measure(entropies(hidden, labels, labels)) if r.layer is None and r.quantity == "entropy"]
    draws = np.array(rows[0].draws)
    assert rows[0].value == pytest.approx(draws.mean())
    assert rows[0].se_draws == pytest.approx(draws.std(ddof=1) / math.sqrt(DRAWS))


def test_jackknife_error_matches_the_spread_over_fresh_samples() -> None:
    values, errors = [], []
    for sample in range(24):
        generator = np.random.default_rng(1000 + sample)
        hidden = generator.standard_normal((1_000, 16)).astype(np.float32)
        labels = (hidden[:, 0] > 0).astype(np.int64)
        row = one(measure(entropies(hidden, labels, labels)), "information", "corrected", "input")
        values.append(row.value)
        errors.append(row.se_documents)
    assert 0.6 < np.sqrt(np.mean(np.square(errors))) / np.std(values, ddof=1) < 1.7


def test_mean_over_layers_leaves_the_embedding_out_and_divides_last() -> None:
    layer = {
        v: np.random.default_rng(i).uniform(1, 2, (3, 1 + FOLDS, DRAWS)) for i, v in enumerate(("input", "output"))
    }
    entropy = np.full((3, 1 + FOLDS, DRAWS), 3.0)
    conditional = {Key(v, 1): same(layer[v]) for v in layer}
    rows = measure(Entropies(entropy, conditional, dict.fromkeys(conditional, 2), BINS, 9))
    x, y = (3.0 - layer[v][1:, 0].mean() for v in ("input", "output"))
    (found,) = [r for r in rows if r.layer is None and r.quantity == "optimality" and r.correction == "raw"]
    assert found.value == pytest.approx(y / x)


def test_ratio_over_nothing_and_error_of_one_draw_are_undefined() -> None:
    flat = np.zeros((2, 3, 1))
    keys = [Key("input", 1), Key("output", 1)]
    nothing = Conditionals(flat, flat, flat, flat)
    rows = measure(Entropies(flat, dict.fromkeys(keys, nothing), dict.fromkeys(keys, 1), 10, 5))
    assert all(row.value is None for row in rows if row.quantity == "optimality")
    assert all(row.se_draws is None for row in rows)


def test_bits_per_byte_is_total_bits_over_total_bytes() -> None:
    row = bits_per_byte(np.array([100.0, 300.0]), np.array([50, 100]))
    assert row.value == pytest.approx(400 / 150 / math.log(2))
    assert row.se_documents > 0
    assert bits_per_byte(np.array([1.0]), np.array([1])).se_documents is None

"""Measures from entropies: information, optimality and the rest, each with its null, its correction and two errors.

Every measure is a function of means over draws and layers, so one procedure gives every standard error: recompute the
measure without each draw, and without each fold of documents, and apply the jackknife. All values are efficiencies
(nats over log n) or ratios of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from softh.estimator.debiasing import Conditionals
from softh.estimator.labels import VARIABLES, Variable
from softh.quantities import CORRECTIONS, Correction

_LEAST_DENOMINATOR = 1e-6
"""A ratio over less information than this (in log n) is rounding error, and is undefined."""


class Key(NamedTuple):
    """Name of a label set."""

    variable: Variable
    order: int


@dataclass(frozen=True)
class Entropies:
    """H(Z) and H(Z | labels) in nats; arrays [layers, 1 + folds, draws], index 0 of axis 1 the whole corpus."""

    entropy: np.ndarray
    conditional: Mapping[Key, Conditionals]
    labels: Mapping[Key, int]  # distinct labels
    bins: int
    positions: int

    @property
    def orders(self) -> list[int]:
        """The n-gram orders present."""
        return sorted({key.order for key in self.conditional})


@dataclass(frozen=True)
class Measure:
    """One number of one layer: a row of the table `measures`."""

    layer: int | None
    quantity: str
    variable: str | None
    ngram: int | None
    correction: Correction
    value: float | None
    se_draws: float | None
    se_documents: float | None
    positions: int
    labels: int | None
    draws: list[float | None] | None
    folds: list[float | None] | None
    """Value without each fold of documents."""


def measure(entropies: Entropies) -> list[Measure]:
    """All measures of all layers, then of the mean over transformer layers (layer `None`, embedding excluded).

    Complexity I(X;Z) and expressivity I(Y;Z) are `information` of variable input and output; optimality is their
    ratio, regularity I / H, the proportion of order k (I_k − I_(k−1)) / H, and the residual (H − I_K) / H at the
    highest order K. For the mean over layers, entropies are averaged first, then divided.

    Values are in units of log n, or ratios; a value or standard error that is undefined is None.

    Source: Conklin et al. 2026, "Learning is Forgetting"; docs/method.md has every definition.

    >>> h, known = np.full((1, 3, 2), math.log(8)), np.full((1, 3, 2), math.log(2))  # one layer, two folds, two draws
    >>> found = Conditionals(raw=known, null=h, debiased=known, lower=h)
    >>> keys = [Key(variable, 1) for variable in VARIABLES]
    >>> entropies = Entropies(h, dict.fromkeys(keys, found), dict.fromkeys(keys, 4), bins=8, positions=9)
    >>> row = next(row for row in measure(entropies) if row.quantity == "information")
    >>> round(row.value, 4)  # (log 8 − log 2) / log 8
    0.6667
    """
    rows = []
    layers, folds = entropies.entropy.shape[0], entropies.entropy.shape[1] - 1
    for quantity, variable, order, correction, labels, value in _quantities(entropies):
        for column, layer in enumerate([*range(layers), None]):
            summary = summarise(value[:, column], folds)
            stored = layer is None and correction != "null"
            each = stored or (quantity == "information" and correction == "debiased")
            rows.append(
                Measure(
                    layer, quantity, variable, order, correction, *summary[:3], entropies.positions, labels,
                    summary.draws if layer is None else None, summary.folds if each else None,
                )
            )  # fmt: skip
    return rows


_Named = tuple[str, str | None, int | None, Correction, int | None, np.ndarray]


def _quantities(entropies: Entropies) -> Iterator[_Named]:
    """Every measure by name, with its replicates [replicates, layers + 1]."""
    scale = math.log(entropies.bins)
    h = replicates(entropies.entropy / scale)
    yield "entropy", None, None, "raw", None, h
    for correction in CORRECTIONS:
        information = {
            key: replicates(_information(entropies.entropy, conditional, correction) / scale)
            for key, conditional in entropies.conditional.items()
        }
        for key, value in information.items():
            labels = entropies.labels[key]
            yield "information", *key, correction, labels, value
            if correction in ("null", "lower"):
                continue
            yield "regularity", *key, correction, labels, _ratio(value, h)
            before = np.zeros_like(h) if key.order == 1 else information.get(Key(key.variable, key.order - 1))
            if before is not None:
                yield "proportion", *key, correction, labels, _ratio(value - before, h)
            if key.order == entropies.orders[-1]:
                yield "residual", *key, correction, labels, _ratio(h - value, h)
        if correction == "lower" or set(VARIABLES) - {key.variable for key in information}:
            continue
        for order in entropies.orders:
            ratio = _ratio(information[Key("output", order)], information[Key("input", order)])
            yield "optimality", None, order, correction, None, ratio


def _information(h: np.ndarray, of: Conditionals, correction: Correction) -> np.ndarray:
    if correction == "corrected":
        return of.null - of.raw
    conditional: np.ndarray = getattr(of, correction)
    return h[..., : conditional.shape[-1]] - conditional  # the lower bound has fewer draws


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    defined = np.abs(denominator) > _LEAST_DENOMINATOR
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=defined)


class Summary(NamedTuple):
    """A measure with both standard errors, and its value under every draw."""

    value: float | None
    se_draws: float | None
    se_documents: float | None
    draws: list[float | None]
    folds: list[float | None]


def replicates(values: np.ndarray) -> np.ndarray:
    """Means over draws of all positions, of each draw, without each draw, and without each fold.

    [layers, 1 + folds, draws] → [1 + 2 draws + folds, layers + 1]; the last column is the mean over layers.
    """
    layers, _, draws = values.shape
    total = values[:, 0]  # [layers, draws]
    each = total.T
    # With a single draw there is nothing to leave out: the row stays and its error is reported as undefined.
    without = (total.sum(-1) - each) / (draws - 1) if draws > 1 else each
    rows = np.concatenate([total.mean(-1)[None], each, without, values[:, 1:].mean(-1).T])
    mean = rows[:, 1:].mean(1, keepdims=True) if layers > 1 else rows.mean(1, keepdims=True)
    return np.concatenate([rows, mean], axis=1)


def summarise(column: np.ndarray, folds: int) -> Summary:
    """Value and standard errors from one column of :func:`replicates`."""
    number = (len(column) - 1 - folds) // 2
    value, draws, without, left_out = np.split(column, [1, 1 + number, 1 + 2 * number])
    errors = (_finite(jackknife(group)) for group in (without, left_out))
    return Summary(
        _finite(value[0]), *errors, [_finite(of_draw) for of_draw in draws], [_finite(of_fold) for of_fold in left_out]
    )


def jackknife(replicates: np.ndarray) -> float:
    """Standard error √((g−1)/g Σ (θ_i − θ̄)²) from g leave-one-out values; NaN for fewer than two.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 11.

    >>> sample = np.array([1.0, 2.0, 4.0])
    >>> without_each = (sample.sum() - sample) / 2
    >>> math.isclose(jackknife(without_each), sample.std(ddof=1) / math.sqrt(3))
    True
    """
    g = len(replicates)
    return math.sqrt((g - 1) / g * float(np.sum((replicates - replicates.mean()) ** 2))) if g > 1 else math.nan


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def bits_per_byte(nll: np.ndarray, size: np.ndarray) -> Measure:
    """Cross-entropy of the text in bits per UTF-8 byte.

    The standard error is the ratio estimator's, over documents; `positions` counts bytes.

    Args:
        nll: [documents] summed negative log-likelihood of each document, in nats.
        size: [documents] bytes of text that it covers.

    >>> bits_per_byte(np.array([4.0, 8.0]) * math.log(2), np.array([4, 8])).value
    1.0
    """
    rate, count, total = nll.sum() / size.sum(), len(nll), size.sum() * math.log(2)
    spread = float(np.sum((nll - rate * size) ** 2))
    error = math.sqrt(spread * count / (count - 1)) / total if count > 1 else math.nan
    name = (None, "bits_per_byte", None, None, "raw")
    return Measure(*name, _finite(rate / math.log(2)), None, _finite(error), int(size.sum()), None, None, None)


def variational_bound(nll: np.ndarray, predicted: Sequence[np.ndarray], fold: np.ndarray, bins: int) -> Measure:
    """H(Y) less the cross-entropy of the next token, in units of log n: what the model's own head finds in Z of Y.

    Whatever the head, this is at most the information between the next token and the last hidden state, all of it and
    not the part that soft assignment to n directions keeps. H(Y) is the plug-in entropy of the predicted tokens, which
    is too small on average, and so is the bound.

    Args:
        nll: [documents] summed negative log-likelihood of each document, in nats.
        predicted: tokens of each document that it is of.
        fold: [documents] fold of each document.
        bins: reference directions a draw, n.

    Source: Barber and Agakov 2003, "The IM algorithm".

    >>> halves = [np.array([0, 1, 0, 1]), np.array([1, 0])]
    >>> round(variational_bound(np.zeros(2), halves, np.arange(2), bins=2).value, 9)  # a perfect head: all of H(Y)
    1.0
    """
    tokens = np.concatenate(predicted)
    if len(tokens) == 0:
        return Measure(None, "variational_bound", None, None, "raw", None, None, None, 0, None, None, None)
    distinct, dense = np.unique(tokens, return_inverse=True)
    folds, types = int(fold.max()) + 1, len(distinct)
    of_token = np.repeat(fold, [len(ids) for ids in predicted])
    counts = np.bincount(of_token * types + dense.reshape(-1), minlength=folds * types).reshape(folds, types)
    losses = np.bincount(fold, nll, minlength=folds)
    count = np.concatenate([counts.sum(0)[None], counts.sum(0) - counts])
    loss = np.concatenate([losses.sum()[None], losses.sum() - losses])
    with np.errstate(invalid="ignore", divide="ignore"):
        p = count / count.sum(1, keepdims=True)
        values = (-np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1) - loss / count.sum(1)) / math.log(bins)
    without = [_finite(value) for value in values[1:]]
    name = (None, "variational_bound", None, None, "raw")
    error = _finite(jackknife(values[1:]))
    return Measure(*name, _finite(values[0]), None, error, len(tokens), types, None, without)

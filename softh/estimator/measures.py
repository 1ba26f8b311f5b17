"""Entropies to measures: information, optimality and the rest, each with its null, its correction and two errors.

Every measure is a function of means over draws and layers, so one recipe gives every standard error: recompute the
measure without each draw, and without each fold of documents, and apply the jackknife. All values are efficiencies
(nats over log n) or ratios of them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from softh.estimator.labels import VARIABLES, Variable
from softh.quantities import CORRECTIONS, Correction

_LEAST_DENOMINATOR = 1e-6
"""A ratio over less information than this (in log n) is rounding, and is left undefined."""


class Key(NamedTuple):
    """One label set: what its labels are."""

    variable: Variable
    order: int
    shuffled: bool


@dataclass(frozen=True)
class Entropies:
    """H(Z) and H(Z | labels) in nats; arrays [layers, 1 + folds, draws], index 0 of axis 1 the whole corpus."""

    entropy: np.ndarray
    conditional: Mapping[Key, np.ndarray]
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


def measure(entropies: Entropies) -> list[Measure]:
    """All measures of all layers, then of the mean over transformer layers (layer `None`, embedding excluded).

    Complexity I(X;Z) and expressivity I(Y;Z) are `information` of variable input and output; optimality is their
    ratio, regularity I / H, the proportion of order k (I_k − I_(k−1)) / H, and the residual (H − I_K) / H at the
    highest order K (Conklin et al. 2026). For the mean over layers, entropies are averaged first, then divided.
    """
    replicates = Replicates(*entropies.entropy.shape)
    scale = math.log(entropies.bins)
    h = replicates.of(entropies.entropy / scale)
    conditional = {key: replicates.of(value / scale) for key, value in entropies.conditional.items()}
    rows = []
    for quantity, variable, order, correction, labels, value in _quantities(entropies, h, conditional):
        for layer, name in enumerate([*range(replicates.layers), None]):
            found = replicates.summary(value[:, layer])
            draws = found.draws if name is None else None
            what = (name, quantity, variable, order, correction)
            rows.append(Measure(*what, *found[:3], entropies.positions, labels, draws))
    return rows


_Named = tuple[str, str | None, int | None, Correction, int | None, np.ndarray]


def _quantities(entropies: Entropies, h: np.ndarray, conditional: Mapping[Key, np.ndarray]) -> Iterator[_Named]:
    """Every measure by name, with its replicates [replicates, layers + 1]."""
    yield "entropy", None, None, "raw", None, h
    for correction in CORRECTIONS:
        information = {
            (variable, order): _information(h, conditional, variable, order, correction)
            for variable in VARIABLES
            for order in entropies.orders
        }
        for (variable, order), value in information.items():
            labels = entropies.labels[Key(variable, order, False)]
            yield "information", variable, order, correction, labels, value
            if correction == "null":
                continue
            yield "regularity", variable, order, correction, labels, _ratio(value, h)
            before = information.get((variable, order - 1), np.zeros_like(h) if order == 1 else None)
            if before is not None:
                yield "proportion", variable, order, correction, labels, _ratio(value - before, h)
            if order == entropies.orders[-1]:
                yield "residual", variable, order, correction, labels, _ratio(h - value, h)
        for order in entropies.orders:
            ratio = _ratio(information["output", order], information["input", order])
            yield "optimality", None, order, correction, None, ratio


def _information(
    h: np.ndarray, conditional: Mapping[Key, np.ndarray], variable: Variable, order: int, correction: Correction
) -> np.ndarray:
    raw, null = (conditional[Key(variable, order, shuffled)] for shuffled in (False, True))
    return {"raw": h - raw, "null": h - null, "corrected": null - raw}[correction]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    enough = np.abs(denominator) > _LEAST_DENOMINATOR
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=enough)


class Summary(NamedTuple):
    """A measure with both standard errors, and its value under every draw."""

    value: float | None
    se_draws: float | None
    se_documents: float | None
    draws: list[float | None]


class Replicates:
    """Means over draws of the whole, of each draw, without each draw, and without each fold."""

    def __init__(self, layers: int, subsets: int, draws: int) -> None:
        self.layers, self.folds, self.n = layers, subsets - 1, draws

    def of(self, values: np.ndarray) -> np.ndarray:
        """[layers, 1 + folds, draws] → [1 + 2 draws + folds, layers + 1]; the last column is the mean over layers."""
        whole = values[:, 0]  # [layers, draws]
        each = whole.T
        # With a single draw there is nothing to leave out: the row stays and its error is reported as undefined.
        without = (whole.sum(-1) - each) / (self.n - 1) if self.n > 1 else each
        rows = np.concatenate([whole.mean(-1)[None], each, without, values[:, 1:].mean(-1).T])
        mean = rows[:, 1:].mean(1, keepdims=True) if self.layers > 1 else rows.mean(1, keepdims=True)
        return np.concatenate([rows, mean], axis=1)

    def summary(self, column: np.ndarray) -> Summary:
        """Value and standard errors from one column of replicates."""
        whole, rest = column[0], column[1:]
        draws, without, folds = rest[: self.n], rest[self.n : 2 * self.n], rest[2 * self.n :]
        errors = (_known(jackknife(group)) for group in (without, folds))
        return Summary(_known(whole), *errors, [_known(value) for value in draws])


def jackknife(replicates: np.ndarray) -> float:
    """Standard error √((g−1)/g Σ (θ_i − θ̄)²) from g leave-one-out values; NaN for fewer than two."""
    g = len(replicates)
    return math.sqrt((g - 1) / g * float(np.sum((replicates - replicates.mean()) ** 2))) if g > 1 else math.nan


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def bits_per_byte(nats: np.ndarray, size: np.ndarray) -> Measure:
    """Cross-entropy of the text in bits per UTF-8 byte, from [documents] sums of nats and bytes.

    The standard error is the ratio estimator's, over documents; `positions` counts bytes.
    """
    rate, count, total = nats.sum() / size.sum(), len(nats), size.sum() * math.log(2)
    spread = float(np.sum((nats - rate * size) ** 2))
    error = math.sqrt(spread * count / (count - 1)) / total if count > 1 else math.nan
    name = (None, "bits_per_byte", None, None, "raw")
    return Measure(*name, _known(rate / math.log(2)), None, _known(error), int(size.sum()), None, None)

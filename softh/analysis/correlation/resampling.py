"""Intervals and p-values of coefficients, each family left out in turn, and the correction for many tests.

The unit is the family: siblings resemble one another. What a coefficient owes to each family is seen by leaving it out;
interval and p come from one standard error, so that p < .05 just where the 95 % interval leaves out 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # scipy.stats is slow to import

from softh.analysis.correlation.coefficients import Method, weighted

LEVEL = 0.95
LEAST_FAMILIES = 3
"""With two, any error has one degree of freedom, and nothing short of certainty is beyond chance."""


@dataclass(frozen=True)
class Interval:
    """Ends of the 95 % interval, the standard error of Fisher's z, and two-sided p of no association; arrays alike."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    p: np.ndarray


def intervals(x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method) -> Interval:
    """Interval [p, s] of every coefficient of x [n, p] with y [n, s]; family [n] numbers families from 0.

    Where every model is a family of its own and no two values are equal, ranks have a known error, whatever the
    distribution (:func:`alone`); the jackknife's of a few ranks is too large.
    """
    found = around(lambda weights: weighted(x, y, family, weights, method), family, method)
    if method == "pearson" or len(np.unique(family)) < len(y):
        return found
    differ = [np.array([len(np.unique(column)) == len(y) for column in values.T], dtype=bool) for values in (x, y)]
    known = np.outer(*differ)
    value = weighted(x, y, family, np.ones((1, len(y))), method)[0]
    z, error = fisher(value, nearest_to_one(len(y), method)), np.full(value.shape, alone(len(y), method))
    if method == "spearman":  # where it is strong, Fieller's error is too small (Bonett and Wright 2000)
        error *= np.sqrt(np.maximum(1.06, 1 + value**2 / 2) / 1.06)
    # Kendall's coefficient moves in steps of a swap: half of one is the usual correction for continuity.
    step = np.arctanh(2 / (len(y) * (len(y) - 1))) if method == "kendall" else 0.0
    half = ndtri((1 + LEVEL) / 2) * error + step
    ends = np.minimum(np.tanh(z - half), value), np.maximum(np.tanh(z + half), value)
    of_ranks = (*ends, error, 2 * ndtr(-np.maximum(np.abs(z) - step, 0) / error))
    each = zip((found.low, found.high, found.error, found.p), of_ranks, strict=True)
    return Interval(*(np.where(known, ranks, other) for other, ranks in each))


def around(
    statistic: Callable[[np.ndarray], np.ndarray], family: np.ndarray, method: Method, given: int = 0
) -> Interval:
    """Interval of a coefficient from its values [b, …] under weights [b, families], of all and without each family.

    given: how many variables are controlled for.
    """
    families = int(family.max()) + 1
    weights = np.concatenate([np.ones((1, families)), 1 - np.eye(families)])
    values = statistic(weights)
    return interval(values[0], values[1:], np.bincount(family), method, given)


def interval(
    value: np.ndarray,
    without: np.ndarray,
    sizes: np.ndarray,
    method: Method,
    given: int = 0,
    stretch: float = 1.0,
) -> Interval:
    """Interval of a coefficient [...] from its values without each family [families, ...]; sizes are their models.

    Fisher's z ± t times the jackknife's standard error, with the degrees of freedom of :func:`degrees`; stretch times
    as much where the quantile of |z / error| is known otherwise. A perfect order says nothing of its own spread, so the
    coefficient is taken to be half a swap of neighbours short of 1, and as it comes near, the error is that of
    independent models at least. NaN for fewer than three families, and where the coefficient is undefined without one
    of them: then it rests on that one.
    """
    models, families = int(sizes.sum()), len(sizes)
    nothing = np.full(np.shape(value), np.nan)
    if families < LEAST_FAMILIES:
        return Interval(nothing, nothing, nothing, nothing)
    nearest = nearest_to_one(models, method)
    z = fisher(value, nearest)
    apart = fisher(without, nearest)
    apart = apart - apart.mean(0)
    error = np.sqrt((families - 1) / families * (apart**2).sum(0))
    error = np.maximum(error, alone(models - given, method) * np.abs(np.clip(value, -1, 1)) ** models)
    freedom = degrees(sizes)
    half = stdtrit(freedom, (1 + LEVEL) / 2) * error * stretch
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(freedom, -np.abs(z) / (error * stretch))
    # A coefficient of 1 lies within its interval although z was taken to be short of it.
    low, high = np.minimum(np.tanh(z - half), value), np.maximum(np.tanh(z + half), value)
    return Interval(low, high, error, np.where(error > 0, p, np.nan))


def degrees(sizes: np.ndarray) -> float:
    """Degrees of freedom of the jackknife's error over families of these sizes.

    Of alike families G − 1. Where one dominates, the error is mostly its own; for independent models Bell and
    McCaffrey's degrees say how much. These alone are too cautious (sizes of .000 to .02 where 21 of 30 models are of
    one family) and G − 1 is too bold (.06 to .08), so the geometric mean is taken, three parts of G − 1 to one: .03 to
    .06 (benchmarks.coverage).

    >>> [round(degrees(np.array(sizes)), 2) for sizes in ([5, 5, 5, 5], [21, 1, 1, 1, 1, 1, 1, 1, 1, 1])]
    [3.0, 5.51]
    """
    families, models = len(sizes), sizes.sum()
    # A mean of family means, each with the error of independent models: its values without each family are linear.
    shares = np.where(np.eye(families, dtype=bool), 0, sizes[None].astype(float)) / (models - sizes)[:, None]
    shares -= shares.mean(0)
    scale = 1 / np.sqrt(sizes)
    spread = scale[:, None] * (shares.T @ shares) * scale
    of_independent = np.trace(spread) ** 2 / (spread**2).sum()
    return float((families - 1) ** 0.75 * min(of_independent, families - 1) ** 0.25)


def alone(models: int, method: Method) -> float:
    """Standard error of Fisher's z of independent models (Fieller, Hartley and Pearson 1957 for ranks)."""
    variance, lost = {"pearson": (1.0, 3), "spearman": (1.06, 3), "kendall": (0.437, 4)}[method]
    return float(np.sqrt(variance / max(models - lost, 1)))


def nearest_to_one(models: int, method: Method) -> float:
    """Half way from 1 to what one swap of neighbours in a perfect order of models leaves; of Pearson as of Spearman."""
    return 1 - (2 / (models * (models - 1)) if method == "kendall" else 6 / (models * (models**2 - 1)))


def fisher(r: np.ndarray, nearest: float = 1 - 1e-6) -> np.ndarray:
    """Fisher's z, finite at ±1."""
    return np.arctanh(np.clip(r, -nearest, nearest))


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q of every p of a whole matrix: the least false discovery rate at which it would be called; NaN stays."""
    flat = p.ravel()
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(flat[known])]
    scaled = flat[order] * len(order) / np.arange(1, len(order) + 1)
    q = np.full(flat.shape, np.nan)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q.reshape(p.shape)

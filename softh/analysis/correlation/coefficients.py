"""Pearson, Spearman and Kendall of many predictors with many scores, under any weights of families at once."""

from itertools import pairwise
from typing import Literal

import numpy as np

Method = Literal["pearson", "spearman", "kendall"]
METHODS: tuple[Method, ...] = ("spearman", "pearson", "kendall")

_CHUNK = 2**21
"""Weighted ranks in memory at a time: enough to make the products large."""
_LEAST = 1e-12
"""Variance in units of the whole column's, from which on a column varies."""


def correlations(x: np.ndarray, y: np.ndarray, method: Method) -> np.ndarray:
    """Coefficient [p, s] of every column of x [n, p] with every column of y [n, s]; no value missing."""
    return weighted(x, y, np.zeros(len(x), dtype=np.int64), np.ones((1, 1)), method)[0]


def weighted(x: np.ndarray, y: np.ndarray, family: np.ndarray, weights: np.ndarray, method: Method) -> np.ndarray:
    """Coefficients [b, p, s] when family f counts weights[b, f] times; family [n] numbers families from 0.

    Leaving one out is a row of ones with a zero. Ranks are taken anew under every row. NaN where a column is constant.
    """
    order = np.argsort(family, kind="stable")
    x, y, family = x[order], y[order], family[order]
    begin = np.searchsorted(family, np.arange(weights.shape[1]))
    coefficients = {"pearson": _pearson, "spearman": _spearman, "kendall": _kendall}[method](x, y, begin, weights)
    return np.clip(coefficients, -1, 1)


def midranks(values: np.ndarray) -> np.ndarray:
    """Rank of every value in its column [n, k], from 0.5; ties share the mean of their ranks."""
    return _counts_below(values, np.zeros(1, dtype=np.int64))[0]


def standardised(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and variance 1; zero where a column is constant."""
    centred = values - values.mean(0)
    scale = np.sqrt((centred**2).mean(0))
    constant = scale <= 1e-12 * np.abs(values).max(0, initial=0)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=~constant)


def _pearson(x: np.ndarray, y: np.ndarray, begin: np.ndarray, weights: np.ndarray) -> np.ndarray:
    x, y = standardised(x), standardised(y)
    bounds = np.append(begin, len(x))
    cross = np.stack([x[a:b].T @ y[a:b] for a, b in pairwise(bounds)])  # [families, p, s]
    n = (weights @ np.diff(bounds))[:, None]
    mean_x, mean_y = (weights @ np.add.reduceat(v, begin) / n for v in (x, y))
    square_x, square_y = (weights @ np.add.reduceat(v**2, begin) / n for v in (x, y))
    covariance = (weights @ cross.reshape(len(begin), -1)).reshape(-1, *cross.shape[1:]) / n[..., None]
    covariance -= mean_x[:, :, None] * mean_y[:, None]
    return _over(covariance, square_x - mean_x**2, square_y - mean_y**2)


def _spearman(x: np.ndarray, y: np.ndarray, begin: np.ndarray, weights: np.ndarray) -> np.ndarray:
    p, (n, k) = x.shape[1], (len(x), x.shape[1] + y.shape[1])
    below = _counts_below(np.hstack([x, y]), begin).transpose(0, 2, 1).reshape(len(begin), -1)
    sizes = np.diff(np.append(begin, n))
    step = max(1, _CHUNK // (n * k))
    parts = []
    for start in range(0, len(weights), step):
        some = weights[start : start + step]
        ranks = (some @ below).reshape(-1, k, n)
        ranks -= (some @ sizes / 2)[:, None, None]
        ranks *= np.sqrt(np.repeat(some, sizes, axis=1))[:, None]
        gram = ranks @ ranks.transpose(0, 2, 1) / n**3  # one product gives covariances and variances
        squares = np.diagonal(gram, axis1=1, axis2=2)
        parts.append(_over(gram[:, :p, p:], squares[:, :p], squares[:, p:]))
    return np.concatenate(parts)


def _kendall(x: np.ndarray, y: np.ndarray, begin: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """tau-b: a quadratic form in the weights, whose matrix holds the concordances of every two families."""
    families, (n, p), s = len(begin), x.shape, y.shape[1]
    both, ties_x, ties_y = (np.empty((families, families, k)) for k in (p * s, p, s))
    bounds = np.append(begin, n)
    for f in range(families):
        rows = slice(bounds[f], bounds[f + 1])
        sign_x, sign_y = (np.sign(v[:, None] - v[None, rows]) for v in (x, y))  # [n, members, k]
        product = sign_x.transpose(0, 2, 1) @ sign_y
        both[f] = np.add.reduceat(product.reshape(n, p * s), begin)
        ties_x[f], ties_y[f] = (np.add.reduceat((v**2).sum(1), begin) for v in (sign_x, sign_y))
    numerator, x_pairs, y_pairs = (_quadratic(weights, matrix) for matrix in (both, ties_x, ties_y))
    return _over(numerator.reshape(-1, p, s), x_pairs, y_pairs)


def _quadratic(weights: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """wᵀ M w for every row w and every last index of M [families, families, k]: [b, k]."""
    return np.stack([((weights @ matrix[..., k]) * weights).sum(1) for k in range(matrix.shape[-1])], axis=1)


def _counts_below(values: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """How many members of each family lie below each value, ties half: [families, n, k]."""
    n, columns = values.shape
    sums = np.empty((len(begin), n, columns))
    for k in range(columns):
        column = values[:, k]
        signs = (np.sign(column[None] - column[:, None]) + 1) / 2  # [j, i]: 1 where value j lies below value i
        sums[..., k] = np.add.reduceat(signs, begin)
    return sums


def _over(covariance: np.ndarray, variance_x: np.ndarray, variance_y: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.maximum(variance_x, 0))[:, :, None] * np.sqrt(np.maximum(variance_y, 0))[:, None]
    # Standardised columns: a variance this small is what rounding leaves of a constant.
    vary = (variance_x > _LEAST)[:, :, None] & (variance_y > _LEAST)[:, None]
    return np.divide(covariance, scale, out=np.full(covariance.shape, np.nan), where=vary)

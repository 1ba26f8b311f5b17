"""Intervals by resampling families, p-values by permuting models, and the correction for many tests."""

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit  # scipy.stats is slow to import

from softh.analysis.correlation.coefficients import Method, midranks, standardised, weighted

LEVEL = 0.95
_CLIP = 1 - 1e-6
"""Fisher's z of a perfect correlation is infinite; the coefficient is taken to be no nearer to 1 than this."""
_LEAST_DEFINED = 0.5
"""Part of the resamples in which a coefficient must exist for its spread to mean something."""
_CHUNK = 2**20


def intervals(
    x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, resamples: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends [p, s] of the 95 % interval of every coefficient of x [n, p] with y [n, s], families resampled."""
    families = int(family.max()) + 1
    return around(lambda weights: weighted(x, y, family, weights, method), families, resamples, method, seed)


def around(
    statistic: Callable[[np.ndarray], np.ndarray], families: int, resamples: int, method: Method, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of a coefficient, from its values [b, …] under weights [b, families].

    Fisher's z ± t(G − 1) times its standard deviation over resamples of the G families, for Pearson widened by
    √(G / (G − 1)); in a rank coefficient a family drawn twice makes ties, which widen it as much. Quantiles of the
    resamples themselves cover too little with few families (docs/log.md). NaN for one family, and where half of the
    resamples leave the coefficient undefined.
    """
    centre = fisher(statistic(np.ones((1, families)))[0])
    if families < 2:
        return np.full(centre.shape, np.nan), np.full(centre.shape, np.nan)
    counts = np.random.default_rng(seed).multinomial(families, np.full(families, 1 / families), resamples)
    drawn = fisher(statistic(counts.astype(float)))
    defined = np.isfinite(drawn)
    n = np.maximum(defined.sum(0), 1)
    mean = np.where(defined, drawn, 0).sum(0) / n
    spread = np.sqrt((np.where(defined, drawn - mean, 0) ** 2).sum(0) / n)
    spread = np.where(defined.mean(0) < _LEAST_DEFINED, np.nan, spread)
    widened = np.sqrt(families / (families - 1)) if method == "pearson" else 1
    half = stdtrit(families - 1, (1 + LEVEL) / 2) * spread * widened
    return np.tanh(centre - half), np.tanh(centre + half)


def permutation_p(
    x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, permutations: int, seed: int = 0
) -> np.ndarray:
    """Two-sided p [p, s] of no association: scores are permuted over models, all columns of a model together.

    The statistic is the covariance over its spread between families, Σ A_f / √Σ A_f² with A_f the sum of products
    within family f: siblings resemble one another, and a covariance alone would take that for association. The spread
    is that of the null, about 0; about r it would find more, and too much (docs/log.md). Spearman and Kendall use
    ranks. NaN where a column is constant.
    """
    order = np.argsort(family, kind="stable")
    x, y, family = x[order], y[order], family[order]
    if method != "pearson":
        x, y = midranks(x), midranks(y)
    x, y = standardised(x).astype(np.float32), standardised(y).astype(np.float32)
    blocks = _blocks(family)
    generator = np.random.default_rng(seed)
    observed = _studentised(x, y[None], blocks)[0] * (1 - 1e-5)  # equal statistics must not differ by rounding
    exceeded = np.zeros(observed.shape, dtype=np.int64)
    step = max(1, _CHUNK // y.size)
    rows = np.arange(len(y))
    for start in range(0, permutations, step):
        shuffled = generator.permuted(np.tile(rows, (min(step, permutations - start), 1)), axis=1)
        exceeded += (_studentised(x, y[shuffled], blocks) >= observed).sum(0)
    p = (1 + exceeded) / (1 + permutations)
    p[~x.any(0)], p[:, ~y.any(0)] = np.nan, np.nan
    return p


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q of every p of a whole matrix: the least false discovery rate at which it would be called; NaN stays."""
    flat = p.ravel()
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(flat[known])]
    scaled = flat[order] * len(order) / np.arange(1, len(order) + 1)
    q = np.full(flat.shape, np.nan)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q.reshape(p.shape)


def fisher(r: np.ndarray) -> np.ndarray:
    """Fisher's z, finite at ±1."""
    return np.arctanh(np.clip(r, -_CLIP, _CLIP))


def _blocks(family: np.ndarray) -> list[slice]:
    """Where each family lies, of models sorted by family."""
    _, begin, size = np.unique(family, return_index=True, return_counts=True)
    return [slice(b, b + k) for b, k in zip(begin.tolist(), size.tolist(), strict=True)]


def _studentised(x: np.ndarray, y: np.ndarray, blocks: list[slice]) -> np.ndarray:
    """|Σ A_f| / √Σ A_f² of x [n, p] with many y [b, n, s]: [b, p, s]."""
    several = [block for block in blocks if block.stop - block.start > 1]
    alone = np.array([block.start for block in blocks if block.stop - block.start == 1], dtype=np.int64)
    total = _products(x[alone], y[:, alone])
    if not several:
        return np.abs(total)
    squares = _products(x[alone] ** 2, y[:, alone] ** 2)
    for block in several:
        part = _products(x[block], y[:, block])
        total += part
        squares += part * part
    return np.abs(total) / np.sqrt(squares + 1e-12)


def _products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Σ_i x[i, p] y[b, i, s]: [b, p, s]."""
    return np.matmul(x.T, y)

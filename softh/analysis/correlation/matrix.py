"""Every predictor against every score: coefficient, interval, p and q, or the reason why there is none."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from softh.analysis.correlation.coefficients import Method, correlations
from softh.analysis.correlation.resampling import benjamini_hochberg, intervals, permutation_p
from softh.blas import one_thread
from softh.errors import InputError

LEAST_MODELS = 4
RESAMPLES = 10_000


@dataclass(frozen=True)
class Matrix:
    """Arrays [predictors, scores]; NaN where there is no number, and then a reason."""

    predictors: tuple[str, ...]
    scores: tuple[str, ...]
    method: Method
    n: np.ndarray
    families: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    """Permutation of models, two-sided, not corrected."""
    q: np.ndarray
    """Corrected over the whole matrix by Benjamini and Hochberg."""
    reasons: dict[tuple[int, int], str]


@one_thread()
def matrix(
    x: np.ndarray,
    y: np.ndarray,
    family: Sequence[str],
    predictors: Sequence[str],
    scores: Sequence[str],
    method: Method = "spearman",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Matrix:
    """Correlate x [n, predictors] with y [n, scores], one row a model; NaN means that a model has no such number.

    Every cell uses the models that have both. Raises InputError for fewer than four models or one family.
    """
    check(len(x), family)
    shape = (x.shape[1], y.shape[1])
    value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
    n, families = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for rows, left, right in _complete(x, y):
        at = np.ix_(left, right)
        numbers = numbered([family[i] for i in np.flatnonzero(rows)])
        n[at], families[at] = len(numbers), len(set(numbers.tolist()))
        if n[at].min(initial=LEAST_MODELS) < LEAST_MODELS or len(set(numbers.tolist())) < 2:
            continue
        some, other = x[rows][:, left], y[rows][:, right]
        value[at] = correlations(some, other, method)
        with ThreadPoolExecutor(1) as beside_this:  # NumPy holds no lock while it computes
            permuted = beside_this.submit(permutation_p, some, other, numbers, method, resamples, seed)
            low[at], high[at] = intervals(some, other, numbers, method, resamples, seed)
            p[at] = permuted.result()
    undefined = np.isnan(value)
    low[undefined], high[undefined], p[undefined] = np.nan, np.nan, np.nan
    reasons = {
        (int(i), int(j)): _reason(x[:, i], y[:, j], predictors[i], scores[j], int(families[i, j]))
        for i, j in zip(*np.nonzero(undefined), strict=True)
    }
    return Matrix(
        tuple(predictors), tuple(scores), method, n, families, value, low, high, p, benjamini_hochberg(p), reasons
    )


def beside(parts: Sequence[Matrix]) -> Matrix:
    """Matrices of the same predictors with different scores as one, corrected over all of it."""
    arrays = {name: np.hstack([getattr(part, name) for part in parts]) for name in _ARRAYS}
    reasons, start = {}, 0
    for part in parts:
        reasons |= {(i, j + start): reason for (i, j), reason in part.reasons.items()}
        start += len(part.scores)
    names = tuple(score for part in parts for score in part.scores)
    q = benjamini_hochberg(arrays["p"])
    return Matrix(parts[0].predictors, names, parts[0].method, **arrays, q=q, reasons=reasons)


_ARRAYS = ("n", "families", "value", "low", "high", "p")


def check(models: int, family: Sequence[str]) -> None:
    """Raise InputError where no correlation can mean anything."""
    if models < LEAST_MODELS:
        raise InputError(
            f"{models} {'model has' if models == 1 else 'models have'} both a score and an estimate; expected at least "
            f"{LEAST_MODELS}: estimate more of the models that have scores, or import scores of those you estimated."
        )
    if len(set(family)) < 2:
        raise InputError(
            f"All {models} models are of one family, {next(iter(family))}, and siblings are one observation; expected "
            "two families at least: add models of another family, or compare checkpoints along training."
        )


def numbered(family: Sequence[str]) -> np.ndarray:
    """Families as numbers from 0, in the order of their names."""
    return np.unique(np.asarray(family, dtype=str), return_inverse=True)[1]


def _complete(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows without a gap, and the columns of x and of y that are measured on just these rows."""
    for of_x, left in _patterns(x):
        for of_y, right in _patterns(y):
            yield of_x & of_y, left, right


def _patterns(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    known, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for number in range(known.shape[1]):
        yield known[:, number], np.flatnonzero(which.ravel() == number)


def _reason(x: np.ndarray, y: np.ndarray, predictor: str, score: str, families: int) -> str:
    both = np.isfinite(x) & np.isfinite(y)
    if (count := int(both.sum())) < LEAST_MODELS:
        return f"{count} models have both {predictor} and {score}; expected at least {LEAST_MODELS}."
    if families < 2:
        return f"The {count} models that have {score} are of one family; expected two."
    name, value = (predictor, x) if np.ptp(x[both]) == 0 else (score, y)
    return f"{name} is {value[both][0]:.4g} for all {count} models; a constant has no correlation."

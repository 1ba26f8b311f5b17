"""Every predictor against every score: coefficient, interval, p and q, or the reason why there is none."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softh.analysis.correlation.coefficients import Method, correlations
from softh.analysis.correlation.resampling import LEAST_FAMILIES, benjamini_hochberg, intervals
from softh.blas import one_thread
from softh.errors import InputError
from softh.format import and_more

LEAST_MODELS = 4


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
    """Two-sided, of the interval: below .05 just where that leaves out 0; not corrected."""
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
) -> Matrix:
    """Correlate x [n, predictors] with y [n, scores], one row a model; NaN means that a model has no such number.

    Every cell uses the models that have both. Raises InputError for fewer than four models or three families.
    """
    check(len(x), family)
    shape = (x.shape[1], y.shape[1])
    value, low, high, p = (np.full(shape, np.nan) for _ in range(4))
    n, families = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for rows, left, right in _complete(x, y):
        at = np.ix_(left, right)
        numbers = numbered([family[i] for i in np.flatnonzero(rows)])
        n[at], families[at] = len(numbers), len(set(numbers.tolist()))
        if len(numbers) < LEAST_MODELS or len(set(numbers.tolist())) < LEAST_FAMILIES:
            continue
        some, other = x[rows][:, left], y[rows][:, right]
        value[at] = correlations(some, other, method)
        found = intervals(some, other, numbers, method)
        low[at], high[at], p[at] = found.low, found.high, found.p
    undefined = np.isnan(value) | np.isnan(low)
    for each in (low, high, p):
        each[undefined] = np.nan
    reasons = {
        (int(i), int(j)): _reason(x[:, i], y[:, j], predictors[i], scores[j], family)
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
    if len(set(numbered(family).tolist())) < LEAST_FAMILIES:
        names = and_more(sorted(set(family)), LEAST_FAMILIES)
        raise InputError(
            f"All {models} models are of {_families(family)}, {names}, and siblings are one observation; expected "
            f"{LEAST_FAMILIES} families at least: add models of another family, or compare checkpoints along training."
        )


def numbered(family: Sequence[str]) -> np.ndarray:
    """Families as numbers from 0, in the order of their names.

    Names that differ by case, spaces or the sign between words are one family, and so are all models of an unknown one:
    siblings taken apart would pass for independent.
    """
    return np.unique([key(name) for name in family], return_inverse=True)[1]


def key(family: str) -> str:
    """The name of a family as families are told apart.

    >>> key("Llama 3"), key(" llama_3"), key("?"), key("")
    ('llama-3', 'llama-3', 'unknown', 'unknown')
    """
    name = re.sub(r"[\s_-]+", "-", family.strip().casefold())
    return name if name not in _UNKNOWN else "unknown"


_UNKNOWN = {"", "?", "-", "none", "null", "n/a", "other", "unknown"}


def family_names(family: Sequence[str]) -> list[str]:
    """One name for each family of :func:`numbered`, in its order."""
    return [sorted(name for name in set(family) if key(name) == one)[0] for one in sorted({key(f) for f in family})]


def _families(family: Sequence[str]) -> str:
    count = len(set(numbered(family).tolist()))
    return "one family" if count == 1 else f"{count} families"


def _complete(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows without a gap, and the columns of x and of y that are measured on just these rows."""
    for of_x, left in _patterns(x):
        for of_y, right in _patterns(y):
            yield of_x & of_y, left, right


def _patterns(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    known, which = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for number in range(known.shape[1]):
        yield known[:, number], np.flatnonzero(which.ravel() == number)


def _reason(x: np.ndarray, y: np.ndarray, predictor: str, score: str, family: Sequence[str]) -> str:
    both = np.isfinite(x) & np.isfinite(y)
    if (count := int(both.sum())) < LEAST_MODELS:
        return f"{count} models have both {predictor} and {score}; expected at least {LEAST_MODELS}."
    mine = [family[i] for i in np.flatnonzero(both)]
    if len(set(numbered(mine).tolist())) < LEAST_FAMILIES:
        return f"The {count} models that have {score} are of {_families(mine)}; expected {LEAST_FAMILIES}."
    for name, value in ((predictor, x), (score, y)):
        if np.ptp(value[both]) == 0:
            return f"{name} is {value[both][0]:.4g} for all {count} models; a constant has no correlation."
    numbers = numbered(mine)
    for name, value in ((predictor, x), (score, y)):
        for number, one in enumerate(family_names(mine)):
            if np.ptp(value[both][numbers != number]) == 0:
                return (
                    f"Without {one} {name} is the same for all models: the association rests on one family, and has no "
                    "interval."
                )
    return f"{predictor} and {score} leave no interval."

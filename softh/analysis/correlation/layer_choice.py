"""Differences along training runs; and nested choice of a layer, by the other families."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.special import stdtrit

from softh.analysis.correlation.coefficients import Method, correlations, midranks, standardised
from softh.analysis.correlation.matrix import LEAST_MODELS, Matrix
from softh.analysis.correlation.resampling import (
    LEAST_FAMILIES,
    LEVEL,
    benjamini_hochberg,
    degrees,
    fisher,
    interval,
    nearest_to_one,
)
from softh.errors import InputError

DEPTHS = 11
"""Depths among which a layer is chosen, from the first transformer layer to the last, evenly."""
PERMUTATIONS = 1_000
_CHUNK = 2**20


def differences(values: np.ndarray, run: Sequence[str], clock: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Change of every column of values [n, k] from one checkpoint of a run to the next, and the run of each change.

    Whatever rises or falls while a model trains correlates with whatever else does, related or not, so levels along
    one run say nothing; changes do. clock [n] orders the checkpoints of a run.
    """
    changes, runs = [], []
    for name in sorted(set(run)):
        rows = np.flatnonzero(np.array([other == name for other in run]))
        rows = rows[np.argsort(clock[rows], kind="stable")]
        changes.append(np.diff(values[rows], axis=0))
        runs += [name] * (len(rows) - 1)
    if not runs:
        raise InputError(
            "No run has two checkpoints with a score; expected at least two: estimate more steps of a run that has "
            "scores by step."
        )
    return np.concatenate(changes), runs


@dataclass(frozen=True)
class Chosen:
    """A predictor made of the layer that the other families chose, and how it correlates with the score."""

    values: np.ndarray  # [n], standardised on the families that chose, turned so that more predicts more
    again: np.ndarray  # [families, n] chosen anew without each family, which has NaN
    depths: np.ndarray  # [families] depth chosen without that family, 0 the first transformer layer, 1 the last
    value: float
    """Pearson's coefficient of the values with the score; for rank methods of ranks, taken before the choice."""
    low: float
    high: float
    p: float


def at_depths(profile: np.ndarray) -> np.ndarray:
    """Values [DEPTHS] of a profile [layers] of transformer layers, interpolated over relative depth."""
    return np.interp(np.linspace(0, 1, DEPTHS), np.linspace(0, 1, len(profile)), profile)


def nested(
    profiles: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, permutations: int = PERMUTATIONS
) -> Chosen:
    """For each family the depth of profiles [n, depths] that predicts y [n] best among all other families.

    A best-looking layer is the best of many, and looks better than it is; here no model is judged by a layer that its
    own score helped to choose. The error is that of leaving each family out and choosing anew; how many of them the
    95 % interval takes, and p with it, is known from permuted scores, for which layers are chosen anew as well; see
    :func:`permuted`. Raises InputError for fewer than three families.
    """
    families = int(family.max()) + 1
    if families < LEAST_FAMILIES or len(y) < LEAST_MODELS:
        raise InputError(
            f"{families} families have scores; expected at least {LEAST_FAMILIES} to choose a layer on some and judge "
            "it on another: take the mean over layers."
        )
    order = np.argsort(family, kind="stable")
    if method != "pearson":
        profiles, y = midranks(profiles), midranks(y[:, None])[:, 0]
    x, y, of_model = standardised(profiles)[order], standardised(y[:, None])[order, 0], family[order]
    every = _Choice(x, of_model)
    coefficients, values = every.judge(y[None])
    depths = every.depth[0, :, -1] / (profiles.shape[1] - 1)
    sizes = np.bincount(family)
    value, without = coefficients[0, -1], coefficients[0, :-1]
    generator = np.random.default_rng(0)
    step = max(1, _CHUNK // (families * (families + 1) * x.shape[1]))
    ratios = []
    for start in range(0, permutations, step):
        by_chance, _ = every.judge(permuted(y, of_model, min(step, permutations - start), generator))
        errors = interval(by_chance[:, -1], by_chance[:, :-1].T, sizes, "pearson").error
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(np.abs(fisher(by_chance[:, -1], nearest_to_one(len(y), "pearson"))) / errors)
    usual = stdtrit(degrees(sizes), (1 + LEVEL) / 2)
    known = np.concatenate(ratios)
    known = np.sort(known[~np.isnan(known)])
    # What was seen counts as one of the permutations: of m others, that of rank .95 (m + 1) is exceeded in 5 %.
    rank = min(math.ceil(LEVEL * (len(known) + 1)), len(known))
    stretch = known[rank - 1] / usual if len(known) else math.nan
    found = interval(np.asarray(value), without, sizes, "pearson", stretch=float(stretch))
    placed = np.empty_like(values)
    placed[:, order] = values
    return Chosen(
        placed[-1], placed[:-1], depths, float(value), float(found.low), float(found.high), float(found.p),
    )  # fmt: skip


def permuted(y: np.ndarray, family: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Permutations [count, n] of scores y [n] whose families are as alike as those of y; family [n] is sorted.

    Scores that are permuted over models freely share nothing within a family any more, and coefficients of families
    that do share spread wider. So the order is that of normal variables of which the same part of the variance lies
    between families.
    """
    share = between(y, family)
    of_family = generator.standard_normal((count, int(family[-1]) + 1))[:, family]
    latent = math.sqrt(share) * of_family + math.sqrt(1 - share) * generator.standard_normal((count, len(y)))
    return np.sort(y)[np.argsort(np.argsort(latent, axis=1), axis=1)]


def between(y: np.ndarray, family: np.ndarray) -> float:
    """Part of the variance of y [n] that lies between families, 0 to 1: by analysis of variance, of random effects.

    0 where no family has two models, since nothing is known then.

    >>> between(np.array([1.0, 1.2, 3.0, 3.2, 5.0, 5.2]), np.array([0, 0, 1, 1, 2, 2])) > 0.9
    True
    """
    sizes = np.bincount(family)
    n, families = len(y), len(sizes)
    if n == families:
        return 0.0
    means = np.bincount(family, y) / sizes
    within = float(((y - means[family]) ** 2).sum()) / (n - families)
    among = float((sizes * (means - y.mean()) ** 2).sum()) / (families - 1)
    of_families = max(0.0, (among - within) * (families - 1) / (n - float((sizes**2).sum()) / n))
    return of_families / (of_families + within) if of_families else 0.0


def with_chosen(result: Matrix, chosen: Mapping[str, Chosen]) -> Matrix:
    """A matrix of one score with the coefficients of predictors whose layer was chosen; see :func:`nested`."""
    arrays = {name: getattr(result, name).copy() for name in ("value", "low", "high", "p")}
    for name, one in chosen.items():
        i = result.predictors.index(name)
        for which, values in arrays.items():
            values[i, 0] = getattr(one, which)
    q = benjamini_hochberg(arrays["p"])
    left = {place: why for place, why in result.reasons.items() if np.isnan(arrays["low"][place])}
    return replace(result, **arrays, q=q, reasons=left)


def best_looking(profiles: np.ndarray, y: np.ndarray, method: Method) -> tuple[float, float]:
    """Depth and coefficient of the layer of largest |coefficient| over all models: optimistic, as the best of many."""
    coefficients = correlations(profiles, y[:, None], method)[:, 0]
    best = int(np.nanargmax(np.abs(coefficients)))
    return best / (profiles.shape[1] - 1), float(coefficients[best])


class _Choice:
    """Depths chosen for every family f without f and g, g each family or none, for many scores at once.

    Sums over families give every mean, variance and product without two of them.
    """

    def __init__(self, x: np.ndarray, family: np.ndarray) -> None:
        """x [n, depths], sorted by family."""
        self.x, self.family = x, family
        families = int(family[-1]) + 1
        self.begin = np.searchsorted(family, np.arange(families))
        self.sizes = np.bincount(family).astype(float)
        one = np.eye(families)
        with_none = np.concatenate([one, np.zeros((1, families))])
        self.chooses = 1 - np.maximum(one[:, None], with_none[None])  # [f, g, families]
        self.judged = 1 - with_none.T  # [f, g]
        self.sums, self.squares = (np.add.reduceat(each, self.begin) for each in (x, x**2))
        self.depth = np.empty(0)

    def judge(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients [scores, families + 1] of y [scores, n], the last with no family left out.

        And the values [families + 1, n] of the predictor for the first score.
        """
        sums_y, squares_y = (np.add.reduceat(each, self.begin, axis=1) for each in (y, y**2))
        bounds = [*self.begin.tolist(), len(self.x)]
        products = np.stack(
            [y[:, a:b] @ self.x[a:b] for a, b in pairwise(bounds)], axis=1
        )  # [scores, families, depths]
        n = self.chooses @ self.sizes
        x, xx = self.chooses @ self.sums, self.chooses @ self.squares
        of_y, of_yy = (np.einsum("fgk,sk->sfg", self.chooses, each) for each in (sums_y, squares_y))
        xy = np.tensordot(products, self.chooses, axes=(1, 2)).transpose(0, 2, 3, 1)
        variance = xx - x**2 / n[..., None]
        enough = variance > 1e-9 * n[..., None]
        scale = np.sqrt(np.where(enough, variance, 1))
        covariance = xy - x * (of_y / n)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.where(enough, covariance / scale, 0) / np.sqrt(np.maximum(of_yy - of_y**2 / n, 0))[..., None]
        self.depth = np.nanargmax(np.abs(np.nan_to_num(r)), axis=-1)
        best = self.depth

        def at(values: np.ndarray) -> np.ndarray:
            return np.take_along_axis(np.broadcast_to(values, r.shape), best[..., None], axis=-1)[..., 0]

        turn, mean = np.sign(np.nan_to_num(at(r))), at(x) / n
        spread = at(scale) / np.sqrt(n)
        size = self.sizes[:, None]
        own, own_squares, own_products = (at(each[..., :, None, :]) for each in (self.sums, self.squares, products))
        v = turn * (own - size * mean) / spread
        vv = turn**2 * (own_squares - 2 * mean * own + size * mean**2) / spread**2
        vy = turn * (own_products - mean * sums_y[:, :, None]) / spread
        total = (self.judged * size).sum(0)
        v, vv, vy, y_, yy = (
            (self.judged * each).sum(1) for each in (v, vv, vy, sums_y[:, :, None], squares_y[:, :, None])
        )
        below = (vv - v**2 / total) * (yy - y_**2 / total)
        r_judged = np.divide(vy - v * y_ / total, np.sqrt(np.where(below > 1e-12, below, 1)))
        return np.where(below > 1e-12, r_judged, np.nan), self._values(best[0], turn[0], mean[0], spread[0])

    def _values(self, depth: np.ndarray, turn: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        f = self.family
        rows = np.arange(len(f))[:, None]
        values = turn[f] * (self.x[rows, depth[f]] - mean[f]) / spread[f]  # [n, families + 1]
        gone = np.append(np.eye(len(self.sizes), dtype=bool), np.zeros((1, len(self.sizes)), dtype=bool), axis=0)
        return np.where(gone[:, f], np.nan, values.T)

"""What is left of a correlation given size, tokens or family; without one family or one model; in a mixed model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from softh.analysis.correlation.coefficients import Method, correlations, midranks, standardised, weighted
from softh.analysis.correlation.resampling import LEAST_FAMILIES, LEVEL, alone, degrees, interval

_COLLINEAR = 1e-8
"""Residual variance of a standardised column below which its controls determine it."""


@dataclass(frozen=True)
class Effect:
    """One coefficient with its 95 % interval, two-sided p and error of Fisher's z; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    n: int
    families: int
    p: float = float("nan")
    error: float = float("nan")


def plain(x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method) -> Effect:
    """The coefficient itself of x [n] with y [n]."""
    return partial("as it is", x, y, family, np.empty((len(x), 0)), method)


def partial(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    family: np.ndarray,
    given: np.ndarray,
    method: Method,
    again: np.ndarray | None = None,
) -> Effect:
    """Partial coefficient of x with y given the columns of given [n, k]; Kendall's by the same formula on taus.

    again [families, n]: what x is without each family, where it was made of the data; see :class:`Chosen`.
    """
    families = int(family.max()) + 1
    value = _partial(correlations(*_twice(x, y, given), method)[None])[0]
    if again is None:
        without = _partial(weighted(*_twice(x, y, given), family, 1 - np.eye(families), method))
    else:
        parts = [family != f for f in range(families)]
        without = np.array(
            [
                _partial(correlations(*_twice(again[f, rest], y[rest], given[rest]), method)[None])[0]
                for f, rest in enumerate(parts)
            ]
        )
    found = interval(value, without, np.bincount(family), method, given.shape[1])
    if not np.isfinite(value):
        return Effect(name, np.nan, np.nan, np.nan, len(x), families)
    low, high, p, error = (float(each) for each in (found.low, found.high, found.p, found.error))
    return Effect(name, float(value), low, high, len(x), families, p, error)


def _twice(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    columns = np.column_stack([x, y, given])
    return columns, columns


def within(
    name: str, x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, again: np.ndarray | None = None
) -> Effect:
    """Coefficient of what sets a model apart from its own family: family means taken away, of ranks but for Pearson.

    Families of one model say nothing here and are left out.
    """
    kept = np.bincount(family)[family] > 1
    if again is not None:
        again = again[np.unique(family[kept])][:, kept]
    x, y, family = x[kept], y[kept], np.unique(family[kept], return_inverse=True)[1]
    families = int(family.max(initial=-1)) + 1
    if len(x) < 4 or families < LEAST_FAMILIES:
        return Effect(name, np.nan, np.nan, np.nan, len(x), families)
    if method != "pearson":
        x, y = midranks(np.column_stack([x, y])).T
    columns = np.column_stack([x, y] if again is None else [x, y, *again])
    sizes = np.bincount(family)[:, None]
    means = np.column_stack([np.bincount(family, column) for column in columns.T]) / sizes
    x, y, *others = (columns - means[family]).T
    return partial(
        name, x, y, family, np.empty((len(x), 0)), "pearson", np.array(others) if again is not None else None
    )


def mixed(name: str, x: np.ndarray, y: np.ndarray, family: np.ndarray) -> tuple[Effect, float]:
    """Slope of y on x, both standardised, with family as a random intercept (REML), and the families' share.

    The share is the part of the variance left that lies between families: zero is an answer, NaN where each family
    is one model, which cannot tell. Slope and scale have closed forms given the share (Harville 1977), so that it alone
    is looked for; the interval is that of least squares with these variances.
    """
    x, y = standardised(x), standardised(y)
    families, n = int(family.max()) + 1, len(x)
    nothing = Effect(name, np.nan, np.nan, np.nan, n, families)
    if n < 3 or np.ptp(x) == 0:
        return nothing, float("nan")
    columns = np.stack([np.ones(n), x, y])  # of every family only sums count
    of_family = np.stack([np.bincount(family, column, families) for column in columns])
    sizes, outer = of_family[0], of_family[:, None] * of_family[None]
    squares = columns @ columns.T

    def fit(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Minus twice the likelihood, slope, its variance and what is left of the variance, of shares [k]."""
        ratio = (share / (1 - share))[:, None]  # of the variance between families to that within
        shrunk = ratio / (1 + ratio * sizes)
        sums = squares - np.einsum("kf,abf->kab", shrunk, outer)
        (a, b), d = (sums[:, 0, 0], sums[:, 0, 1]), sums[:, 1, 1]
        determinant = np.maximum(a * d - b * b, 1e-300)
        of_y = sums[:, :2, 2]
        intercept = (d * of_y[:, 0] - b * of_y[:, 1]) / determinant
        slope = (a * of_y[:, 1] - b * of_y[:, 0]) / determinant
        left = np.maximum(sums[:, 2, 2] - intercept * of_y[:, 0] - slope * of_y[:, 1], 1e-15 * n) / (n - 2)
        likelihood = (n - 2) * np.log(left) + np.log1p(ratio * sizes).sum(1) + np.log(determinant)
        return likelihood, slope, left * a / determinant, left

    low, high = 0.0, 1 - 1e-9
    for _ in range(_ROUNDS):
        shares = np.linspace(low, high, _GRID)
        best = int(fit(shares)[0].argmin())
        low, high = shares[max(best - 1, 0)], shares[min(best + 1, _GRID - 1)]
    share = float(shares[best]) if sizes.max() > 1 else 0.0
    _, [slope], [variance], [left] = fit(np.array([share]))
    if left <= 1e-12:  # every model on the line: nothing is left to be shared
        return Effect(name, float(slope), np.nan, np.nan, n, families), float("nan")
    half = float(ndtri((1 + LEVEL) / 2) * np.sqrt(variance))
    effect = Effect(name, float(slope), float(slope) - half, float(slope) + half, n, families)
    return effect, share if sizes.max() > 1 else float("nan")


_GRID, _ROUNDS = 41, 6
"""Shares that are tried at a time, and how often their range is narrowed around the best: to 10⁻⁷."""


def without_each_family(
    x: np.ndarray, y: np.ndarray, family: np.ndarray, names: Sequence[str], method: Method
) -> list[Effect]:
    """The coefficient without each family in turn; a point each, since these are no independent numbers."""
    families = int(family.max()) + 1
    coefficients = weighted(x[:, None], y[:, None], family, 1 - np.eye(families), method)[:, 0, 0]
    sizes = np.bincount(family)
    return [
        Effect(f"without {names[f]}", float(coefficients[f]), np.nan, np.nan, int(len(x) - sizes[f]), families - 1)
        for f in range(families)
    ]


def without_each_model(x: np.ndarray, y: np.ndarray, method: Method) -> np.ndarray:
    """The coefficient without each model in turn, [n]."""
    alone = np.arange(len(x))
    return weighted(x[:, None], y[:, None], alone, 1 - np.eye(len(x)), method)[:, 0, 0]


@dataclass(frozen=True)
class Line:
    """A straight line through the points, with the 95 % interval of its height."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    residual: np.ndarray  # [n], in standard deviations of all


def line(x: np.ndarray, y: np.ndarray, family: np.ndarray, points: int = 40) -> Line:
    """Least squares of y [n] on x [n]; its interval by leaving each family out, as that of the coefficient."""
    families = int(family.max()) + 1
    sums = np.stack([np.bincount(family, v, families) for v in (np.ones_like(x), x, y, x * x, x * y)], axis=1)
    grid = np.linspace(x.min(), x.max(), points)

    def heights(weights: np.ndarray) -> np.ndarray:
        n, of_x, of_y, squares, products = (weights @ sums).T
        slope = (n * products - of_x * of_y) / np.maximum(n * squares - of_x**2, 1e-12 * n * squares + 1e-300)
        return ((of_y - slope * of_x) / n)[:, None] + slope[:, None] * grid

    fit = heights(np.ones((1, families)))[0]
    half = np.full(points, np.nan)
    if families >= LEAST_FAMILIES:
        without = heights(1 - np.eye(families))
        error = np.sqrt((families - 1) / families * ((without - without.mean(0)) ** 2).sum(0))
        half = stdtrit(degrees(np.bincount(family)), (1 + LEVEL) / 2) * error
    left = y - np.interp(x, grid, fit)
    return Line(grid, fit, fit - half, fit + half, left / (left.std() or 1))


@dataclass(frozen=True)
class Comparison:
    """Whether one of two predictors of the same score correlates more strongly, in absolute value."""

    first: float
    second: float
    between: float
    """Correlation of the two predictors."""
    n: int
    low: float
    high: float
    """95 % interval of |first| − |second|, each family left out."""
    p: float
    """From that interval."""


def compare(
    first: np.ndarray,
    second: np.ndarray,
    y: np.ndarray,
    family: np.ndarray,
    method: Method,
    again: np.ndarray | None = None,
) -> Comparison | None:
    """Two predictors [n] of y [n], each turned so that it correlates positively; None where they order models alike."""
    columns = np.column_stack([first, second, y])
    whole = correlations(columns, columns, method)
    turn = np.where(whole[:2, 2] < 0, -1.0, 1.0)
    a, b, between = abs(whole[0, 2]), abs(whole[1, 2]), whole[0, 1] * turn.prod()
    families = int(family.max()) + 1
    if not np.isfinite(whole).all() or 1 - between < _COLLINEAR or families < LEAST_FAMILIES:
        return None
    if again is None:
        without = weighted(columns[:, :2] * turn, y[:, None], family, 1 - np.eye(families), method)[..., 0]
    else:
        parts = [(np.column_stack([again[f], second])[family != f] * turn, family != f) for f in range(families)]
        without = np.array([correlations(x, y[rest, None], method)[:, 0] for x, rest in parts])
    apart = without[:, 0] - without[:, 1]
    error = np.sqrt((families - 1) / families * ((apart - apart.mean()) ** 2).sum())
    freedom = degrees(np.bincount(family))
    half = stdtrit(freedom, (1 + LEVEL) / 2) * error
    p = float(2 * stdtr(freedom, -abs(a - b) / error)) if error > 0 else float("nan")
    return Comparison(a, b, between, len(y), a - b - half, a - b + half, p)


def smallest(n: int, power: float = 0.8, level: float = 0.05) -> float:
    """Smallest |r| that n independent models would show at this level with this power; NaN for fewer than four."""
    if n < 4:
        return float("nan")
    return float(np.tanh((ndtri(1 - level / 2) + ndtri(power)) / np.sqrt(n - 3)))


def smallest_here(effect: Effect, sizes: np.ndarray, method: Method, power: float = 0.8) -> float:
    """The same for families of these sizes, from the error that leaving each out gave, or of independent models.

    The larger of both: models of few families say less than as many independent ones, and where their error looks
    smaller, that is chance.
    """
    if not np.isfinite(effect.error):
        return float("nan")
    freedom = degrees(sizes)
    error = max(effect.error, alone(effect.n, method))
    return float(np.tanh((stdtrit(freedom, (1 + LEVEL) / 2) + stdtrit(freedom, power)) * error))


def _partial(r: np.ndarray) -> np.ndarray:
    """Partial coefficient of the first two variables given the rest, from correlation matrices [b, k, k]: [b]."""
    if r.shape[1] == 2:
        return r[:, 0, 1]
    a, b, c = r[:, :2, :2], r[:, :2, 2:], r[:, 2:, 2:]
    # A pseudo-inverse: two controls may say the same, and a resample may leave one of them constant.
    usable = np.isfinite(r).all((1, 2))
    left = np.full(a.shape, np.nan)
    inverse = np.linalg.pinv(c[usable], rcond=_COLLINEAR, hermitian=True)
    left[usable] = a[usable] - b[usable] @ inverse @ b[usable].transpose(0, 2, 1)
    variance = left[:, 0, 0] * left[:, 1, 1]
    enough = (left[:, 0, 0] > _COLLINEAR) & (left[:, 1, 1] > _COLLINEAR)
    return np.divide(left[:, 0, 1], np.sqrt(np.where(enough, variance, 1)), out=np.full(len(r), np.nan), where=enough)

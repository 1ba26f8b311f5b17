"""What is left of a correlation given size, tokens or family; without one family or one model; in a mixed model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from softh.analysis.correlation.coefficients import Method, correlations, midranks, standardised, weighted
from softh.analysis.correlation.resampling import around, fisher

_COLLINEAR = 1e-8
"""Residual variance of a standardised column below which its controls determine it."""


@dataclass(frozen=True)
class Effect:
    """One coefficient with its 95 % interval; NaN where there is none."""

    name: str
    value: float
    low: float
    high: float
    n: int
    families: int


def plain(x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, resamples: int) -> Effect:
    """The coefficient itself of x [n] with y [n]."""
    return partial("as it is", x, y, family, np.empty((len(x), 0)), method, resamples)


def partial(
    name: str, x: np.ndarray, y: np.ndarray, family: np.ndarray, given: np.ndarray, method: Method, resamples: int
) -> Effect:
    """Partial coefficient of x with y given the columns of given [n, k]; Kendall's by the same formula on taus."""
    columns = np.column_stack([x, y, given])

    def statistic(weights: np.ndarray) -> np.ndarray:
        return _partial(weighted(columns, columns, family, weights, method))

    families = int(family.max()) + 1
    value = float(_partial(correlations(columns, columns, method)[None])[0])
    low, high = around(statistic, families, resamples, method)
    if not np.isfinite(value):
        low = high = np.array(np.nan)
    return Effect(name, value, float(low), float(high), len(x), families)


def partial_p(value: float, n: int, given: int) -> float:
    """Two-sided p of a partial Pearson or Spearman coefficient of n independent models, t with n − 2 − given."""
    freedom = n - 2 - given
    if freedom < 1:
        return float("nan")
    return float(2 * stdtr(freedom, -abs(value) * np.sqrt(freedom / max(1 - value**2, 1e-300))))


def within(name: str, x: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, resamples: int) -> Effect:
    """Coefficient of what sets a model apart from its own family: family means taken away, of ranks but for Pearson.

    Families of one model say nothing here and are left out.
    """
    kept = np.bincount(family)[family] > 1
    x, y, family = x[kept], y[kept], np.unique(family[kept], return_inverse=True)[1]
    if len(x) < 4 or int(family.max(initial=-1)) < 1:
        return Effect(name, np.nan, np.nan, np.nan, len(x), len(set(family.tolist())))
    both = np.column_stack([x, y])
    both = both if method == "pearson" else midranks(both)
    sizes = np.bincount(family)[:, None]
    means = np.column_stack([np.bincount(family, column) for column in both.T]) / sizes
    left = both - means[family]
    return partial(name, left[:, 0], left[:, 1], family, np.empty((len(x), 0)), "pearson", resamples)


def mixed(name: str, x: np.ndarray, y: np.ndarray, family: np.ndarray) -> tuple[Effect, float]:
    """Slope of y on x, both standardised, with family as a random intercept (REML), and the families' share.

    The share is the part of the variance left that lies between families.
    """
    import warnings

    from statsmodels.regression.mixed_linear_model import MixedLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, SingularMatrixWarning

    families = len(set(family.tolist()))
    design = np.column_stack([np.ones(len(x)), standardised(x)])
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # A variance of zero between families is an answer; statsmodels warns of it, and only Powell's method, which
        # asks for no gradient there, always gets to it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", SingularMatrixWarning)
        try:
            fit = MixedLM(standardised(y), design, groups=family).fit(reml=True, method=["powell"])
        except np.linalg.LinAlgError:
            return Effect(name, np.nan, np.nan, np.nan, len(x), families), float("nan")
    between = float(np.squeeze(fit.cov_re))
    low, high = fit.conf_int()[1]
    effect = Effect(name, float(fit.params[1]), float(low), float(high), len(x), families)
    left = between + float(fit.scale)
    return effect, between / left if left > 0 else float("nan")


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
    """A straight line through the points, with the 95 % interval of its height, families resampled."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    residual: np.ndarray  # [n], in standard deviations of all


def line(x: np.ndarray, y: np.ndarray, family: np.ndarray, resamples: int, points: int = 40) -> Line:
    """Least squares of y [n] on x [n]."""
    families = int(family.max()) + 1
    sums = np.stack([np.bincount(family, v, families) for v in (np.ones_like(x), x, y, x * x, x * y)], axis=1)
    counts = np.random.default_rng(0).multinomial(families, np.full(families, 1 / families), resamples)
    grid = np.linspace(x.min(), x.max(), points)

    def heights(weights: np.ndarray) -> np.ndarray:
        n, of_x, of_y, squares, products = (weights @ sums).T
        slope = (n * products - of_x * of_y) / np.maximum(n * squares - of_x**2, 1e-12 * n * squares + 1e-300)
        return ((of_y - slope * of_x) / n)[:, None] + slope[:, None] * grid

    fit = heights(np.ones((1, families)))[0]
    spread = heights(counts.astype(float)).std(0) * np.sqrt(families / max(families - 1, 1))
    half = stdtrit(families - 1, 0.975) * spread if families > 1 else np.full(points, np.nan)
    left = y - np.interp(x, grid, fit)
    return Line(grid, fit, fit - half, fit + half, left / (left.std() or 1))


@dataclass(frozen=True)
class Comparison:
    """Whether one of two predictors of the same score correlates more strongly, in absolute value."""

    first: float
    second: float
    between: float
    """Correlation of the two predictors."""
    t: float
    p: float
    n: int
    low: float
    high: float
    """95 % interval of |first| − |second|, families resampled."""


def williams(first: float, second: float, between: float, n: int) -> tuple[float, float]:
    """Williams' t, and its two-sided p at n − 3 degrees of freedom, of two correlations that share a variable."""
    if n < LEAST_WILLIAMS:
        return float("nan"), float("nan")
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    mean = (first + second) / 2
    scale = 2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - between) ** 3
    if scale <= 0 or 1 - between < _COLLINEAR:
        return float("nan"), float("nan")
    t = (first - second) * np.sqrt((n - 1) * (1 + between) / scale)
    return float(t), float(2 * stdtr(n - 3, -abs(t)))


LEAST_WILLIAMS = 5


def compare(
    first: np.ndarray, second: np.ndarray, y: np.ndarray, family: np.ndarray, method: Method, resamples: int
) -> Comparison:
    """Williams' test of two predictors [n] of y [n], each turned so that it correlates positively."""
    columns = np.column_stack([first, second, y])
    whole = correlations(columns, columns, method)
    turn = np.where(whole[:2, 2] < 0, -1.0, 1.0)
    a, b, between = abs(whole[0, 2]), abs(whole[1, 2]), whole[0, 1] * turn.prod()
    t, p = williams(a, b, between, len(y))
    predictors = np.column_stack([first, second]) * turn

    def difference(weights: np.ndarray) -> np.ndarray:
        coefficients = weighted(predictors, y[:, None], family, weights, method)[..., 0]
        return (coefficients[:, 0] - coefficients[:, 1]) / 2  # within −1 to 1, as a coefficient is

    low, high = around(difference, int(family.max()) + 1, resamples, method)
    return Comparison(a, b, between, t, p, len(y), 2 * float(low), 2 * float(high))


def smallest(n: int, power: float = 0.8, level: float = 0.05) -> float:
    """Smallest |r| that n independent models would show at this level with this power; NaN for fewer than four."""
    if n < 4:
        return float("nan")
    return float(np.tanh((ndtri(1 - level / 2) + ndtri(power)) / np.sqrt(n - 3)))


def smallest_here(effect: Effect, power: float = 0.8) -> float:
    """The same for these families, from the width of the interval that resampling them gave."""
    if effect.families < 2 or not np.isfinite(effect.low):
        return float("nan")
    freedom = effect.families - 1
    critical = stdtrit(freedom, 0.975)
    error = (fisher(np.array(effect.high)) - fisher(np.array(effect.low))) / 2 / critical
    return float(np.tanh((critical + stdtrit(freedom, power)) * error))


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

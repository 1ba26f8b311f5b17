"""Where the phases of pretraining end: collapse at the least entropy, fitting at the largest I(Y;Z), compression after.

A boundary is a change point: the place on the axis of log steps at which the slope of a curve changes its sign. Two
segments that meet there, c − a |u|^p before and c − b |u|^p after it, are fitted by least squares to the checkpoints
around the extreme one; the place, both slopes and the power p (1, 1.5 or 2) are free. Value and 95 % interval are the
median and the quantiles of resamples: the reference directions are drawn again with replacement, the same ones at all
checkpoints, since checkpoints share them; the error over documents is added as noise, with the values without each fold
alike at checkpoints that share their documents; runs that differ by their seed are drawn again too; the number of
fitted checkpoints (5, 7 or 9) is drawn, and one checkpoint near the extreme is left out, so that neither the shape nor
the spacing of the checkpoints passes for certainty.

Noise has an extreme too, so a boundary is told only where the curve turns: where it rises and then falls (H(Z): falls
and then rises) by more than noise alone does either in nineteen of twenty cases. Half of that is how far the curve lies
from every monotone one, so flat, monotone and saturating curves have no phase. The fall of I(X;Z) has a band for all
checkpoints at once, since its largest value was chosen by looking.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from softh.analysis import seeds
from softh.analysis.differences import jackknife
from softh.analysis.standard_errors import combined
from softh.blas import one_thread

Array = NDArray[np.float64]

RESAMPLES = 400
NOISE = 1_000
"""Samples of the noise of a curve."""
POWERS = (1.0, 1.5, 2.0)
"""Shapes of the two sides of a change point: a kink, a round top, and between."""
WIDTHS = (5, 7, 9)
"""Checkpoints that are fitted."""
GRID = 33
LEVEL = 0.95


@dataclass(frozen=True)
class Curve:
    """One quantity along a run, or along several runs that differ by their seed."""

    values: Array
    """[runs, checkpoints]"""
    draws: Array | None
    """Value of every draw of the reference directions, [runs, checkpoints, draws]; None where they are not known."""
    errors: Array
    """Standard error that the draws do not contain, [runs, checkpoints]: over documents; without draws, of both."""
    folds: Array | None = None
    """Value without each fold of documents, the same ones everywhere, [runs, checkpoints, folds]; instead of errors."""

    @classmethod
    def of(
        cls,
        values: Sequence[Sequence[float]],
        draws: Sequence[Sequence[Sequence[float]]] | None,
        errors: Sequence[Sequence[float]],
        folds: Sequence[Sequence[Sequence[float]]] | None = None,
    ) -> "Curve":
        """The same from lists."""
        known, without = (None if each is None else np.array(each, dtype=float) for each in (draws, folds))
        return cls(np.array(values, dtype=float), known, np.array(errors, dtype=float), without)

    def resampled(self, count: int, rng: np.random.Generator) -> Array:
        """Mean over runs in count resamples, [count, checkpoints]."""
        runs = len(self.values)
        of_runs = rng.multinomial(runs, [1 / runs] * runs, size=count) / runs  # [count, runs]
        noise = self._of_documents(count, rng)
        if self.draws is None:
            return np.einsum("nr,nrc->nc", of_runs, self.values + noise)
        draws = self.draws.shape[2]
        of_draws = rng.multinomial(draws, [1 / draws] * draws, size=count) / draws  # [count, draws]
        return np.einsum("nr,rcd,nd->nc", of_runs, self.draws, of_draws) + np.einsum("nr,nrc->nc", of_runs, noise)

    def noise(self, count: int, rng: np.random.Generator) -> Array:
        """Errors of the mean over runs in count samples, [count, checkpoints], alike at checkpoints that share them.

        Of draws, of documents and, of several runs, of seeds, whose spread has their own draws in it once more. A few
        draws or seeds do not know their spread well, so theirs are of Student's t.
        """
        runs = len(self.values)
        total = self._of_documents(count, rng).mean(axis=1)
        if self.draws is not None and self.draws.shape[2] > 1:
            total = total + _of_replicates(self.draws.mean(axis=0), count, rng)
        return total + _of_replicates(self.values.T, count, rng) if runs > 1 else total

    def errors_from_last(self) -> Array:
        """Standard errors of the mean over runs less its last value, [checkpoints]; sources as in :meth:`noise`."""
        runs = len(self.values)
        parts = []
        if self.folds is not None:
            without = _from_last(self.folds.mean(axis=0))
            parts.append(np.array([jackknife(each.tolist()) for each in without]))
        else:
            of_both = np.hypot(self.errors, self.errors[:, -1:])
            of_both[:, -1] = 0
            parts.append(np.sqrt((of_both**2).sum(axis=0)) / runs)
        if self.draws is not None and self.draws.shape[2] > 1:
            of_draws = _from_last(self.draws.mean(axis=0))
            parts.append(of_draws.std(axis=1, ddof=1) / np.sqrt(of_draws.shape[1]))
        if runs > 1:
            parts.append(_from_last(self.values.T).std(axis=1, ddof=1) / np.sqrt(runs))
        return np.sqrt(np.square(parts).sum(axis=0))

    def _of_documents(self, count: int, rng: np.random.Generator) -> Array:
        """Errors over documents, [count, runs, checkpoints]; of folds with the covariance of the jackknife.

        A few folds do not know their spread well, so theirs are of Student's t.
        """
        if self.folds is None:
            runs, checkpoints = self.values.shape
            return rng.standard_normal((count, runs, checkpoints)) * self.errors
        number = self.folds.shape[2]
        apart = (self.folds - self.folds.mean(axis=2, keepdims=True)) * np.sqrt((number - 1) / number)
        noise = rng.standard_normal((count, number)) / np.sqrt(rng.chisquare(number - 1, (count, 1)) / (number - 1))
        return np.einsum("nf,rcf->nrc", noise, apart)

    def after(self, first: int) -> "Curve":
        """The same from a checkpoint on."""
        draws, folds = (None if each is None else each[:, first:] for each in (self.draws, self.folds))
        return Curve(self.values[:, first:], draws, self.errors[:, first:], folds)


def _from_last(values: Array) -> Array:
    return values - values[-1:]


def _of_replicates(values: Array, count: int, rng: np.random.Generator) -> Array:
    """Errors of the mean of replicates [checkpoints, replicates], with their covariance: [count, checkpoints]."""
    number = values.shape[1]
    apart = (values - values.mean(axis=1, keepdims=True)) / np.sqrt(number * (number - 1))
    scale = np.sqrt(rng.chisquare(number - 1, (count, 1)) / (number - 1))
    return (rng.standard_normal((count, number)) / scale) @ apart.T


@dataclass(frozen=True)
class Boundary:
    """The end of a phase, in training steps, with its 95 % interval."""

    step: float
    low: float
    high: float


@dataclass(frozen=True)
class Fall:
    """From the largest value of a curve to its last, with a standard error and its 95 % interval."""

    checkpoint: int
    """Index of the largest value."""
    amount: float
    error: float
    """Of these two checkpoints, as if they had been named before."""
    low: float
    high: float
    """From a band of the falls from all checkpoints at once, so that choosing the largest is in it."""


@dataclass(frozen=True)
class Phases:
    """Both boundaries of a run; None where no turn is sure, or the first or last checkpoint is the extreme."""

    collapse: Boundary | None
    fitting: Boundary | None


@dataclass(frozen=True)
class RunPhases:
    """The phases of one run, or of several that differ by their seed, whose checkpoints are at these steps."""

    name: str
    phases: Phases
    steps: tuple[float, ...]
    tokens: tuple[float, ...] | None
    """Training tokens of the checkpoints; None where they are not known of all."""
    fall: Fall | None
    """Of I(X;Z) after its largest value; None where the end of fitting is not sure."""

    def at(self, step: float, clock: str) -> float:
        """A step on the clock of the curves, tokens or steps."""
        if clock != "tokens" or not self.tokens:
            return step
        after = min(max(bisect_left(self.steps, step), 1), len(self.steps) - 1)
        share = (step - self.steps[after - 1]) / (self.steps[after] - self.steps[after - 1])
        return self.tokens[after - 1] + share * (self.tokens[after] - self.tokens[after - 1])

    @property
    def ends(self) -> dict[str, Boundary]:
        """Phase → its end, of those that are sure."""
        both = {"collapse": self.phases.collapse, "fitting": self.phases.fitting}
        return {name: end for name, end in both.items() if end}


@one_thread()
def of_runs(rows: pl.DataFrame, models: Sequence[str], *, joined: bool) -> tuple[RunPhases, ...]:
    """Phases of every run of four checkpoints or more, by name; joined takes seeds of one run together.

    rows: checkpoints of one order and correction, with the value of every draw, as `read.trajectory` gives.
    """
    rows = rows.drop_nulls(["step", "input", "output", "entropy"])
    together = {}
    if joined:
        together = {seeds.title(name, members): members for name, members in seeds.families(models).items()}
    alone = [model for model in models if not any(model in members for members in together.values())]
    groups = {**{model: [model] for model in alone}, **together}
    runs = (_of_run(name, members, rows) for name, members in groups.items())
    return tuple(run for run in runs if run)


def _of_run(name: str, members: Sequence[str], rows: pl.DataFrame) -> RunPhases | None:
    """The phases of one run; of several seeds, at the steps that all of them have."""
    runs = [rows.filter(pl.col("model") == model).unique("step", keep="last").sort("step") for model in members]
    steps = sorted(set.intersection(*(set(run["step"].to_list()) for run in runs)))
    if len(steps) < 4:
        return None
    runs = [run.filter(pl.col("step").is_in(steps)) for run in runs]
    tokens = None if runs[0]["tokens"].null_count() else tuple(map(float, runs[0]["tokens"]))
    phases = find(steps, curve_of(runs, "entropy"), curve_of(runs, "output"))
    after = fall(curve_of(runs, "input")) if phases.fitting else None
    return RunPhases(name, phases, tuple(map(float, steps)), tokens, after)


def curve_of(runs: Sequence[pl.DataFrame], quantity: str) -> Curve:
    """One quantity along runs at the same steps; fewer draws of one are the first of the others.

    runs: rows of :func:`softh.store.read.trajectory` of one order and correction each, in the order of their steps.
    """
    values = [run[quantity].to_list() for run in runs]
    columns = [run[f"{quantity}_draws"].to_list() for run in runs]
    known = min(0 if draws is None else len(draws) for column in columns for draws in column)
    if known > 1:
        draws = [[list(each)[:known] for each in column] for column in columns]
        documents = [run[f"{quantity}_se_documents"].fill_null(0).to_list() for run in runs]
        return Curve.of(values, draws, documents, _folds(runs, quantity))
    pairs = [run.select(f"{quantity}_se_draws", f"{quantity}_se_documents").rows() for run in runs]
    return Curve.of(values, None, [[combined(*pair) or 0.0 for pair in column] for column in pairs])


def _folds(runs: Sequence[pl.DataFrame], quantity: str) -> list[list[list[float]]] | None:
    """Values without each fold; None where some are not known, or of other documents."""
    same = pl.concat([run.select("corpus_digest", "documents", "folds") for run in runs]).n_unique() == 1
    columns = [run[f"{quantity}_folds"].to_list() for run in runs]
    every = [list(each or ()) for column in columns for each in column]
    whole = all(each and None not in each for each in every) and len({len(each) for each in every}) == 1
    return columns if same and whole else None


def find(steps: Sequence[float], entropy: Curve, output: Curve, seed: int = 0) -> Phases:
    """Boundaries of a run: steps ascending, 0 allowed; the end of fitting is looked for after the end of collapse."""
    place = log_steps(steps)
    collapse = extreme(place, entropy, "least", seed=seed)
    after = int(np.searchsorted(place, np.log2(collapse.step))) if collapse else 0
    fitting = extreme(place[after:], output.after(after), "largest", seed=seed)
    return Phases(collapse, fitting)


def log_steps(steps: Sequence[float]) -> Array:
    """Binary logarithm of steps, with step 0 one octave before the first other."""
    values = np.asarray(steps, dtype=float)
    positive = values[values > 0]
    least = positive.min() if positive.size else 1.0
    return np.log2(np.where(values > 0, values, least / 2))


def extreme(place: Array, curve: Curve, which: Literal["least", "largest"], *, seed: int = 0) -> Boundary | None:
    """The change point of a curve over log steps, or None where no turn is sure or one of the ends is the extreme.

    Four checkpoints are the fewest that can hold one.
    """
    sign = -1.0 if which == "least" else 1.0
    mean = sign * curve.values.mean(axis=0)
    if place.size < 4 or np.argmax(mean) in (0, place.size - 1):
        return None
    if turns(curve, which, seed=seed) > 1 - LEVEL:
        return None
    rng = np.random.default_rng(seed)
    resamples = _resampled(place, sign * curve.resampled(RESAMPLES, rng), rng)
    low, middle, high = np.quantile(resamples, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Boundary(*(float(2.0**end) for end in (middle, low, high)))


def turns(curve: Curve, which: Literal["least", "largest"], *, seed: int = 0) -> float:
    """p of no turn: how often noise alone falls as far, or rises as far, as the curve does both; 1 without an error.

    About a curve that rises and then stays, noise need only fall, and about one that stays and then falls only rise:
    both are asked, since either may be so.
    """
    sign = -1.0 if which == "least" else 1.0
    noise = sign * curve.noise(NOISE, np.random.default_rng(seed))
    if not noise.any():
        return 1.0
    seen = turn(sign * curve.values.mean(axis=0))
    falls = (np.maximum.accumulate(noise, axis=1) - noise).max(axis=1)
    rises = (noise - np.minimum.accumulate(noise, axis=1)).max(axis=1)
    return float((1 + max((falls >= seen).sum(), (rises >= seen).sum())) / (1 + NOISE))


def turn(values: Array) -> Array:
    """How far values [..., checkpoints] rise to a checkpoint and fall after it: the smaller of both, at the best one.

    Half of it is the largest deviation from the nearest monotone curve.

    >>> turn(np.array([[0.0, 1.0, 3.0, 2.0], [0.0, 1.0, 1.0, 2.0]])).tolist()
    [1.0, 0.0]
    """
    before = np.minimum.accumulate(values, axis=-1)
    after = np.minimum.accumulate(values[..., ::-1], axis=-1)[..., ::-1]
    return (values - np.maximum(before, after)).max(axis=-1)


def fall(curve: Curve, seed: int = 0) -> Fall:
    """How far a curve falls after its largest value.

    Errors are over draws, over folds of documents by pairs, without folds as if apart, which overstates them, and over
    seeds where there are several.
    """
    mean = curve.values.mean(axis=0)
    falls = mean - mean[-1]
    noise = curve.noise(NOISE, np.random.default_rng(seed))
    apart = noise - noise[:, -1:]
    errors = curve.errors_from_last()
    top = int(np.argmax(mean))
    if top == len(mean) - 1:
        return Fall(top, 0.0, 0.0, 0.0, 0.0)
    known = errors > 0
    wide = np.quantile((np.abs(apart[:, known]) / errors[known]).max(axis=1), LEVEL) if known.any() else 0.0
    low, high = (float((falls + end * wide * errors).max()) for end in (-1, 1))
    return Fall(top, float(falls[top]), float(errors[top]), low, high)


def _resampled(place: Array, values: Array, rng: np.random.Generator) -> Array:
    """Change point of every row, each under a random width and without a random checkpoint around its extreme."""
    tops = values.argmax(axis=1)
    gone = np.clip(tops + rng.integers(-1, 2, size=tops.size), 0, place.size - 1)
    widths = rng.choice(WIDTHS, size=tops.size)
    points = np.empty(tops.size)
    plans, of_plan = np.unique(np.stack([tops, gone, widths], axis=1), axis=0, return_inverse=True)
    for number, (top, left_out, width) in enumerate(plans):
        kept, rows = np.arange(place.size) != left_out, of_plan == number
        # Without the extreme itself its right neighbour takes its place.
        around = min(int(top) - int(left_out < top), place.size - 2)
        points[rows] = _turn(place[kept], values[rows][:, kept], around, int(width))
    return points


def _turn(place: Array, values: Array, around: int, width: int) -> Array:
    """Change point of each row of values, [rows, checkpoints], that is largest near checkpoint `around`.

    Least squares of c − a |u|^p before and c − b |u|^p after the change point, u the distance from it in octaves: over
    a fine grid of places, over the powers, and with a and b positive; the checkpoint itself where no such fit is.
    """
    first = int(np.clip(around - width // 2, 0, max(place.size - width, 0)))
    x, y = place[first : first + width], values[:, first : first + width]
    grid = np.linspace(place[max(around - 1, 0)], place[min(around + 1, place.size - 1)], GRID)
    u = x - grid[:, None]  # [grid, checkpoints]
    least, points = np.full(len(y), np.inf), np.full(len(y), place[around])
    for power in POWERS:
        sides = [np.maximum(side, 0) ** power for side in (-u, u)]
        design = np.stack([np.ones_like(u), *sides], axis=2)  # [grid, checkpoints, 3]
        fit = np.einsum("gkw,nw->gnk", np.linalg.pinv(design), y)
        squares = ((np.einsum("gwk,gnk->gnw", design, fit) - y) ** 2).sum(axis=2)
        squares[~(fit[:, :, 1:] < 0).all(axis=2)] = np.inf
        best = squares.argmin(axis=0)
        better = (reached := squares.min(axis=0)) < least
        least, points = np.where(better, reached, least), np.where(better, grid[best], points)
    return points

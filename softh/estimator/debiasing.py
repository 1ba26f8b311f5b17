"""Debiased information: I(label; Z) without the bias of labels that are seen few times.

Source: softh's own derivation, in docs/debiasing.md. For a label x with occurrences in g documents write

    gain    G(g) = H(mean assignment over the occurrences) − mean entropy of the single assignments,
    spread  s    = lim G(g) for g → ∞ = H(Z | x) − mean entropy of the single assignments.

The plug-in estimate stops at G(g). Its expectation is s · (1 − φ(g, s)), where the unseen share φ is close to one curve
for all models and labels (:mod:`softh.estimator.unseen_share`). What a sample of positions deviates from it is measured
on random groups of positions, for which the limit is known, so that independent labels carry nothing in expectation.
Solving for s by classes of labels with equal g, and smoothing over the classes, gives H(Z | label); labels seen in a
single document get the prediction of the smoother.

The smoother is chosen for the mean over draws. Single draws and samples without a fold are solved with the same one, so
that their differences are those of the text and not of the choice.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from softh.estimator.gains import CLASSES, LARGEST_SIZE, LOWER_DRAWS, ClassSizes, Design
from softh.estimator.unseen_share import UnseenShare, unseen_share
from softh.spec import Weighting

VERSION = "growth-4"
"""Name of the estimator; it changes with every change that moves a number."""
_STEPS, _FURTHER_STEPS = 5, 4
_SLOPES, _WALKS, _DIFFERENCES = (0.002, 0.01, 0.04), (0.002, 0.01, 0.04), (0.01, 0.04, 0.12)
"""Prior standard deviations of the spread over classes, in parts of the widest spread: slope per doubling of g, random
walk per doubling, and difference between labels of a class."""
_LEAST_DOCUMENTS = 4
_LEAST_SPREAD = 1e-9
_LEAST_SLOPE = 0.02


@dataclass(frozen=True)
class Conditionals:
    """H(Z | label) in nats as each correction has it, [layers, 1 + folds, draws]; of all, then without each fold."""

    raw: np.ndarray
    null: np.ndarray
    """The expectation for the same labels shuffled over positions."""
    debiased: np.ndarray
    """NaN where nothing can be said."""
    lower: np.ndarray
    """[layers, 1 + folds, some draws]; H(Z) less this is a lower bound of the information, in expectation."""


@dataclass(frozen=True)
class Sums:
    """What :meth:`softh.estimator.gains.Design.sums` gave for some layers, [layers, rows, 1 + folds, draws]."""

    values: np.ndarray
    design: Design

    @property
    def own(self) -> np.ndarray:
        """Mean entropy of the single assignments, [layers, 1 + folds, draws]."""
        return self.values[:, 0]

    @property
    def entropy_bias(self) -> np.ndarray:
        """What the jackknife over documents adds to H(Z), [layers, draws]."""
        return self.values[:, 1, 0]

    @property
    def random_gain(self) -> np.ndarray:
        """Mean and variance of the gain of random groups, [2, layers, sizes, draws]."""
        sizes = len(self.design.groups.sizes)
        return np.stack([self.values[:, 2 + sizes * at : 2 + sizes * (1 + at), 0] for at in range(2)])

    def gains(self, number: int) -> np.ndarray:
        """Sums of positions · gain and positions · gain² of a label set, [2, layers, classes, 1 + folds, draws]."""
        start, classes = self._start(number), len(CLASSES)
        return np.stack([self.values[:, start + classes * at : start + classes * (1 + at)] for at in range(2)])

    def cross_entropy(self, number: int) -> np.ndarray:
        """Cross-entropy of a label set summed over positions, [layers, 1 + folds, some draws]."""
        rows = self.values[:, self._start(number) + 2 * len(CLASSES)]
        # Every group of draws that was read together has some; how many groups there are is no matter of the result.
        return rows[..., ~np.isnan(rows).any((0, 1))][..., :LOWER_DRAWS]

    def _start(self, number: int) -> int:
        return 2 + 2 * len(self.design.groups.sizes) + number * (2 * len(CLASSES) + 1)


def conditionals(
    entropy: np.ndarray, raw: Sequence[np.ndarray], sums: Sums, bins: int, weighting: Weighting
) -> list[Conditionals]:
    """H(Z | label) of every label set as each correction has it.

    Args:
        entropy: H(Z) [layers, 1 + folds, draws], plug-in.
        raw: H(Z | label) of every label set, the same, plug-in.
        sums: of the same layers, folds and draws.
        bins: their number.
        weighting: of labels; ``labels`` has no debiased value.
    """
    curves = Curves.measured(entropy, sums, bins)
    found = []
    for number, plug_in in enumerate(raw):
        sizes = sums.design.gains[number].sizes
        null = sums.own + curves.widest * seen_share(curves, sizes, weighting)
        debiased = np.full_like(plug_in, np.nan)
        if weighting == "positions" and undebiased(sizes, len(sums.design.begin)) is None:
            debiased = entropy - solve(curves, sizes, sums.gains(number))
        with np.errstate(invalid="ignore"):  # one fold alone leaves nothing
            lower = sums.cross_entropy(number) / sums.design.positions[:, None]
        found.append(Conditionals(plug_in, null, debiased, lower))
    return found


def undebiased(sizes: ClassSizes, documents: int) -> str | None:
    """Why labels of these sizes have no debiased value, in one sentence; None when they have one."""
    if documents < _LEAST_DOCUMENTS:
        return (
            f"There is no debiased value: {documents} documents; expected at least {_LEAST_DOCUMENTS}, since what a "
            "label shows in other documents is what corrects it: pass more text."
        )
    if not sizes.labels[0, 1:].any():
        return (
            "There is no debiased value: no label occurs in two documents; expected labels that repeat, since those "
            "say how much more a label would show: pass more text, or coarser labels."
        )
    return None


@dataclass(frozen=True)
class Curves:
    """The expected gain G(g, s) of labels, for every layer, fold left out and draw."""

    family: UnseenShare
    widest: np.ndarray
    """[layers, 1 + folds, draws] spread of all positions under one label, H(Z) − mean entropy of the assignments."""
    log_group: np.ndarray  # [sizes]
    log_bend: np.ndarray
    """[layers, draws, sizes] logarithm of measured over tabulated share beyond 1/g, at the widest spread."""
    variance: np.ndarray
    """[layers, sizes] variance of the gain of random groups, mean over draws."""

    @classmethod
    def measured(cls, entropy: np.ndarray, sums: Sums, bins: int) -> "Curves":
        """The curves that random groups of positions show."""
        family = unseen_share(bins)
        widest = np.maximum(entropy - sums.own, 0)
        if sums.design.alone:
            positions = sums.design.positions[0]
            bias = widest * family.times_group(positions, widest) / positions
        else:
            documents = len(sums.design.begin)
            left = documents - np.bincount(sums.design.fold.cpu().numpy(), minlength=sums.design.folds)
            bias = sums.entropy_bias[:, None] * (documents / np.array([documents, *np.maximum(left, 1)]))[:, None]
        widest = widest + bias
        size = np.array(sums.design.groups.sizes, float)
        gain, variance = sums.random_gain.swapaxes(2, 3)  # [layers, draws, sizes]
        of_all = np.maximum(widest[:, 0, :, None], _LEAST_SPREAD)
        beyond = (1 - gain / of_all) - 1 / size
        tabulated = (family.times_group(size, of_all) - 1) / size
        bend = np.log(np.clip(beyond / np.maximum(tabulated, 1e-9), 0.2, 3))
        return cls(family, widest, np.log(size), bend, variance.mean(1))

    @cached_property
    def whole(self) -> "Curves":
        """The curves of all positions, in every draw."""
        return Curves(self.family, self.widest[:, :1], self.log_group, self.log_bend, self.variance)

    @cached_property
    def mean_of_draws(self) -> "Curves":
        """The curves of the mean over draws, of all positions and without each fold."""
        widest, bend = self.widest.mean(2, keepdims=True), self.log_bend.mean(1, keepdims=True)
        return Curves(self.family, widest, self.log_group, bend, self.variance)

    @cached_property
    def mean(self) -> "Curves":
        """The curves of all positions, in the mean over draws."""
        return self.mean_of_draws.whole

    def gain(self, group: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """G(g, s) = s · (1 − φ(g, s)) of groups [1 + folds, classes], spreads [layers, 1 + folds, draws, classes].

        Between a narrow label (φ = 1/g) and the widest, the bend grows with s.
        """
        bend = _interpolated(np.log(group), self.log_group, self.log_bend).swapaxes(1, 2)
        bend = np.exp(bend * np.maximum(spread, 0) / np.maximum(self.widest, _LEAST_SPREAD)[..., None])
        group = group[:, None]
        return spread * (1 - 1 / group - (self.family.times_group(group, spread) - 1) / group * bend)

    def mean_gain(self, group: np.ndarray, spread: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Mean gain of labels whose spreads differ with a variance.

        The variance is estimated and may be negative; its sign enters linearly, so that its noise leaves no bias.
        """
        step = np.minimum(np.sqrt(np.abs(variance)), np.maximum(spread, 0))
        centre = self.gain(group, spread)
        around = (self.gain(group, spread - step) + self.gain(group, spread + step)) / 2
        return centre + np.sign(variance) * (around - centre)

    def gain_variance(self, group: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Variance of the gain of one label [layers, classes]: the family's, scaled to what random groups show."""
        tabulated = self.family.gain_variance(np.exp(self.log_group), self.widest[:, 0, :1])
        scale = _interpolated(np.log(group), self.log_group, self.variance / np.maximum(tabulated, 1e-12))
        return np.maximum(self.family.gain_variance(group, spread) * scale, 1e-12)


def _interpolated(at: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [..., known] at other places of the last axis, [..., *at.shape]; constant beyond the ends."""
    if len(known) == 1:
        return np.broadcast_to(values[(..., *(None,) * (at.ndim - 1))], (*values.shape[:-1], *at.shape))
    high = np.clip(np.searchsorted(known, at), 1, len(known) - 1)
    along = np.clip((at - known[high - 1]) / (known[high] - known[high - 1]), 0, 1)
    return values[..., high - 1] * (1 - along) + values[..., high] * along


def seen_share(curves: Curves, sizes: ClassSizes, weighting: Weighting) -> np.ndarray:
    """Share of the widest spread that labels of these sizes show when they are shuffled, [layers, 1 + folds, draws]."""
    size = np.arange(1.0, 1 + LARGEST_SIZE)
    least = 1 if weighting == "positions" else 5
    labels, missing = sizes.sizes[:, 1:], sizes.weighted_sizes[:, 1:]
    if weighting == "positions":
        # A label of more positions than the largest size leaves unseen what one of the largest size does.
        total, weights = sizes.positions.sum(1), labels * size
    else:
        total, weights = labels[:, least - 1 :].sum(1), np.where(size >= least, missing, 0)
    bend = _interpolated(np.log(size), curves.log_group, curves.log_bend)  # [layers, draws, size]
    scaled = curves.family.times_group(size, np.maximum(curves.widest[:, 0], 0)[..., None])
    unseen = np.where(size == 1, 1, 1 / size + (scaled - 1) / size * np.exp(bend))
    with np.errstate(invalid="ignore"):
        return 1 - np.einsum("fm,ldm->lfd", weights / total[:, None], unseen)


def solve(curves: Curves, sizes: ClassSizes, sums: np.ndarray) -> np.ndarray:
    """Information in nats [layers, 1 + folds, draws] of one label set; NaN in layers where nothing can be said.

    sums: [2, layers, classes, 1 + folds, draws], of positions · gain and positions · gain².
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gain, square = sums.transpose(0, 1, 3, 4, 2) / sizes.positions[:, None]  # [layers, 1 + folds, draws, classes]
        group = sizes.positions / sizes.shares
    known = (sizes.labels[0] > 0) & (np.arange(len(CLASSES)) > 0)
    group = np.where(np.isfinite(group) & (group > 0), group, CLASSES)
    scatter = (square[:, 0] - gain[:, 0] ** 2).mean(1)
    fit = Fit.of(curves.mean, sizes, group[0], gain[:, 0].mean(1), scatter)
    # A class that only the whole has is taken as the smoother predicts it.
    present = known & (sizes.positions > 0)[:, None]
    share = sizes.positions / sizes.positions.sum(1, keepdims=True)

    def information(some: Curves, parts: slice, gain: np.ndarray) -> np.ndarray:
        widest = some.widest[..., None]
        spread = fit.spread[:, None, None] * widest / np.maximum(curves.mean.widest[..., None], _LEAST_SPREAD)
        variance = fit.variance[:, None, None] * widest**2
        for _ in range(_FURTHER_STEPS):
            residual = gain - some.mean_gain(group[parts], spread, variance)
            observed = spread + np.where(present[parts], residual, 0) / fit.slope[:, None, None]
            spread = np.clip(observed[..., known] @ fit.smoother.swapaxes(1, 2)[:, None], 0, 1.15 * widest)
        return some.widest - (spread * share[parts, None]).sum(-1)

    # What leaving a fold out moves is the same in every draw but for its noise: it is computed for the mean over draws.
    of_draws = information(curves.whole, slice(1), gain[:, :1])
    of_folds = information(curves.mean_of_draws, slice(None), gain.mean(2, keepdims=True))
    found = of_draws + of_folds - of_folds[:, :1]
    return np.where((curves.widest[:, :1] < _LEAST_SPREAD).any(2, keepdims=True), np.nan, found)


@dataclass(frozen=True)
class Fit:
    """The spreads of all classes in the mean over draws, and the smoother that gives them."""

    spread: np.ndarray  # [layers, classes] nats
    slope: np.ndarray  # [layers, classes] of the gain in the spread
    variance: np.ndarray  # [layers, classes] of the spread over labels, in parts of the squared widest spread
    smoother: np.ndarray  # [layers, classes, known classes]

    @classmethod
    def of(cls, curves: Curves, sizes: ClassSizes, group: np.ndarray, gain: np.ndarray, scatter: np.ndarray) -> "Fit":
        """Newton steps for the class means, each followed by the smoother.

        group [classes]; gain and scatter (variance over labels) [layers, classes], in nats.
        """
        widest = np.maximum(curves.widest[:, 0, :1], _LEAST_SPREAD)  # [layers, 1]
        positions, labels = sizes.positions[0], sizes.labels[0]
        known = (labels > 0) & (np.arange(len(CLASSES)) > 0)
        gain = np.where(known, gain, 0)
        effective = np.where(labels > 0, positions**2 / np.maximum(sizes.squares[0], 1e-9), 1.0)
        documents = np.where(labels > 0, sizes.documents[0] / np.maximum(labels, 1), CLASSES)
        scatter = np.where(known, scatter, 0) * effective / np.maximum(effective - 1, 0.5)
        place = _frequency(documents, sizes.seen)

        def gains(spread: np.ndarray, variance: np.ndarray | None = None) -> np.ndarray:
            at = group[None], spread[:, None, None]
            found = curves.gain(*at) if variance is None else curves.mean_gain(*at, variance[:, None, None])
            return found[:, 0, 0]

        spread = _common_spread(gains, positions, gain, known, widest)
        variance, step = np.zeros_like(gain), 0.02 * widest
        for turn in range(_STEPS):
            low, high = np.maximum(spread - step, 0), spread + step
            slope = np.maximum((gains(high, variance) - gains(low, variance)) / (high - low), _LEAST_SLOPE)
            noise = curves.gain_variance(group, spread)
            observed = spread + (gain - gains(spread, variance)) / slope
            smoother = _smoother(place, observed, noise / effective / slope**2, known, effective, widest)
            spread = np.clip((smoother @ observed[:, known, None])[..., 0], 0, 1.15 * widest)
            if turn < _STEPS - 1:
                low, high = np.maximum(spread - step, 0), spread + step
                steep = (gains(high) - gains(low)) / (high - low)
                usable = known & (effective >= 3) & (group > 1.2)
                counted = np.where(usable, effective, 0)
                variance = _spread_variance(np.log2(documents), scatter - noise, noise, steep, counted)
                variance = variance.clip(-((0.25 * widest) ** 2), (0.5 * widest) ** 2)
        return cls(spread, slope, variance / widest**2, smoother)


def _frequency(mean_documents: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """log2 of how often labels of each class occur in as much text again; of rare ones by Good and Turing's rule."""
    place = np.log2(mean_documents)
    for times in (1, 2, 3):
        if seen[times]:
            expected = (times + 1) * (seen[times + 1] + 0.5) / seen[times]
            place[times - 1] = math.log2(min(max(expected, 0.25 * times), times))
    return np.maximum.accumulate(place + 1e-6 * np.arange(len(place)))


def _common_spread(
    gains: Callable[[np.ndarray], np.ndarray],
    weight: np.ndarray,
    gain: np.ndarray,
    known: np.ndarray,
    widest: np.ndarray,
) -> np.ndarray:
    """The one spread of all labels that gives their total gain, by bisection: where Newton's method begins."""
    low, high = np.zeros_like(gain), np.broadcast_to(1.2 * widest, gain.shape)
    for _ in range(50):
        middle = (low + high) / 2
        missing = (weight * (gains(middle) - gain))[:, known].sum(1, keepdims=True) < 0
        low, high = np.where(missing, middle, low), np.where(missing, high, middle)
    return (low + high) / 2


def _smoother(
    place: np.ndarray,
    observed: np.ndarray,
    error: np.ndarray,
    known: np.ndarray,
    labels: np.ndarray,
    widest: np.ndarray,
) -> np.ndarray:
    """Posterior means of the spreads of all classes from those observed, [layers, classes, known classes].

    s = a + b · place + random walk + differences between labels; averaged over priors by their marginal likelihood.
    """
    centred = place - place[known].mean()
    walk = np.minimum.outer(place - place.min(), place - place.min())
    residual = observed[:, known] - observed[:, known].mean(1, keepdims=True)
    priors = np.array(
        [
            1 + slope**2 * np.outer(centred, centred) + drift**2 * walk + difference**2 * np.diag(1 / labels)
            for slope in _SLOPES
            for drift in _WALKS
            for difference in _DIFFERENCES
        ]
    )
    scaled = error[:, known] / widest**2  # [layers, known]
    covariance = priors[:, known][:, :, known] + scaled[:, None, :, None] * np.eye(known.sum())
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))  # [layers, priors, known, known]
    white = (inverse @ (residual / widest)[:, None, :, None])[..., 0]
    likelihood = -0.5 * (white**2).sum(-1) + np.log(np.diagonal(inverse, axis1=2, axis2=3)).sum(-1)
    weights = np.exp(likelihood - likelihood.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    gain = (weights[..., None, None] * (priors[:, :, known] @ inverse.swapaxes(2, 3) @ inverse)).sum(1)
    # What the priors leave of a constant goes to the mean of what was observed.
    return gain + (1 - gain.sum(2, keepdims=True)) / known.sum()


def _spread_variance(
    place: np.ndarray, excess: np.ndarray, noise: np.ndarray, slope: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Variance over labels of s in each class, from the variance of gains beyond that of one label.

    It may come out negative. Classes nearby are taken together, by a Gaussian kernel of 1.5 doublings of g.
    """
    precision = np.where(labels > 0, labels * slope**4 / (noise + np.maximum(excess, 0)) ** 2, 0)
    kernel = np.exp(-0.5 * ((place[:, None] - place) / 1.5) ** 2)
    total = precision @ kernel
    mean = (precision * excess / np.maximum(slope, _LEAST_SLOPE) ** 2) @ kernel / np.maximum(total, 1e-300)
    return np.where(total > 0, mean, 0)

"""Debiased information: I(label; Z) without the bias of labels that are seen few times.

Source: softh's own derivation, in docs/debiasing.md. For a label x with occurrences in g documents write

    gain    G(g) = H(mean assignment over the occurrences) − mean entropy of the single assignments,
    spread  s    = lim G(g) for g → ∞ = H(Z | x) − mean entropy of the single assignments.

The plug-in estimate stops at G(g). Its expectation is s · (1 − φ(g, s)), where the unseen share φ is close to one curve
for all models and labels: that of softmax over Gaussian logits (:class:`UnseenShare`). What a sample of positions
deviates from it is measured on random groups of positions, for which the limit is known, so that independent labels
carry nothing in expectation. Solving for s by classes of labels with equal g, and smoothing over the classes, gives
H(Z | label); labels seen in a single document get the prediction of the smoother.

This is the float64 reference for one draw of the directions; entropies in nats.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import softmax

from softh.errors import InputError

VERSION = "growth-2"
"""Name of the estimator; it changes with every change that moves a number."""

_GROUPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)
"""Occurrences g for which the share is tabulated."""
_LAST_EXACT = 256
"""From here on g · φ is constant; the sums of the table are too short to show more."""
_WITHIN = (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.43, 0.52, 0.62, 0.72, 0.82, 0.91, 1.0)
"""Parts of the variance of the logits that lie within a label."""
_FAMILY_LABELS, _FAMILY_OCCURRENCES = 384, 3072
"""With 48 labels the sampling error of the table moves I(X) by .3 to 1 %."""

_MEASURED = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Sizes of the random groups of positions."""
_PERMUTATIONS, _LEAST_GROUPS = 3, 20
_CLASSES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 31, 42, 56, 80, 120, 200, 400, 1000])
"""First number of documents of every class of labels."""
_WEIGHTED_FROM = 24
"""From so many documents on, documents of a label count by its occurrences in them; below, each counts once."""
_THINNINGS = 4
_STEPS = 5
_SLOPES, _WALKS, _DIFFERENCES = (0.002, 0.01, 0.04), (0.002, 0.01, 0.04), (0.01, 0.04, 0.12)
"""Prior standard deviations of the spread over classes, in parts of the widest spread: slope per doubling of g, random
walk per doubling, and difference between labels of a class."""
_LEAST_DOCUMENTS = 4


@dataclass(frozen=True)
class DebiasedInformation:
    """Information between labels and Z, in nats, for one draw of the directions."""

    entropy: float
    """H(Z), corrected by a jackknife over documents."""
    raw: float
    """Plug-in information, as published; an upper bound in expectation."""
    null: float
    """The same for labels shuffled over positions."""
    debiased: float
    """The estimate; it may be negative where there is little or no information."""
    lower: float
    """Lower bound in expectation: cross-entropy with what the label shows in other documents."""
    labels: int
    """Number of distinct labels."""
    classes: "Classes"
    """What was found for each class of labels."""

    @property
    def corrected(self) -> float:
        """Raw − null."""
        return self.raw - self.null


@dataclass(frozen=True)
class Classes:
    """Labels by the number of documents in which they occur; arrays [classes]."""

    documents: np.ndarray
    """Mean number of documents of a label."""
    share: np.ndarray
    """Share of the positions."""
    labels: np.ndarray
    spread: np.ndarray
    """Spread s in nats, smoothed over the classes."""


def information(
    p: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, *, seed: int = 0
) -> DebiasedInformation:
    """Debiased information of labels about Z, with the plug-in value, the null and a lower bound.

    Args:
        p: [positions, bins] soft assignments, each row a distribution.
        labels: [positions] labels, any values that NumPy can sort.
        groups: [positions] document of every position; without it every position is a document of its own.
        seed: of the random groups of positions, the choice of one occurrence a document, and the null.

    Returns:
        Values in nats; divide by log(bins) for the units of the tables.

    Raises:
        InputError: lengths differ, p is not finite, or nothing can be estimated (fewer than 4 documents, one
            assignment everywhere, or no label that occurs in two documents).

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 40, 1000)
    >>> p = softmax(2 * rng.standard_normal((1000, 100)) + 2 * rng.standard_normal((40, 100))[labels], axis=1)
    >>> found = information(p, labels)
    >>> found.lower < found.debiased < found.raw
    True
    """
    p, labels, groups = _checked(p, labels, groups)
    positions = len(p)
    rng = np.random.default_rng(seed)
    own = _entropy(p)
    mean = p.mean(0)
    plug_in = float(_entropy(mean))
    entropy = _jackknifed_entropy(p, groups, plug_in, own)
    curve = GainCurve.measure(p, own, entropy, groups, rng)
    label, count = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    sums, own_sums = _segment_sums(p, label), _segment_sums(own, label)
    conditional = _entropy(sums / count[:, None])
    gain = conditional - own_sums / count
    cells = _Cells.of(label, count, groups)
    if groups is not None:
        gain = cells.independent_gain(gain, p, own, rng)
    found = _solve(gain, count, own_sums, cells, curve, positions)
    shuffled = _entropy(_segment_sums(p, label[rng.permutation(positions)]) / count[:, None])
    in_cell = _segment_sums(p, cells.of_position)
    others = (sums[cells.label] - in_cell + mean) / (count[cells.label] - cells.count + 1)[:, None]
    return DebiasedInformation(
        entropy=entropy,
        raw=plug_in - float(count @ conditional) / positions,
        null=plug_in - float(count @ shuffled) / positions,
        debiased=entropy - found.conditional,
        lower=plug_in + float((in_cell * np.log(np.maximum(others, 1e-300))).sum()) / positions,
        labels=len(count),
        classes=Classes(found.documents, found.weight / positions, found.labels, found.spread),
    )


def _checked(
    p: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    p, labels = np.asarray(p, np.float64), np.asarray(labels)
    groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    lengths = {len(p), len(labels)} | (set() if groups is None else {len(groups)})
    if p.ndim != 2 or len(lengths) > 1:
        raise InputError(
            f"p has shape {p.shape} and there are {len(labels)} labels"
            f"{'' if groups is None else f' and {len(groups)} groups'}; expected one of each for every row of p: "
            "pass arrays of one length."
        )
    if not np.isfinite(p).all():
        row = int((~np.isfinite(p)).any(1).argmax())
        raise InputError(f"Row {row} of p is not finite; expected a distribution in every row: check the states.")
    documents = len(p) if groups is None else int(groups.max()) + 1
    if documents < _LEAST_DOCUMENTS:
        raise InputError(
            f"The positions come from {documents} documents; expected at least {_LEAST_DOCUMENTS}, since what a label "
            "shows in other documents is what corrects it: pass more text."
        )
    return p, labels, groups


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-300))).sum(-1)


def _segment_sums(values: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Sums of the rows of each segment, which are numbered from 0 without gaps."""
    order = np.argsort(segment, kind="stable")
    sizes = np.bincount(segment)
    return np.add.reduceat(values[order], np.cumsum(sizes) - sizes, axis=0)


def _jackknifed_entropy(p: np.ndarray, groups: np.ndarray | None, plug_in: float, own: np.ndarray) -> float:
    """H(Z) by the delete-a-document jackknife for documents of unequal size (Busing, Meijer & van der Leeden 1999).

    Without documents, positions are independent and the bias is that of the family of :class:`UnseenShare`.
    """
    positions = len(p)
    if groups is None:
        spread = max(plug_in - own.mean(), 0.0)
        return float(plug_in + spread * unseen_share(p.shape[1]).times_group(positions, spread) / positions)
    sizes = np.bincount(groups)
    sums = _segment_sums(p, groups)
    without = _entropy((sums.sum(0) - sums) / (positions - sizes)[:, None])
    return float(len(sizes) * plug_in - ((1 - sizes / positions) * without).sum())


@dataclass(frozen=True)
class UnseenShare:
    """The share φ(g, s) of a spread of s nats that g occurrences do not show yet, for one number of bins.

    Computed for softmax over Gaussian logits of total variance 2 log(bins), of which a part lies within the label:
    what soft assignments are for wide hidden states at the usual temperature. Every order of the bias depends on
    that part alone, hence on s.
    """

    spread: np.ndarray  # [parts]
    log_group: np.ndarray  # [groups]
    scaled: np.ndarray  # [parts, groups] g · φ
    variance: np.ndarray  # [parts, groups] of the gain of one label

    def times_group(self, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        """g · φ(g, s), interpolated in s and log g."""
        return self._interpolated(self.scaled, group, spread)

    def gain_variance(self, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        """Variance of the gain of one label with g occurrences."""
        return self._interpolated(self.variance, group, spread)

    def _interpolated(self, table: np.ndarray, group: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
        group, spread = np.broadcast_arrays(np.asarray(group, float), np.asarray(spread, float))
        spread = np.clip(spread, 0, 1.2 * self.spread[-1])
        row = np.clip(np.searchsorted(self.spread, spread) - 1, 0, len(self.spread) - 2)
        along = (spread - self.spread[row]) / (self.spread[row + 1] - self.spread[row])
        log_group = np.clip(np.log(np.maximum(group, 1)), 0, self.log_group[-1])
        column = np.clip(np.searchsorted(self.log_group, log_group, side="right") - 1, 0, len(self.log_group) - 2)
        across = (log_group - self.log_group[column]) / (self.log_group[column + 1] - self.log_group[column])
        low, high = (table[at, column] * (1 - across) + table[at, column + 1] * across for at in (row, row + 1))
        return low * (1 - along) + high * along


@cache
def unseen_share(bins: int) -> UnseenShare:
    """The table for a number of bins: shipped for 100, otherwise simulated with a fixed seed, some minutes."""
    shipped = Path(__file__).with_name(f"unseen_share_{bins}.npz")
    if shipped.exists():
        with np.load(shipped) as stored:
            spread, unseen, variance = stored["spread"], stored["unseen"], stored["variance"]
    else:
        spread, unseen, variance = (
            np.array(values) for values in zip(*(simulate(bins, part) for part in range(len(_WITHIN))), strict=True)
        )
    groups = np.array(_GROUPS, float)
    scaled, last = unseen * groups, _GROUPS.index(_LAST_EXACT)
    scaled[:, last + 1 :] = scaled[:, last : last + 1]
    variance[:, last + 1 :] = variance[:, last : last + 1] * groups[last] / groups[last + 1 :]
    scaled[:, 0], variance[:, 0] = 1, 0
    ones, zeros = np.ones((1, len(groups))), np.zeros((1, len(groups)))
    return UnseenShare(np.array([0, *spread]), np.log(groups), np.vstack([ones, scaled]), np.vstack([zeros, variance]))


def simulate(bins: int, part: int, labels: int = _FAMILY_LABELS) -> tuple[float, np.ndarray, np.ndarray]:
    """One row of the table: the spread in nats, and by group the unseen share and the variance of the gain.

    `python -m softh.estimator.debiasing` writes the table that is shipped.
    """
    rng = np.random.default_rng((bins, part))
    scale, within = math.sqrt(2 * math.log(bins)), _WITHIN[part]
    gain, variance, spread = np.zeros(len(_GROUPS)), np.zeros(len(_GROUPS)), 0.0
    for _ in range(labels):
        noise = rng.standard_normal((_FAMILY_OCCURRENCES, bins))
        logits = scale * (math.sqrt(1 - within) * rng.standard_normal(bins) + math.sqrt(within) * noise)
        p = softmax(logits, axis=1)
        own = _entropy(p)
        halves = _entropy(p.reshape(2, -1, bins).mean(1)).mean()
        spread += float(2 * _entropy(p.mean(0)) - halves - own.mean())
        for at, group in enumerate(_GROUPS):
            groups = _FAMILY_OCCURRENCES // group
            means = p[: groups * group].reshape(groups, group, bins).mean(1)
            gains = _entropy(means) - own[: groups * group].reshape(groups, group).mean(1)
            gain[at] += gains.mean()
            variance[at] += gains.var(ddof=1)
    return spread / labels, 1 - gain / spread, variance / labels


@dataclass(frozen=True)
class GainCurve:
    """The expected gain G(g, s) of a label, for the positions of one sample; serves all label sets of these."""

    family: UnseenShare
    widest: float
    """Spread of all positions under one label, H(Z) − mean entropy of the single assignments."""
    log_group: np.ndarray
    log_bend: np.ndarray
    """[groups] logarithm of measured over tabulated share beyond 1/g, at the widest spread."""
    variance: np.ndarray
    """[groups] variance of the gain of random groups."""

    @classmethod
    def measure(
        cls, p: np.ndarray, own: np.ndarray, entropy: float, groups: np.ndarray | None, rng: np.random.Generator
    ) -> "GainCurve":
        """Measure the gain of random groups of positions, each from different documents."""
        positions, bins = p.shape
        family = unseen_share(bins)
        widest = entropy - float(own.mean())
        if widest <= 1e-9:
            raise InputError(
                "All assignments are the same; expected hidden states that differ: check that they are not constant."
            )
        documents = positions if groups is None else int(groups.max()) + 1
        sizes = [g for g in _MEASURED if positions // g >= _LEAST_GROUPS and g <= documents] or [2]
        total, squares, number = (np.zeros(len(sizes)) for _ in range(3))
        for _ in range(_PERMUTATIONS):
            order = _across_documents(groups, positions, documents, rng)
            for at, size in enumerate(sizes):
                block = order[: positions // size * size].reshape(-1, size)
                gains = _entropy(p[block].mean(1)) - own[block].mean(1)
                total[at] += gains.sum()
                squares[at] += (gains**2).sum()
                number[at] += len(gains)
        size = np.array(sizes, float)
        gain = total / number
        beyond = (1 - gain / widest) - 1 / size
        tabulated = np.maximum((family.times_group(size, widest) - 1) / size, 1e-9)
        bend = np.log(np.clip(beyond / tabulated, 0.2, 3))
        return cls(family, widest, np.log(size), bend, squares / number - gain**2)

    def gain(self, group: np.ndarray, spread: np.ndarray | float) -> np.ndarray:
        """G(g, s) = s · (1 − φ(g, s)); between a narrow label (φ = 1/g) and the widest, the bend grows with s."""
        bend = np.exp(np.interp(np.log(group), self.log_group, self.log_bend) * np.maximum(spread, 0) / self.widest)
        return spread * (1 - 1 / group - (self.family.times_group(group, spread) - 1) / group * bend)

    def mean_gain(self, group: np.ndarray, spread: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Mean gain of labels whose spreads differ with a variance.

        The variance is estimated and may be negative; its sign enters linearly, so that its noise leaves no bias.
        """
        step = np.minimum(np.sqrt(np.abs(variance)), spread)
        centre = self.gain(group, spread)
        around = (self.gain(group, spread - step) + self.gain(group, spread + step)) / 2
        return centre + np.sign(variance) * (around - centre)

    def gain_variance(self, group: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Variance of the gain of one label: the family's, scaled to what random groups show."""
        sizes = np.exp(self.log_group)
        measured = self.variance / np.maximum(self.family.gain_variance(sizes, self.widest), 1e-12)
        scale = np.interp(np.log(group), self.log_group, measured)
        return np.maximum(self.family.gain_variance(group, spread) * scale, 1e-12)


def _across_documents(
    groups: np.ndarray | None, positions: int, documents: int, rng: np.random.Generator
) -> np.ndarray:
    """A random order of positions in which neighbours come from different documents."""
    order = rng.permutation(positions)
    if groups is None:
        return order
    document = groups[order]
    by_document = np.argsort(document, kind="stable")
    sizes = np.bincount(document)
    rank = np.empty(positions, int)
    rank[by_document] = np.arange(positions) - (np.cumsum(sizes) - sizes)[document[by_document]]
    return order[np.lexsort((rng.permutation(documents)[document], rank))]


@dataclass(frozen=True)
class _Cells:
    """Occurrences of labels by document: a cell is one label in one document."""

    of_position: np.ndarray  # [positions]
    label: np.ndarray  # [cells]
    count: np.ndarray  # [cells] positions
    documents: np.ndarray  # [labels]
    effective: np.ndarray  # [labels] documents, as many as equal weights would need to be
    weight: np.ndarray  # [cells] of a document in the mean of its label

    @classmethod
    def of(cls, label: np.ndarray, size: np.ndarray, groups: np.ndarray | None) -> "_Cells":
        if groups is None:
            ones = np.ones(len(label))
            return cls(np.arange(len(label)), label, ones, size, size.astype(float), ones)
        width = int(groups.max()) + 1
        keys, of_position, count = np.unique(
            label.astype(np.int64) * width + groups, return_inverse=True, return_counts=True
        )
        of_label = keys // width
        documents = np.bincount(of_label)
        # Hill number of order 3/2: the share falls more slowly than 1/g, for which order 2 would be right.
        hill = size.astype(float) ** 3 / np.bincount(of_label, count**1.5) ** 2
        few = documents < _WEIGHTED_FROM
        weight = np.where(few[of_label], 1.0, count)
        return cls(of_position, of_label, count, documents, np.where(few, documents, hill), weight)

    def independent_gain(
        self, gain: np.ndarray, p: np.ndarray, own: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Gains in which a label counts with one random occurrence a document, averaged over some such choices."""
        again = (np.bincount(self.label, self.count > 1) > 0) & (self.documents > 1)
        cells = np.flatnonzero(again[self.label])
        gain = np.where(again, 0.0, gain)
        if not len(cells):
            return gain
        row = np.searchsorted(np.flatnonzero(again), self.label[cells])
        weight = self.weight[cells]
        total = np.bincount(row, weight)
        first = (np.cumsum(self.count) - self.count)[cells]
        for _ in range(_THINNINGS):
            chosen = np.lexsort((rng.random(len(p)), self.of_position))[first]
            mean = _segment_sums(p[chosen] * weight[:, None], row) / total[:, None]
            gain[again] += (_entropy(mean) - np.bincount(row, weight * own[chosen]) / total) / _THINNINGS
        return gain


@dataclass(frozen=True)
class _Solution:
    conditional: float
    documents: np.ndarray
    weight: np.ndarray
    labels: np.ndarray
    spread: np.ndarray


def _solve(
    gain: np.ndarray, size: np.ndarray, own_sums: np.ndarray, cells: _Cells, curve: GainCurve, positions: int
) -> _Solution:
    """Spreads by class of labels: Newton steps for the class means, each followed by the smoother."""
    number = np.searchsorted(_CLASSES, cells.documents, side="right") - 1
    number = np.searchsorted(np.unique(number), number)
    labels, weight = np.bincount(number), np.bincount(number, size)
    effective_labels = weight**2 / np.bincount(number, size.astype(float) ** 2)
    documents = np.bincount(number, cells.documents) / labels
    group = weight / np.bincount(number, size / cells.effective)
    mean_gain = np.bincount(number, size * gain) / weight
    own = np.bincount(number, own_sums) / weight
    informative = documents >= 1.5
    if not informative.any():
        raise InputError(
            "No label occurs in two documents; expected labels that repeat, since those say how much more a label "
            "would show: pass more text, or coarser labels."
        )
    scatter = np.bincount(number, size * gain**2) / weight - mean_gain**2
    scatter *= effective_labels / np.maximum(effective_labels - 1, 0.5)
    place = _frequency(documents, cells.documents)
    spread = np.full(len(labels), _common_spread(curve, group, weight, mean_gain, informative))
    variance, step = np.zeros(len(labels)), 0.02 * curve.widest
    for turn in range(_STEPS):
        low, high = np.maximum(spread - step, 0), spread + step
        rise = curve.mean_gain(group, high, variance) - curve.mean_gain(group, low, variance)
        slope = np.maximum(rise / (high - low), 0.02)
        noise = curve.gain_variance(group, spread)
        observed = spread + (mean_gain - curve.mean_gain(group, spread, variance)) / slope
        error = np.where(informative, noise / effective_labels / slope**2, np.inf)
        smoothed = _smoothed(place, observed, error, effective_labels, curve.widest)
        spread = np.clip(smoothed, 0, 1.15 * curve.widest)
        if turn < _STEPS - 1:
            counted = np.where(informative, effective_labels, 0)
            variance = _spread_variance(np.log2(documents), scatter - noise, noise, curve, group, spread, counted)
    conditional = float(weight @ (own + spread)) / positions
    return _Solution(conditional, documents, weight, labels, spread)


def _frequency(mean_documents: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """log2 of how often labels of each class occur in as much text again; of rare ones by Good and Turing's rule."""
    place = np.log2(mean_documents)
    seen = np.bincount(documents, minlength=5)
    for at, mean in enumerate(mean_documents):
        times = round(mean)
        if times <= 3 and seen[times]:
            expected = (times + 1) * (seen[times + 1] + 0.5) / seen[times]
            place[at] = math.log2(min(max(expected, 0.25 * times), times))
    return np.maximum.accumulate(place + 1e-6 * np.arange(len(place)))


def _common_spread(
    curve: GainCurve, group: np.ndarray, weight: np.ndarray, gain: np.ndarray, informative: np.ndarray
) -> float:
    """The one spread of all labels that gives their total gain, by bisection: where Newton's method begins."""
    low, high = 0.0, 1.2 * curve.widest
    for _ in range(50):
        middle = (low + high) / 2
        if (weight * (curve.gain(group, middle) - gain))[informative].sum() < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _smoothed(
    place: np.ndarray, observed: np.ndarray, error: np.ndarray, labels: np.ndarray, widest: float
) -> np.ndarray:
    """Posterior mean of the spreads of all classes, averaged over priors by their marginal likelihood.

    s = a + b · place + random walk + differences between labels; classes of infinite `error` are predicted.
    """
    known = np.isfinite(error)
    centred = place - place[known].mean()
    walk = np.minimum.outer(place - place.min(), place - place.min())
    mean = observed[known].mean()
    residual = observed[known] - mean
    posteriors, likelihoods = [], []
    for slope in _SLOPES:
        for drift in _WALKS:
            for difference in _DIFFERENCES:
                prior = widest**2 * (
                    1 + slope**2 * np.outer(centred, centred) + drift**2 * walk + difference**2 * np.diag(1 / labels)
                )
                factor = np.linalg.cholesky(prior[np.ix_(known, known)] + np.diag(error[known]))
                white = np.linalg.solve(factor, residual)
                likelihoods.append(-0.5 * white @ white - np.log(np.diag(factor)).sum())
                posteriors.append(mean + prior[:, known] @ np.linalg.solve(factor.T, white))
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    return weights @ np.array(posteriors) / weights.sum()


def _spread_variance(
    place: np.ndarray, excess: np.ndarray, noise: np.ndarray, curve: GainCurve, group: np.ndarray,
    spread: np.ndarray, labels: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Variance over labels of s in each class, from the variance of gains beyond that of one label.

    It may come out negative. Classes nearby are taken together, by a Gaussian kernel of 1.5 doublings of g.
    """
    step = 0.02 * curve.widest
    low, high = np.maximum(spread - step, 0), spread + step
    slope = (curve.gain(group, high) - curve.gain(group, low)) / (high - low)
    usable = (labels >= 3) & (group > 1.2)
    precision = np.where(usable, labels * slope**4 / (noise + np.maximum(excess, 0)) ** 2, 0)
    kernel = np.exp(-0.5 * ((place[:, None] - place) / 1.5) ** 2)
    total = kernel @ precision
    mean = kernel @ (precision * excess / np.maximum(slope, 0.02) ** 2) / np.maximum(total, 1e-300)
    return np.where(total > 0, mean, 0).clip(-((0.25 * curve.widest) ** 2), (0.5 * curve.widest) ** 2)


if __name__ == "__main__":
    spread, unseen, variance = zip(*(simulate(100, part) for part in range(len(_WITHIN))), strict=True)
    np.savez(Path(__file__).with_name("unseen_share_100.npz"), spread=spread, unseen=unseen, variance=variance)

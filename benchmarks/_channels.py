"""Channels of known information: hidden states made from two labels and noise, and the truth from fresh occurrences.

A hidden state is z = U_x + T_y + σ v (+ effects of its document, + an offset), normalised before soft assignment as in
an estimate. X and Y have Zipf frequencies; U and T are one random vector a label. Because labels can be drawn again as
often as wanted, each in a fresh context, H(Z | label) is known to any accuracy.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

BINS = 100
BLOCK = 16_384  # positions assigned at a time
TRUTH_POSITIONS = 400_000  # fresh positions behind the true H(Z)
LABELS_AT_ONCE = 24

Variable = Literal["x", "y"]
Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def directions(width: int, seed: int, bins: int = BINS) -> Array:
    """Reference directions [bins, width], uniform on the unit sphere."""
    normal = np.random.default_rng(seed).standard_normal((bins, width))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def assign(states: Array, reference: Array) -> NDArray[np.float32]:
    """Soft assignments [positions, bins] of hidden states [positions, width], at the temperature of leading order."""
    states_, reference_ = (torch.as_tensor(values, dtype=torch.float32) for values in (states, reference))
    bins, width = reference.shape
    temperature = 1 / np.sqrt(2 * width * np.log(bins))
    found = torch.empty(len(states_), bins)
    for start in range(0, len(states_), BLOCK):
        block = states_[start : start + BLOCK]
        block = block / block.norm(dim=1, keepdim=True)
        found[start : start + BLOCK] = torch.softmax(block @ reference_.T / temperature, 1)
    return found.numpy()


@dataclass(frozen=True)
class Truth:
    """What infinitely many positions would show, in nats, with the standard errors of the two informations."""

    entropy: float
    x: float
    y: float
    se_x: float = 0.0
    se_y: float = 0.0


@dataclass(frozen=True)
class Sample:
    """Positions in documents: labels, documents [positions] and hidden states [positions, width]."""

    x: Labels
    y: Labels
    documents: Labels
    states: Array


@dataclass
class Channel:
    """How hidden states depend on their labels; scales are norms of vectors, the noise of channel A has norm 1.

    Attributes:
        name: Its letters seed all that is random about the channel.
        about: What distinguishes it.
        width: Dimension of the hidden states.
        types: Labels of X, and of Y.
        exponent: Of the Zipf frequencies.
        x_scale, y_scale: Norms of the vectors of labels.
        noise: Norm of the noise.
        x_widening, y_widening: Noise of label k of X (of Y) goes as (k / 30)^-widening, within a factor of two.
        noise_variation: Standard deviation of the logarithm of a label's noise.
        tail: Student's t noise: one factor a position (3 degrees of freedom) or one a coordinate (2.5).
        offset: Norm of a vector added to all.
        giant: Share of the squared norm that one coordinate takes.
        rank: Dimension of the subspace that holds all but a 400th of the squared noise; None for all dimensions.
        repetition: Chance that a label is copied from earlier in its document.
        document_scale: Norm of a vector that the positions of a document share.
        document_label_scale: Norm of a vector that the occurrences of a label in a document share.
        document_length: Positions of a document.
        topics: X and Y depend on each other through so many topics; 0 for independent X and Y.

    """

    name: str
    about: str
    width: int = 64
    types: int = 5_000
    exponent: float = 1.0
    x_scale: float = 1.0
    y_scale: float = 0.55
    noise: float = 1.0
    x_widening: float = 0.0
    y_widening: float = 0.0
    noise_variation: float = 0.0
    tail: Literal["vector", "coordinates"] | None = None
    offset: float = 0.0
    giant: float = 0.0
    rank: int | None = None
    repetition: float = 0.0
    document_scale: float = 0.0
    document_label_scale: float = 0.0
    document_length: int = 100
    topics: int = 0

    def __post_init__(self) -> None:
        """Draw the vectors of labels, their noise and topics; the order of the draws fixes the channel."""
        self.seed = sum(map(ord, self.name))
        rng = np.random.default_rng([self.seed, 77])
        self.inner = self.rank or self.width
        ranks = np.arange(1, self.types + 1.0)
        px = ranks**-self.exponent / (ranks**-self.exponent).sum()
        py = px
        self.subspace = None
        if self.rank:
            self.subspace = np.linalg.qr(rng.standard_normal((self.width, self.rank)))[0].T.astype(np.float32)
        self.x_vectors, self.y_vectors = (
            scale * (rng.standard_normal((self.types, self.inner)).astype(np.float32) / np.sqrt(self.inner))
            for scale in (self.x_scale, self.y_scale)
        )
        self.x_noise = self.noise * np.ones(self.types, np.float32)
        if self.x_widening:
            wide = self.noise * (ranks / 30) ** -self.x_widening
            self.x_noise = wide.clip(0.5 * self.noise, 2 * self.noise).astype(np.float32)
        self.y_noise = np.ones(self.types, np.float32)
        if self.y_widening:
            self.y_noise = ((ranks / 30) ** -self.y_widening).clip(0.5, 2).astype(np.float32)
        if self.noise_variation:
            logarithm = self.noise_variation * rng.standard_normal(self.types) - self.noise_variation**2 / 2
            self.x_noise *= np.exp(logarithm).astype(np.float32)
        self.shift = np.zeros(self.width, np.float32)
        if self.offset:
            normal = rng.standard_normal(self.width)
            self.shift += (self.offset * (normal / np.linalg.norm(normal))).astype(np.float32)
        if self.topics:
            py = self._topics(px, rng)
        self.cumulated = {"x": np.cumsum(px), "y": np.cumsum(py)}
        if self.giant:  # constants of the channel, not of a sample: from positions of its own
            rng = np.random.default_rng([self.seed, 31])
            x = _draw(self.cumulated["x"], 40_000, rng)
            states = self._without_giant(x, self.other("x", x, rng), None, rng)
            norm = np.sqrt((states**2).sum(1).mean() * self.giant / (1 - self.giant))
            self.giant_norm, self.giant_deviation = norm, states[:, 3].std()

    def _topics(self, px: Array, rng: np.random.Generator) -> Array:
        """P(y), after the cumulated P(label | topic) and P(topic | label) of both variables are made."""
        affinity_x, affinity_y = (
            np.exp(1.5 * rng.standard_normal((self.topics, self.types))).astype(np.float32) for _ in "xy"
        )
        topic_given_x, share_y = affinity_x / affinity_x.sum(0), affinity_y / affinity_y.sum(0)
        joint_x, joint_y = topic_given_x * px, share_y * px
        topic = joint_x.sum(1)
        y_given_topic = joint_y / joint_y.sum(1, keepdims=True)
        self.given_topic = {
            "x": np.cumsum(joint_x / joint_x.sum(1, keepdims=True), 1),
            "y": np.cumsum(y_given_topic, 1),
        }
        joint = topic[:, None] * np.diff(np.c_[np.zeros(self.topics), self.given_topic["y"]], axis=1)
        self.topic_given = {"x": np.cumsum(topic_given_x, 0), "y": np.cumsum(joint / joint.sum(0), 0)}
        return (topic[:, None] * y_given_topic).sum(0)

    def other(self, given: Variable, labels: Labels, rng: np.random.Generator) -> Labels:
        """A label of the other variable for each of `labels`."""
        wanted: Variable = "y" if given == "x" else "x"
        if not self.topics:
            return _draw(self.cumulated[wanted], len(labels), rng)
        cumulated = self.topic_given[given][:, labels]
        topic = np.minimum((cumulated < rng.random(len(labels))).sum(0), self.topics - 1)
        found = np.empty(len(labels), np.int64)
        for index in np.unique(topic):
            rows = np.flatnonzero(topic == index)
            found[rows] = _draw(self.given_topic[wanted][index], len(rows), rng)
        return found

    def hidden(self, x: Labels, y: Labels, documents: Labels | None, rng: np.random.Generator) -> Array:
        """Hidden states [positions, width]; without documents each position has a document of its own."""
        states = self._without_giant(x, y, documents, rng)
        if self.giant:
            states[:, 3] = self.giant_norm * (1 + 0.25 * states[:, 3] / self.giant_deviation)
        return states

    def _without_giant(self, x: Labels, y: Labels, documents: Labels | None, rng: np.random.Generator) -> Array:
        count = len(x)
        states = self.x_vectors[x] + self.y_vectors[y] + self._noise(x, y, rng)
        if self.document_scale or self.document_label_scale:
            if documents is None:
                both = np.float32(np.sqrt(self.document_scale**2 + 2 * self.document_label_scale**2))
                states += both * self._normal(count, rng)
            else:
                states += self.document_scale * self._normal(documents.max() + 1, rng)[documents]
                for labels in (x, y):
                    _, cell = np.unique(documents * self.types + labels, return_inverse=True)
                    states += self.document_label_scale * self._normal(cell.max() + 1, rng)[cell]
        if self.subspace is not None:
            outside = np.float32(0.05) * rng.standard_normal((count, self.width), dtype=np.float32)
            states = states @ self.subspace + outside / np.float32(np.sqrt(self.width))
        return states + self.shift

    def _normal(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        normal = rng.standard_normal((count, self.inner), dtype=np.float32) / np.float32(np.sqrt(self.inner))
        return normal.astype(np.float32, copy=False)

    def _noise(self, x: Labels, y: Labels, rng: np.random.Generator) -> NDArray[np.float32]:
        noise = self._normal(len(x), rng)
        if self.tail == "vector":
            noise *= (1 / np.sqrt(rng.chisquare(3, len(x)) / 3)).astype(np.float32)[:, None] / 1.4
        if self.tail == "coordinates":
            noise *= (1 / np.sqrt(rng.chisquare(2.5, noise.shape) / 2.5)).astype(np.float32) / 1.6
        return noise * (self.x_noise[x] * self.y_noise[y])[:, None]

    def sample(self, positions: int, seed: int) -> Sample:
        """So many positions, in documents of `document_length`."""
        rng = np.random.default_rng([seed, 5])
        x = _draw(self.cumulated["x"], positions, rng)
        y = _draw(self.cumulated["y"], positions, rng) if self.repetition else self.other("x", x, rng)
        documents = np.arange(positions) // self.document_length
        if self.repetition:
            place = np.arange(positions) % self.document_length
            for labels in (x, y):
                copied = (rng.random(positions) < self.repetition) & (place > 0)
                source = np.arange(positions) - place + np.floor(rng.random(positions) * place).astype(int)
                for index in np.flatnonzero(copied):  # in order: a copy may be copied again
                    labels[index] = labels[source[index]]
        shared = documents if self.document_scale or self.document_label_scale else None
        return Sample(x, y, documents, self.hidden(x, y, shared, rng))

    def truth(
        self,
        reference: Array,
        seed: int,
        labels: int = 1_500,
        occurrences: int = 800,
        positions: int = TRUTH_POSITIONS,
    ) -> Truth:
        """H(Z), I(X;Z) and I(Y;Z) in nats, from fresh occurrences of labels in fresh documents and contexts.

        Frequent labels are all taken, the others systematically along the cumulated frequencies, `labels` in all.
        A label's mean assignment has the entropy 2 H(all) - H(half), the jackknife over halves of its occurrences.
        """
        rng = np.random.default_rng([seed, 9])
        total = np.zeros(reference.shape[0])
        for _ in range(10):
            x = _draw(self.cumulated["x"], positions // 10, rng)
            states = self.hidden(x, self.other("x", x, rng), None, rng)
            total = total + assign(states, reference).sum(0, dtype=np.float64)
        mean = total / positions
        entropy = float(-(mean * np.log(mean)).sum() + 1.5 / positions)  # about the plug-in bias: 4e-6 nats
        found = {}
        for variable in ("x", "y"):
            found[variable] = self._information(variable, mean, reference, labels, occurrences, rng)
        (x_information, x_error), (y_information, y_error) = found["x"], found["y"]
        return Truth(entropy, x_information, y_information, x_error, y_error)

    def _information(
        self,
        variable: Variable,
        mean: Array,
        reference: Array,
        labels: int,
        occurrences: int,
        rng: np.random.Generator,
    ) -> tuple[float, float]:
        """Information of one variable and its standard error, in nats."""
        chosen, weights, frequent = _systematic(self.cumulated[variable], labels, rng)
        divergence = np.empty(len(chosen))
        for start in range(0, len(chosen), LABELS_AT_ONCE):
            some = np.repeat(chosen[start : start + LABELS_AT_ONCE], occurrences)
            others = self.other(variable, some, rng)
            pair = (some, others) if variable == "x" else (others, some)
            assigned = assign(self.hidden(*pair, None, rng), reference)
            halves = assigned.reshape(-1, 2, occurrences // 2, len(mean)).mean(2, dtype=np.float64)
            whole = halves.mean(1)
            negentropy = 2 * (whole * np.log(whole)).sum(-1) - (halves * np.log(halves)).sum(-1).mean(1)
            divergence[start : start + LABELS_AT_ONCE] = negentropy - (whole * np.log(mean)).sum(-1)
        information = float((weights * divergence).sum() / weights.sum())
        # neighbours along the cumulated frequencies differ by what the choice of labels contributes to the error
        steps = np.diff(divergence[frequent:])
        error = float(np.sqrt((steps**2).mean() / 2 * len(steps)) * weights[-1]) if len(steps) else 0.0
        return information, error


def _draw(cumulated: Array, count: int, rng: np.random.Generator) -> Labels:
    return np.minimum(np.searchsorted(cumulated, rng.random(count)), len(cumulated) - 1)


def _systematic(cumulated: Array, count: int, rng: np.random.Generator) -> tuple[Labels, Array, int]:
    """Labels and their weights: all frequent ones first (their number is the third value), then a systematic sample."""
    probability = np.diff(np.r_[0, cumulated])
    frequent = np.flatnonzero(probability > 1.5 / count)
    rest = np.flatnonzero(probability <= 1.5 / count)
    places = count - len(frequent)
    if not len(rest) or places <= 0:
        return frequent, probability[frequent], len(frequent)
    along = np.cumsum(probability[rest])
    points = (np.arange(places) + rng.random(places)) / places * along[-1]
    picked = rest[np.minimum(np.searchsorted(along, points), len(rest) - 1)]
    weights = np.r_[probability[frequent], np.full(places, along[-1] / places)]
    return np.r_[frequent, picked], weights, len(frequent)


DEVELOPMENT = (
    Channel("A", "equal noise"),
    Channel("B", "frequent labels have more noise", x_widening=0.25),
    Channel("tailv", "Student t noise, one factor a position", tail="vector"),
    Channel("tailc", "Student t noise, one factor a coordinate", tail="coordinates", x_scale=0.9),
    Channel("aniso", "offset and giant coordinate", width=256, offset=1.2, giant=0.4, x_scale=1.3, y_scale=0.8),
    Channel("lowrank", "eight dimensions", rank=8, x_scale=0.9, y_scale=0.6),
    Channel("k20", "20,000 types", types=20_000),
    Channel("z8", "50,000 types, Zipf exponent .8", types=50_000, exponent=0.8, x_scale=1.2),
    Channel("z14", "500 types, Zipf exponent 1.4", types=500, exponent=1.4, y_scale=0.7),
    Channel("docs", "repeated labels, documents", repetition=0.3, document_scale=0.4, document_label_scale=0.4),
    Channel("topics", "X and Y depend", types=20_000, exponent=1.2, topics=20, noise_variation=0.3, y_scale=0.6),
)
FRESH = (
    Channel(
        "f1",
        "rare labels have more noise, which varies by label",
        width=96,
        types=9_000,
        exponent=0.9,
        x_scale=0.7,
        y_scale=0.7,
        noise=1.1,
        noise_variation=0.4,
        x_widening=-0.1,
    ),
    Channel(
        "f2",
        "giant coordinate, t noise, frequent labels have more noise",
        width=192,
        types=3_000,
        exponent=1.1,
        offset=0.8,
        giant=0.25,
        x_scale=0.9,
        y_scale=0.5,
        tail="vector",
        x_widening=0.15,
    ),
    Channel(
        "f3",
        "sixteen dimensions, X and Y depend",
        width=48,
        types=30_000,
        exponent=1.05,
        rank=16,
        x_scale=1.4,
        y_scale=0.8,
        topics=12,
    ),
    Channel(
        "f4",
        "repeated labels, documents of 200",
        width=80,
        types=12_000,
        repetition=0.4,
        document_scale=0.3,
        document_label_scale=0.5,
        document_length=200,
        x_scale=1.1,
        y_scale=0.7,
    ),
    Channel(
        "f5",
        "more of Y than of X, t noise by coordinate",
        types=1_500,
        exponent=1.3,
        x_scale=0.5,
        y_scale=1.2,
        y_widening=0.2,
        tail="coordinates",
    ),
)

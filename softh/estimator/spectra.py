"""Measures of the spectrum and the geometry of hidden states, from a bounded sample of what an estimate reads anyway.

They are functions of the states alone, without reference directions or labels: what others report of the same layers.
The states of every layer are compared at the same positions, and no measure depends on their scale.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from softh.estimator.assignment import normalise
from softh.estimator.buffers import storage_device
from softh.estimator.entropies import document_folds, full_precision
from softh.estimator.measures import Measure, replicates, summarise
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec
from softh.text.corpus import TokenizedCorpus

SPECTRAL = ("rankme", "alpha_req", "matrix_entropy", "participation_ratio", "anisotropy", "intrinsic_dimension")
"""Quantities of :func:`spectral_values`, in its order."""
LEAST_POSITIONS, MOST_POSITIONS = 4096, 16384
"""Positions of a sample: four times the width, within these."""
NEIGHBOUR_POSITIONS = 1024
"""Positions of a sample between which distances are computed: their number is the square of it."""
_FIRST_RANK, _LAST_RANK, _FEWEST_RANKS = 11, 500, 10
"""Ranks of the eigenvalues that a power law is fitted to, at most half of the width: the first are few and large, the
last are noise."""
_KEPT = 0.9
"""Share of the ratios of distances that the dimension is fitted to, the smallest."""
_NEIGHBOURS = 8
"""Nearest positions that are kept, so that two are left without any fold of documents."""
_FEWEST_POINTS = 20
_BLOCK = 1024
_CONSTANT = 1e-12
"""States whose variance is a smaller part of their mean square than this differ by rounding alone."""


class SampledPositions(NamedTuple):
    """Token positions in the order of their documents."""

    document: np.ndarray  # [sample] int64, number of the document
    offset: np.ndarray  # [sample] int64, index of the token in the document


def sample_positions(tokenized: TokenizedCorpus, width: int, seed: int) -> SampledPositions:
    """Random positions of documents, without the first of each.

    The first position has seen no other token, and many models give it a state hundreds of times longer than all
    others (arXiv 2510.06477).

    Args:
        tokenized: the documents.
        width: of the model; the more, the more positions.
        seed: of the choice; the same for all checkpoints that are compared.
    """
    lengths = np.array([len(ids) for ids in tokenized.ids])
    ends = np.cumsum(np.maximum(lengths - 1, 0))
    number = min(int(ends[-1]), max(LEAST_POSITIONS, min(4 * width, MOST_POSITIONS)))
    chosen = np.sort(np.random.default_rng(seed).choice(int(ends[-1]), number, replace=False, shuffle=False))
    document = np.searchsorted(ends, chosen, side="right")
    return SampledPositions(document, chosen - (ends - np.maximum(lengths - 1, 0))[document] + 1)


def of_documents(positions: SampledPositions, documents: np.ndarray) -> tuple[SampledPositions, np.ndarray]:
    """The part of a sample that lies in some documents, numbered in their order, and its rows in the whole sample.

    >>> of_documents(SampledPositions(np.array([0, 0, 2]), np.array([1, 2, 1])), np.array([2, 0]))[1].tolist()
    [2, 0, 1]
    """
    first, last = (np.searchsorted(positions.document, documents, side=side) for side in ("left", "right"))
    rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    return SampledPositions(np.repeat(np.arange(len(documents)), last - first), positions.offset[rows]), rows


class StateSample:
    """The hidden states of some positions at every layer, copied while an estimate reads all of them.

    A layer is kept until :meth:`take` returns it. What is read more than once is copied once.
    """

    def __init__(self, positions: SampledPositions, states: HiddenStates) -> None:
        """Keep the states at `positions` of the documents that are read."""
        self.positions, self.layers, self.width = positions, states.layers, states.model.width
        self.lengths = np.array([len(ids) for ids in states.tokenized.ids])
        self.device, self.dtype = storage_device(states.model.device), getattr(torch, states.model.dtype)
        self._starts = np.searchsorted(positions.document, np.arange(len(self.lengths) + 1))
        self._states: dict[int, Tensor] = {}
        self._filled = np.zeros((self.layers, len(positions.document)), dtype=bool)
        self._rows: tuple[tuple[int, int] | None, np.ndarray, Tensor, Tensor] = (
            None, np.empty(0, int), torch.empty(0), torch.empty(0),
        )  # fmt: skip
        if self.device.type == "cuda":  # before the memory is planned that assignments may take
            for layer in range(self.layers):
                self._allocate(layer)

    def put(self, documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
        """Copy what a batch has of the sample; called as :data:`softh.models.hidden_states.OnLayer`."""
        first, last = self._starts[documents], self._starts[documents + 1]
        if (first == last).all():
            return
        key = (int(documents[0]), len(documents))
        if self._rows[0] != key:
            part, places = of_documents(self.positions, documents)
            before = np.cumsum(self.lengths[documents]) - self.lengths[documents]
            rows = torch.from_numpy(before[part.document] + part.offset)
            rows = rows.to(hidden.device, non_blocking=True)
            rows = rows if text is None else text[rows].long()
            self._rows = (key, places, rows, torch.from_numpy(places).to(self.device, non_blocking=True))
        _, places, rows, index = self._rows
        if self._filled[layer, places].all():
            return
        if layer not in self._states:
            self._allocate(layer)
        self._states[layer].index_copy_(0, index, hidden[rows.to(hidden.device)].to(self.device))
        self._filled[layer, places] = True

    def missing(self) -> list[int]:
        """Layers that were not read in full."""
        return np.flatnonzero(~self._filled.all(1)).tolist()

    def complete(self, layer: int) -> bool:
        """Whether all of a layer was read and waits to be taken."""
        return layer in self._states and bool(self._filled[layer].all())

    def take(self, layer: int) -> Tensor:
        """The states of a layer [sample, width], which are then no longer kept."""
        return self._states.pop(layer)

    def _allocate(self, layer: int) -> None:
        with torch.inference_mode(False):  # a batch of the model is within inference mode, reading the cache is not
            shape = (len(self.positions.document), self.width)
            self._states[layer] = torch.empty(shape, dtype=self.dtype, device=self.device)


class SpectralSample:
    """Takes the measures :data:`SPECTRAL` of every layer while an estimate reads its hidden states."""

    def __init__(self, states: HiddenStates, spec: EstimateSpec) -> None:
        """Observe what is read of the states from now on."""
        self.states, tokenized, model = states, states.tokenized, states.model
        positions = sample_positions(tokenized, model.width, spec.seed)
        self.sample = StateSample(positions, states)
        self.folds = position_folds(positions, tokenized, spec.folds)
        self.values: dict[int, np.ndarray] = {}
        states.observer = self.observe

    def observe(self, documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
        """Copy what the sample has of a batch; on a CPU, where a layer may be read after the other, measure it then."""
        self.sample.put(documents, layer, hidden, text)
        # A GPU would wait, and its states are not checked yet.
        if self.sample.device.type == "cpu" and self.sample.complete(layer):
            self._measure(layer)

    def measures(self) -> list[Measure]:
        """Rows of every layer and of their mean.

        Layers of which an interrupted estimate has stored its entropies were not read again: they are read now.
        """
        if missing := self.sample.missing():
            self.states.each(missing, lambda documents, layer, hidden, text: None)
        for layer in range(self.states.layers):
            if layer not in self.values:
                self._measure(layer)
        self.states.observer = None
        return spectral_measures([self.values[layer] for layer in range(self.states.layers)], len(self.folds.fold))

    def _measure(self, layer: int) -> None:
        with full_precision():
            self.values[layer] = spectral_values(self.sample.take(layer), *self.folds)


class PositionFolds(NamedTuple):
    """The fold of the document of every sampled position."""

    fold: np.ndarray  # [sample] int64
    folds: int


def position_folds(positions: SampledPositions, tokenized: TokenizedCorpus, folds: int) -> PositionFolds:
    """Folds of a sample of a text, those of the estimate of the same text."""
    of_document = document_folds(len(tokenized.ids), tokenized.sources, folds)
    return PositionFolds(of_document[positions.document], int(of_document.max()) + 1)


def spectral_measures(values: Sequence[np.ndarray], positions: int) -> list[Measure]:
    """Rows of every layer, then of the mean over transformer layers, from :func:`spectral_values` of each layer."""
    rows = []
    for quantity, of_quantity in zip(SPECTRAL, np.stack(values, axis=1), strict=True):  # [layers, 1 + folds]
        table, folds = replicates(of_quantity[..., None]), of_quantity.shape[1] - 1
        number = positions if quantity != "intrinsic_dimension" else min(positions, NEIGHBOUR_POSITIONS)
        for column, layer in enumerate([*range(len(values)), None]):
            found = summarise(table[:, column], folds)
            rows.append(
                Measure(layer, quantity, None, None, "raw", found.value, None, found.se_documents, number, None, None,
                        found.folds)
            )  # fmt: skip
    return rows


@torch.no_grad()
def spectral_values(states: Tensor, fold: np.ndarray, folds: int, *, unit: bool = True) -> np.ndarray:
    """The measures :data:`SPECTRAL` of the hidden states of one layer, of all positions and without each fold.

    The first four are of the eigenvalues λ of the covariance of the states: RankMe, exp of the entropy of √λ / Σ√λ;
    α-ReQ, the exponent of a power law λᵢ ∝ i^−α; matrix entropy, the entropy of λ / Σλ in units of log width; the
    participation ratio (Σλ)² / Σλ². They are undefined with no more positions than dimensions. Anisotropy is the mean
    cosine between two positions, and the intrinsic dimension is that of the two nearest neighbours of each distinct
    state, among :data:`NEIGHBOUR_POSITIONS` positions.

    Without a fold, eigenvalues are those of the other positions along the eigenvectors of all, which is exact to first
    order: what a jackknife needs.

    Args:
        states: [positions, width] floats on any device.
        fold: [positions] int64, fold of the position's document.
        folds: their number.
        unit: whether every state is divided by its length first, as it is before soft assignment. Without it, one state
            a hundred times longer than the others makes the spectrum, in many models even where it is not the first.

    Returns:
        [measures, 1 + folds] float64, NaN where a measure is undefined.

    Sources: Garrido et al. 2023 (RankMe, arXiv 2210.02885), there of uncentred states; Agrawal et al. 2022 (α-ReQ,
    NeurIPS); Skean et al. 2025 (matrix entropy, arXiv 2502.02013); Ethayarajh 2019 (anisotropy, arXiv 1909.00512);
    Facco et al. 2017 (TwoNN, doi 10.1038/s41598-017-11873-y).

    >>> states = torch.randn(2000, 40, generator=torch.Generator().manual_seed(0))
    >>> values = spectral_values(states, np.arange(2000) % 4, 4)
    >>> values.shape, bool(39 < values[0, 0] < 40)  # nearly as many as there are dimensions
    ((6, 5), True)
    """
    values = np.full((len(SPECTRAL), 1 + folds), np.nan)
    scale = states.abs().amax().float()
    if len(states) < 2 or not bool(scale.isfinite() & (scale > 0)):
        return values
    scaled = states.float() / scale
    scaled = normalise(scaled) if unit else scaled
    groups = torch.nn.functional.one_hot(torch.from_numpy(fold).to(states.device), folds).float()
    left = np.array([len(states), *(len(states) - np.bincount(fold, minlength=folds))], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spectrum = _spectra(scaled, groups, left)
        if spectrum is not None:
            values[:4] = [_rankme(spectrum), _exponent(spectrum), _matrix_entropy(spectrum), _participation(spectrum)]
        values[4] = _mean_cosine(scaled, groups, left)
    values[5] = _dimension(states, scaled, fold, folds)
    values[:, left < 2] = np.nan
    return values


def _spectra(states: Tensor, groups: Tensor, left: np.ndarray) -> np.ndarray | None:
    """Eigenvalues of the covariance, descending, [1 + folds, width] float64; None where they say nothing."""
    positions, width = states.shape
    mean = states.double().mean(0)
    centred = states - mean.float()
    covariance = torch.zeros(width, width, dtype=torch.float64, device=states.device)
    for block in centred.split(_BLOCK):
        covariance += (block.T @ block).double()
    variance = float(covariance.trace()) / positions
    if positions <= width or variance <= _CONSTANT * (variance + float(mean.square().sum())):
        return None
    if states.device.type == "cpu":
        eigenvalues, vectors = scipy.linalg.eigh(covariance.numpy(), driver="evd", overwrite_a=True, check_finite=False)
        basis = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32))
    else:
        on_device, vectors = torch.linalg.eigh(covariance)
        eigenvalues, basis = on_device.cpu().numpy(), vectors.flip(1).float()
    along = centred @ basis
    squares, sums = ((groups.T @ each).double().cpu().numpy() for each in (along.square(), along))
    n = left[1:, None]
    without = (squares.sum(0) - squares) / n - ((sums.sum(0) - sums) / n) ** 2
    return np.maximum(np.concatenate([eigenvalues[::-1][None] / positions, without]), 0)


def _rankme(spectrum: np.ndarray) -> np.ndarray:
    return np.exp(_entropy(np.sqrt(spectrum)))


def _matrix_entropy(spectrum: np.ndarray) -> np.ndarray:
    return _entropy(spectrum) / math.log(max(spectrum.shape[1], 2))


def _entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy in nats of each row, divided by its sum."""
    p = weights / weights.sum(1, keepdims=True)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)


def _participation(spectrum: np.ndarray) -> np.ndarray:
    return spectrum.sum(1) ** 2 / np.square(spectrum).sum(1)


def _exponent(spectrum: np.ndarray) -> np.ndarray:
    """−slope of the logarithm of the eigenvalues against that of their rank, by least squares."""
    last = min(_LAST_RANK, spectrum.shape[1] // 2)
    if last - _FIRST_RANK + 1 < _FEWEST_RANKS:
        return np.full(len(spectrum), np.nan)
    rank = np.log(np.arange(_FIRST_RANK, last + 1))
    rank -= rank.mean()
    slope = np.log(spectrum[:, _FIRST_RANK - 1 : last]) @ rank / (rank @ rank)
    return np.where(np.isfinite(slope), -slope, np.nan)


def _mean_cosine(states: Tensor, groups: Tensor, left: np.ndarray) -> np.ndarray:
    """Mean cosine of all pairs of different positions, [1 + folds]."""
    unit = torch.nn.functional.normalize(states.double(), dim=1)
    sums = (groups.double().T @ unit).cpu().numpy()
    length = np.square(np.concatenate([sums.sum(0)[None], sums.sum(0) - sums])).sum(1)
    return (length - left) / (left * (left - 1))


def _dimension(states: Tensor, scaled: Tensor, fold: np.ndarray, folds: int) -> np.ndarray:
    """Dimension of the two nearest neighbours, [1 + folds]; equal states count once."""
    some = np.unique(np.linspace(0, len(states) - 1, min(len(states), NEIGHBOUR_POSITIONS)).round().astype(np.int64))
    some = some[_distinct(states[torch.from_numpy(some).to(states.device)])]
    if len(some) < _FEWEST_POINTS:
        return np.full(1 + folds, np.nan)
    points = scaled[torch.from_numpy(some).to(states.device)]
    points = points - points.mean(0)
    points /= points.abs().amax()
    square = points.square().sum(1)
    rough = square[:, None] + square - 2 * points @ points.T
    near = rough.fill_diagonal_(math.inf).topk(min(_NEIGHBOURS, len(some) - 1), largest=False).indices
    blocks = zip(points.split(256), near.split(256), strict=True)
    apart = torch.cat([(points[index] - block[:, None]).double().norm(dim=2) for block, index in blocks])
    distance, order = apart.sort(1)
    neighbours, distance = near.gather(1, order).cpu().numpy(), distance.cpu().numpy()
    of_point, of_neighbour = fold[some], fold[some][neighbours]
    return np.array([
        _two_nearest(distance[of_point != out], of_neighbour[of_point != out] != out) for out in range(-1, folds)
    ])  # fmt: skip


def _two_nearest(distance: np.ndarray, kept: np.ndarray) -> float:
    """Dimension from sorted distances [points, neighbours] and which of them are kept.

    −log(1 − F) = d·log μ through the origin, μ the ratio of the second to the first distance and F its distribution.
    A point without two kept neighbours is left out.
    """
    rank = kept.cumsum(1)
    enough = rank[:, -1] > 1
    first, second = (np.take_along_axis(distance, (rank == k).argmax(1)[:, None], 1)[enough, 0] for k in (1, 2))
    ratio = np.sort(np.log(second[first > 0] / first[first > 0]))
    number = int(_KEPT * len(ratio))
    if number < _FEWEST_POINTS / 2 or not (ratio[:number] @ ratio[:number]) > 0:
        return math.nan
    share = -np.log1p(-np.arange(1, number + 1) / len(ratio))
    return float(share @ ratio[:number] / (ratio[:number] @ ratio[:number]))


def _distinct(states: Tensor) -> np.ndarray:
    """Rows that are the first of their value. Sums of integers modulo 2^64 are equal for equal rows, in any order."""
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = states.contiguous().view(kinds[states.element_size()]).long()
    odd = torch.from_numpy(np.random.default_rng(0).integers(-(2**62), 2**62, states.shape[1]) * 2 + 1)
    return np.sort(np.unique((bits * odd.to(bits.device)).sum(1).cpu().numpy(), return_index=True)[1])

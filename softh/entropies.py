"""Hidden states and labels to the entropies of every layer under every draw, within the memory there is."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.activations import HiddenStates
from softh.assignment import References, assign, normalise
from softh.counts import Counts, Grouping, Mass, group, indicator
from softh.errors import InputError
from softh.labels import VARIABLES, Positions, encode, shuffle, valid_positions
from softh.measures import Entropies, Key
from softh.spec import EstimateSpec

Progress = Callable[[str, int, int], None]
"""Called as progress(phase, done, total); the last call of a phase has done == total."""

_ASSIGNMENTS = {"cpu": 2**21, "cuda": 2**26}
"""Assignments held at once; few on a CPU, for the reason given in counts.py."""
_TABLES = 4 << 30
"""Bytes of count tables held at once in main memory; on a GPU, 40 % of what is free."""


@dataclass(frozen=True)
class Labelling:
    """Every label set of a corpus, grouped, and where its positions lie."""

    positions: Positions
    lengths: np.ndarray  # [documents] tokens of every document
    starts: np.ndarray  # [documents + 1] first position of every document
    fold: Tensor  # [positions] int64, fold of the position's document
    folds: int
    groups: dict[Key, Grouping]

    @property
    def rows(self) -> int:
        """Rows of all count tables together."""
        return self.folds + sum(grouping.rows for grouping in self.groups.values())


def label(documents: Sequence[np.ndarray], spec: EstimateSpec, device: str) -> Labelling:
    """Label sets of input and output at every order, each with its shuffled twin."""
    positions = valid_positions(documents, max(spec.orders))
    folds = max(1, min(spec.folds, len(documents)))
    fold = positions.document % folds
    groups = {}
    for variable in VARIABLES:
        for order in spec.orders:
            true = encode(documents, positions, variable, order)
            for labels in (true, shuffle(true, spec.seed)):
                groups[Key(variable, order, labels.shuffled)] = group(labels, fold, folds).to(device)
    lengths = np.array([len(ids) for ids in documents])
    starts = np.searchsorted(positions.document, np.arange(len(documents) + 1))
    return Labelling(positions, lengths, starts, torch.from_numpy(fold).to(device), folds, groups)


def measure_entropies(
    states: HiddenStates,
    labelling: Labelling,
    directions: References,
    epsilon: float,
    spec: EstimateSpec,
    progress: Progress,
) -> Entropies:
    """H(Z) and H(Z | labels) of every layer under every draw.

    Remembered hidden states are read a layer at a time; otherwise all layers come from each forward pass. Either way
    only as many draws are counted at once as fit in memory, and the states are read again for the rest.
    """
    shape = (states.layers, 1 + labelling.folds, directions.draws)
    entropy = np.empty(shape)
    conditional = {key: np.empty(shape) for key in labelling.groups}
    scaled = (directions.directions / epsilon).to(labelling.fold.device)
    plan = list(_plan(states, labelling, spec, directions.draws))
    for done, (layers, draws) in enumerate(plan):
        progress("statistics", done, len(plan))
        with _full_precision():
            counted = _count(states, labelling, scaled[draws], layers, spec.centred)
        for layer, (mass, counts) in counted.items():
            entropy[layer, :, draws] = mass.entropy()
            for key, statistic in counts.items():
                conditional[key][layer, :, draws] = statistic.conditional_entropy(spec.weighting)
    progress("statistics", len(plan), len(plan))
    distinct = {key: grouping.distinct for key, grouping in labelling.groups.items()}
    return Entropies(entropy, conditional, distinct, spec.bins, len(labelling.positions))


@contextmanager
def _full_precision() -> Generator[None]:
    """Float32 products in float32, whatever a training around us allows for its own."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _plan(
    states: HiddenStates, labelling: Labelling, spec: EstimateSpec, draws: int
) -> Iterator[tuple[list[int], slice]]:
    """Which layers and draws to count in each reading, so that their tables fit in memory together."""
    device = labelling.fold.device
    budget = _TABLES if device.type == "cpu" else int(0.4 * _free(device))
    fit = max(1, budget // (labelling.rows * spec.bins * 8))
    at_once = 1 if states.remembered else min(states.layers, fit)
    step = max(1, fit // at_once)
    for first in range(0, states.layers, at_once):
        for start in range(0, draws, step):
            layers = list(range(first, min(first + at_once, states.layers)))
            yield layers, slice(start, min(start + step, draws))


def _free(device: torch.device) -> int:
    """Bytes that this process can still have of a GPU's memory, those it holds without using them included."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held


_Statistic = tuple[Mass, dict[Key, Counts]]


def _count(
    states: HiddenStates, labelling: Labelling, scaled: Tensor, layers: list[int], centred: bool
) -> dict[int, _Statistic]:
    """Statistics of some layers under some draws, from one reading of the hidden states."""
    draws, bins, _ = scaled.shape
    centre = _centres(states, labelling, layers) if centred else {}
    statistics: dict[int, _Statistic] = {
        layer: (
            Mass(labelling.folds, draws, bins, scaled.device),
            {key: Counts(grouping, draws, bins) for key, grouping in labelling.groups.items()},
        )
        for layer in layers
    }
    for at, units in _units(states, labelling, layers, max(1, _ASSIGNMENTS[scaled.device.type] // (draws * bins))):
        fold = indicator(labelling.fold[at], labelling.folds)
        parts = {key: grouping.part(at) for key, grouping in labelling.groups.items()}
        for layer, unit in units.items():
            mass, counts = statistics[layer]
            p, entropy = assign(normalise(unit - centre[layer]) if centred else unit, scaled)
            p, entropy = p.double(), entropy.double()
            mass.add(p, fold)
            for key, statistic in counts.items():
                statistic.add(p, entropy, parts[key])
    return statistics


def _units(
    states: HiddenStates, labelling: Labelling, layers: list[int], most: int
) -> Iterator[tuple[Tensor, dict[int, Tensor]]]:
    """At most so many positions at a time, and their normalised hidden states [positions, width] by layer."""
    device = labelling.fold.device
    lengths = labelling.lengths
    for documents, hidden in states.read(layers):
        ranges = [np.arange(labelling.starts[d], labelling.starts[d + 1]) for d in documents]
        at = np.concatenate(ranges)
        first = np.repeat(np.cumsum(lengths[documents]) - lengths[documents], [len(r) for r in ranges])
        rows = torch.from_numpy(first + labelling.positions.offset[at])
        for some, where in zip(rows.split(most), torch.from_numpy(at).split(most), strict=True):
            units = {layer: normalise(z[some.to(z.device)]).to(device) for layer, z in hidden.items()}
            yield where.to(device), units


def _centres(states: HiddenStates, labelling: Labelling, layers: list[int]) -> dict[int, Tensor]:
    """Mean of the normalised hidden states of each layer, [width] float32."""
    sums: dict[int, Tensor] = {}
    for _, units in _units(states, labelling, layers, len(labelling.positions)):
        for layer, unit in units.items():
            sums[layer] = sums.get(layer, 0) + unit.double().sum(0)
    centres = {layer: (total / len(labelling.positions)).float() for layer, total in sums.items()}
    for layer, centre in centres.items():
        if float(centre.norm()) > 1 - 1e-6:
            raise InputError(
                f"The hidden states of layer {layer} all point the same way and centring would leave nothing of them; "
                "expected some spread: estimate without --centred."
            )
    return centres

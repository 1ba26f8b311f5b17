"""Entropies of every layer under every draw, from hidden states and labels, within the memory there is."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.estimator.assignment import References, normalise
from softh.estimator.buffers import AssignmentBuffer, Buffer, GpuAssignmentBuffer, storage_device
from softh.estimator.conditional import Grouping, group, single_group
from softh.estimator.labels import TOKENS, LabelKind, Positions, shuffle, valid_positions
from softh.estimator.measures import Entropies, Key
from softh.estimator.memory_plan import Need, Plan, available, choose
from softh.models.cache import get_tensor, set_tensor
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec, Weighting, identity

COUNTING_VERSION = "4"
"""Version of assignment and counting. Raise it when a change in either moves a number: partial results of another
version are then not used."""

ProgressCallback = Callable[[str, int, int], None]
"""Called as progress(phase, done, total); the last call of a phase has done == total."""


@dataclass(frozen=True)
class Labelling:
    """Every label set of a corpus, grouped, and the positions of its documents."""

    positions: Positions
    lengths: np.ndarray  # [documents] tokens of every document
    starts: np.ndarray  # [documents + 1] first position of every document
    fold: Tensor  # [positions] int64, fold of the position's document
    folds: int
    groups: dict[Key, Grouping]
    whole: Grouping
    """All positions under one label: their H(Z | label) is H(Z)."""


def label(
    documents: Sequence[np.ndarray], spec: EstimateSpec, device: str, kind: LabelKind | None = TOKENS
) -> Labelling:
    """Label every position of tokenized documents, and permute each label set for the null.

    Args:
        documents: token ids, one array a document.
        spec: gives orders, folds and seed.
        device: of the model.
        kind: of the labels; None for positions and folds alone.

    >>> labelling = label([np.arange(9), np.arange(9)], EstimateSpec(model="", orders=(1, 2)), "cpu")
    >>> len(labelling.positions), len(labelling.groups)  # two variables, two orders, each with its null
    (12, 8)
    """
    positions = valid_positions(documents, max(spec.orders))
    folds = max(1, min(spec.folds, len(documents)))
    fold = torch.from_numpy(positions.document % folds).to(storage_device(device))
    groups = {}
    for labels in kind.labels(documents, positions, spec.orders, fold.device) if kind else ():
        for label_set in (labels, shuffle(labels, spec.seed)):
            groups[Key(labels.variable, labels.order, label_set.shuffled)] = group(label_set, fold, folds)
    lengths = np.array([len(ids) for ids in documents])
    starts = np.searchsorted(positions.document, np.arange(len(documents) + 1))
    return Labelling(positions, lengths, starts, fold, folds, groups, single_group(fold, folds))


def plan(states: HiddenStates, labelling: Labelling, spec: EstimateSpec) -> Plan:
    """Plan how to read the hidden states within this machine's memory.

    Raises:
        InputError: when not even one layer under one draw fits.
    """
    model = states.model
    device = labelling.fold.device
    need = Need(
        positions=len(labelling.positions),
        tokens=int(labelling.lengths.sum()),
        layers=states.layers,
        draws=spec.draws,
        bins=spec.bins,
        width=model.width,
        parameters=model.parameters,
        gpu=device.type == "cuda",
        cached=states.cached,
        states=states.bytes_needed,
    )
    return choose(need, available(device, getattr(torch, model.dtype)))


def measure_entropies(
    states: HiddenStates,
    labelling: Labelling,
    directions: References,
    epsilon: float,
    spec: EstimateSpec,
    progress: ProgressCallback,
    reading_plan: Plan | None = None,
) -> Entropies:
    """H(Z) and H(Z | labels) in nats of every layer under every draw.

    Cached hidden states are read a layer at a time; otherwise all layers come from each forward pass. Either way only
    as many draws are counted at once as fit in memory, and the states are read again for the rest.

    Args:
        states: hidden states of the documents that `labelling` labels.
        labelling: the result of :func:`label`.
        directions: reference directions of the model's width.
        epsilon: the temperature ε.
        spec: gives weighting, centring and bins.
        progress: called after every reading.
        reading_plan: how to read the states; by default the result of :func:`plan`.
    """
    reading_plan = reading_plan or plan(states, labelling, spec)
    device = labelling.fold.device
    all_directions = directions.directions.to(device)
    reader = HiddenStateReader(states, labelling, device)
    groupings = [grouping.reindexed(reader.index) for grouping in (*labelling.groups.values(), labelling.whole)]
    entropies = np.empty((states.layers, len(groupings), 1 + labelling.folds, directions.draws))
    readings = list(reading_plan.readings())
    partial = PartialResults(states, spec, directions.digest)
    with full_precision():
        for done, (layers, draws) in enumerate(readings):
            progress("statistics", done, len(readings))
            stored = {layer: values for layer in layers if (values := partial.get(layer, draws)) is not None}
            for layer, values in stored.items():
                entropies[layer, :, :, draws] = values
            if missing := [layer for layer in layers if layer not in stored]:
                # Keep no reference to the buffer: it must be freed before the next one is allocated.
                computed = buffer_entropies(
                    assign_all(reader, all_directions[draws], epsilon, missing, spec, reading_plan),
                    groupings,
                    spec.label_weighting,
                )
                for layer, values in zip(missing, computed, strict=True):
                    entropies[layer, :, :, draws] = values
                    partial.set(layer, draws, values)
    partial.delete()
    progress("statistics", len(readings), len(readings))
    distinct = {key: grouping.distinct for key, grouping in labelling.groups.items()}
    return assemble_entropies(entropies, distinct, spec.bins, len(labelling.positions))


def assemble_entropies(values: np.ndarray, distinct: dict[Key, int], bins: int, positions: int) -> Entropies:
    """Name the entropies of an array [layers, groupings, 1 + folds, draws]: label sets by key, all positions last."""
    conditional = {key: values[:, index] for index, key in enumerate(distinct)}
    return Entropies(values[:, -1], conditional, distinct, bins, positions)


def assign_all(
    reader: "HiddenStateReader",
    directions: Tensor,
    epsilon: float,
    layers: list[int],
    spec: EstimateSpec,
    reading_plan: Plan,
) -> Buffer:
    """Assign all positions of some layers under `directions` [draws, bins, width], in one reading of the states."""
    positions = len(reader.labelling.positions)
    centers = _centers(reader, layers) if spec.center else {}
    buffer: Buffer
    if reader.device.type == "cpu":
        buffer = AssignmentBuffer(layers, positions, directions, epsilon)
    else:
        dtype = getattr(torch, reader.states.model.dtype)
        buffer = GpuAssignmentBuffer(layers, positions, directions, epsilon, dtype, reading_plan)
    reader.fill(buffer, layers, centers)
    return buffer


def buffer_entropies(buffer: Buffer, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
    """H(Z | label) of a buffer, [layers, groupings, 1 + folds, draws]; the last grouping is all positions.

    The last grouping is weighted by positions whatever the weighting of the others.
    """
    if weighting == "positions":
        return buffer.entropies(groupings, weighting)
    return np.concatenate(
        [buffer.entropies(groupings[:-1], weighting), buffer.entropies(groupings[-1:], "positions")], axis=1
    )


@contextmanager
def full_precision() -> Generator[None]:
    """Compute float32 products in float32 inside the block, whatever a training around it allows for its own."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def document_offsets(order: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Rows of a buffer that stores the documents in another order.

    Args:
        order: [documents] their numbers, in the order of storage.
        starts: [documents + 1] first position of each in their own order.

    Returns:
        The first row of each document [documents], and the row of each position [positions] int32.

    >>> first, row = document_offsets(np.array([1, 0]), np.array([0, 2, 5]))
    >>> first.tolist(), row.tolist()
    ([3, 0], [3, 4, 0, 1, 2])
    """
    count = np.diff(starts)
    first = np.empty(len(count), dtype=np.int64)
    first[order] = np.cumsum(count[order]) - count[order]
    row = np.arange(count.sum()) + np.repeat(first - starts[:-1], count)
    return first, torch.from_numpy(row.astype(np.int32))


class HiddenStateReader:
    """Reads hidden states by document into buffers, whose rows follow the order of reading."""

    def __init__(self, states: HiddenStates, labelling: Labelling, device: torch.device) -> None:
        self.states, self.labelling, self.device = states, labelling, device
        self.first, index = document_offsets(np.concatenate(states.blocks), labelling.starts)
        self.index = index.to(device)
        """[positions] int32, row of each position."""
        self._rows: tuple[tuple[int, int] | None, Tensor] = (None, self.index[:0])

    def fill(self, buffer: Buffer, layers: Sequence[int], centers: dict[int, Tensor]) -> None:
        """Assign every position of some layers.

        Raises:
            InputError: for hidden states that are zero or not finite, with their place.
        """

        def on_layer(documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
            rows = self.rows(documents, text)
            buffer.put(layer, hidden.to(self.device), rows, int(self.first[documents[0]]), centers.get(layer))

        self.states.each(layers, on_layer)
        if (invalid := buffer.first_invalid()) is not None:
            position = int((self.index == invalid).nonzero()[0])
            self.states.check(int(self.labelling.positions.document[position]))
            raise InputError(
                "Some hidden states are too long or too short for float32; expected lengths between 1e-18 and 1e18: "
                "try another checkpoint."
            )

    def rows(self, documents: np.ndarray, text: Tensor | None) -> Tensor:
        """Rows of the documents' positions in a batch of hidden states, [m] int32.

        `text` are the rows of the documents' tokens; None where the batch holds nothing else.
        """
        key = (int(documents[0]), len(documents))
        if self._rows[0] != key:
            lengths, labelling = self.labelling.lengths[documents], self.labelling
            ranges = [np.arange(labelling.starts[d], labelling.starts[d + 1]) for d in documents]
            first = np.repeat(np.cumsum(lengths) - lengths, [len(r) for r in ranges])
            rows = torch.from_numpy((first + labelling.positions.offset[np.concatenate(ranges)]).astype(np.int32))
            rows = rows.to(self.device, non_blocking=True)
            self._rows = (key, rows if text is None else text[rows])
        return self._rows[1]


def _centers(reader: HiddenStateReader, layers: Sequence[int]) -> dict[int, Tensor]:
    """Mean of the normalised hidden states of each layer, [width] float32."""
    sums: dict[int, Tensor] = {}

    def on_layer(documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
        unit = normalise(hidden.to(reader.device)[reader.rows(documents, text)])
        sums[layer] = sums.get(layer, 0) + unit.double().sum(0)

    reader.states.each(layers, on_layer)
    centers = {layer: (total / len(reader.labelling.positions)).float() for layer, total in sums.items()}
    for layer, center in centers.items():
        if float(center.norm()) > 1 - 1e-6:
            raise InputError(
                f"The hidden states of layer {layer} all point the same way and centring would leave nothing of them; "
                "expected some spread: estimate without --centred."
            )
    return centers


class PartialResults:
    """Entropies that an interrupted estimate has computed, in the cache.

    Their key holds the specification, weights, text and version of the program: no other estimate reads them.
    """

    def __init__(self, states: HiddenStates, spec: EstimateSpec, directions: str) -> None:
        self.cache = states.cache
        self.key = identity(states.key, spec.canonical(), directions, COUNTING_VERSION)
        self.names: list[str] = []

    def get(self, layer: int, draws: slice) -> np.ndarray | None:
        """Entropies of a layer, [groupings, 1 + folds, draws] float64; None when they were not computed yet."""
        if self.cache is None:
            return None
        tensor = get_tensor(self.cache, self._name(layer, draws))
        return None if tensor is None else tensor.numpy()

    def set(self, layer: int, draws: slice, values: np.ndarray) -> None:
        """Store the entropies of a layer."""
        if self.cache is not None:
            set_tensor(self.cache, self._name(layer, draws), torch.from_numpy(values))

    def delete(self) -> None:
        """Delete everything: the estimate is complete, and the next one computes anew."""
        if self.cache is not None:
            for name in self.names:
                self.cache.delete(name)

    def _name(self, layer: int, draws: slice) -> str:
        name = f"{self.key}/{layer}/{draws.start}-{draws.stop}"
        self.names.append(name)
        return name

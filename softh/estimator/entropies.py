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
from softh.estimator.debiasing import Sums, conditionals
from softh.estimator.gains import Design, design
from softh.estimator.labels import LabelSet, Positions, label_kind
from softh.estimator.measures import Entropies, Key
from softh.estimator.memory_plan import Need, Plan, available, choose
from softh.models.cache import get_tensor, set_tensor
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec, Weighting, identity
from softh.text.corpus import TokenizedCorpus, select_documents

COUNTING_VERSION = "5"
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
    design: Design | None
    """For the debiased estimate; None without label sets."""

    @property
    def distinct(self) -> dict[Key, int]:
        """Number of distinct labels of every label set."""
        return {key: grouping.distinct for key, grouping in self.groups.items()}


def label(tokenized: TokenizedCorpus, spec: EstimateSpec, device: str, *, labels: bool = True) -> Labelling:
    """Label every position of tokenized documents.

    Args:
        tokenized: by the kind of label that `spec` names.
        spec: gives the kind of label, orders, folds and seed.
        device: of the model.
        labels: False for positions and folds alone.
    """
    kind = label_kind(spec.labels)
    documents, positions = tokenized.ids, kind.positions(tokenized, max(spec.orders))
    of_document = document_folds(len(documents), tokenized.sources, spec.folds)
    folds = int(of_document.max()) + 1
    fold = torch.from_numpy(of_document[positions.document]).to(storage_device(device))
    label_sets = list(kind.labels(tokenized, spec.orders, fold.device)) if labels else []
    lengths = np.array([len(ids) for ids in documents])
    starts = np.searchsorted(positions.document, np.arange(len(documents) + 1))
    return label_positions(label_sets, positions, lengths, starts, fold, folds, spec.seed)


@dataclass(frozen=True)
class SourcePart:
    """The positions of one source."""

    source: str
    documents: np.ndarray  # their numbers
    positions: Tensor  # [positions of the part] int64, their numbers among all
    labelling: Labelling


MOST_SOURCES = 32
"""Parts of a text; documents of smaller sources than the largest ones are one part together."""
OTHER_SOURCES = "other sources"


def label_parts(tokenized: TokenizedCorpus, labelling: Labelling, spec: EstimateSpec, device: str) -> list[SourcePart]:
    """Every source of a text with its labels, those of most documents first.

    Raises:
        InputError: for a text that does not say what its documents are a part of, or that is of one source.
    """
    names, of_document, size = np.unique(list(tokenized.sources), return_inverse=True, return_counts=True)
    if len(names) < 2 or len(of_document) < len(tokenized.ids):
        raise InputError(
            f"The text has {len(names)} sources; expected documents of several, named in a column `source`: add one, "
            "or estimate without --by-source."
        )
    order = np.lexsort((names, -size))
    groups = [[number] for number in order]
    if len(groups) > MOST_SOURCES:
        groups[MOST_SOURCES - 1 :] = [list(order[MOST_SOURCES - 1 :])]
    parts = []
    for group_of in groups:
        documents = np.flatnonzero(np.isin(of_document, group_of))
        some = label(select_documents(tokenized, documents), spec, device)
        positions = torch.from_numpy(np.flatnonzero(np.isin(labelling.positions.document, documents)))
        parts.append(
            SourcePart(str(names[group_of[0]]) if len(group_of) == 1 else OTHER_SOURCES, documents, positions, some)
        )
    return parts


def document_folds(documents: int, sources: Sequence[str], folds: int) -> np.ndarray:
    """Fold of every document [documents] int64: whole sources, such as books, where there are as many; else in turn.

    Passages of one source are not independent: errors that leave out single passages are too small.

    >>> document_folds(4, ["a", "b", "a", "b"], folds=2).tolist()
    [0, 1, 0, 1]
    """
    number = max(1, min(folds, documents))
    names, of_document, size = np.unique(list(sources), return_inverse=True, return_counts=True)
    if len(names) < number or len(of_document) < documents:
        return np.arange(documents) % number
    fold_of, filled = np.empty(len(names), dtype=np.int64), np.zeros(number)
    for name in np.argsort(-size, kind="stable"):
        fold_of[name] = filled.argmin()
        filled[fold_of[name]] += size[name]
    return fold_of[of_document]


def label_positions(
    label_sets: Sequence[LabelSet], positions: Positions, lengths: np.ndarray, starts: np.ndarray, fold: Tensor,
    folds: int, seed: int,
) -> Labelling:  # fmt: skip
    """Group label sets of the same positions; arguments as the fields of :class:`Labelling`."""
    groups = {Key(labels.variable, labels.order): group(labels, fold, folds) for labels in label_sets}
    whole = single_group(fold, folds)
    prepared = design(label_sets, positions.document, fold.cpu().numpy(), folds, seed) if label_sets else None
    return Labelling(positions, lengths, starts, fold, folds, groups, whole, prepared)


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
    on_partial: Callable[[str], object] | None = None,
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
        on_partial: called after every reading with a sentence of what the layers counted so far show.
    """
    return measure_parts(states, labelling, directions, epsilon, spec, progress, reading_plan, on_partial=on_partial)[0]


def measure_parts(
    states: HiddenStates,
    labelling: Labelling,
    directions: References,
    epsilon: float,
    spec: EstimateSpec,
    progress: ProgressCallback,
    reading_plan: Plan | None = None,
    parts: Sequence[SourcePart] = (),
    on_partial: Callable[[str], object] | None = None,
) -> list[Entropies]:
    """As :func:`measure_entropies`, of all positions, then of those of each part, counted in the same reading."""
    reading_plan = reading_plan or plan(states, labelling, spec)
    device = labelling.fold.device
    all_directions = directions.directions.to(device)
    reader = HiddenStateReader(states, labelling, device)
    counting = CountingParts(
        [
            Counting(labelling, reader.index, spec),
            *(Counting(part.labelling, reader.index[part.positions.to(device)], spec) for part in parts),
        ]
    )
    values: list[list[np.ndarray]] = [[] for _ in range(states.layers)]
    readings = list(reading_plan.readings())
    partial = PartialResults(states, spec, directions.digest, [part.source for part in parts])
    with full_precision():
        for done, (layers, draws) in enumerate(readings):
            progress("statistics", done, len(readings))
            stored = {layer: found for layer in layers if (found := partial.get(layer, draws)) is not None}
            if missing := [layer for layer in layers if layer not in stored]:
                # Keep no reference to the buffer: it must be freed before the next one is allocated.
                computed = counting.rows(
                    assign_all(reader, all_directions[draws], epsilon, missing, spec, reading_plan)
                )
                for layer, rows in zip(missing, computed, strict=True):
                    stored[layer] = rows
                    partial.set(layer, draws, rows)
            for layer in layers:
                values[layer].append(stored[layer])
            if on_partial is not None:
                on_partial(_so_far(values, labelling, spec))
    partial.delete()
    progress("statistics", len(readings), len(readings))
    each = counting.split(np.stack([np.concatenate(rows, axis=-1) for rows in values]))
    labellings = [labelling, *(part.labelling for part in parts)]
    return [assemble_entropies(rows, of, spec) for rows, of in zip(each, labellings, strict=True)]


def _so_far(values: Sequence[Sequence[np.ndarray]], labelling: Labelling, spec: EstimateSpec) -> str:
    """Raw complexity and expressivity of the lowest order in the mean over layers that have been counted.

    values: of every layer the rows of :class:`Counting` under the draws so far, [rows, 1 + folds, draws] each.
    """
    keys, order = list(labelling.groups), min(spec.orders)
    known = [np.concatenate(parts, axis=-1)[:, 0].mean(axis=-1) for parts in values if parts]
    told = []
    for name, key in (("complexity", Key("input", order)), ("expressivity", Key("output", order))):
        if key in keys:
            gains = [rows[len(keys)] - rows[keys.index(key)] for rows in known]
            told.append(f"{name} {np.mean(gains) / np.log(spec.bins):.3f}")
    return f"so far {' and '.join(told)}, raw, in {len(known)} of {len(values)} layers"


class Counting:
    """What is computed of the assignments of every layer, in the rows of one array."""

    def __init__(self, labelling: Labelling, index: Tensor, spec: EstimateSpec) -> None:
        """`index` [positions] int32 is the row of each position in the buffers."""
        assert labelling.design is not None
        self.groupings = [each.reindexed(index) for each in (*labelling.groups.values(), labelling.whole)]
        self.design = labelling.design.reindexed(index)
        self.weighting = spec.label_weighting

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.groupings) + self.design.rows

    def rows(self, buffer: Buffer) -> np.ndarray:
        """H(Z | label) of every label set, H(Z), then :meth:`Design.sums`; [layers, rows, 1 + folds, draws]."""
        return np.concatenate(
            [buffer_entropies(buffer, self.groupings, self.weighting), buffer.sums(self.design)], axis=1
        )


class CountingParts:
    """What several countings compute of one buffer, in the rows of one array; folds that one lacks are NaN."""

    def __init__(self, countings: Sequence[Counting]) -> None:
        """Of all positions, then of some of them each."""
        self.countings = countings

    def rows(self, buffer: Buffer) -> np.ndarray:
        """Rows of every counting, [layers, rows, 1 + most folds, draws]."""
        found = [counting.rows(buffer) for counting in self.countings]
        most = max(rows.shape[2] for rows in found)
        lacking = [((0, 0), (0, 0), (0, most - rows.shape[2]), (0, 0)) for rows in found]
        padded = [np.pad(rows, pad, constant_values=np.nan) for rows, pad in zip(found, lacking, strict=True)]
        return np.concatenate(padded, axis=1)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """The rows of each counting again, with its folds."""
        parts = np.split(values, np.cumsum([each.count for each in self.countings])[:-1], axis=1)
        return [part[:, :, : 1 + each.design.folds] for part, each in zip(parts, self.countings, strict=True)]


def assemble_entropies(values: np.ndarray, labelling: Labelling, spec: EstimateSpec) -> Entropies:
    """Entropies from the rows [layers, rows, 1 + folds, draws] of :class:`Counting`."""
    assert labelling.design is not None
    label_sets = len(labelling.groups)
    entropy, raw = values[:, label_sets], [values[:, number] for number in range(label_sets)]
    sums = Sums(values[:, 1 + label_sets :], labelling.design)
    found = conditionals(entropy, raw, sums, spec.bins, spec.label_weighting)
    conditional = dict(zip(labelling.groups, found, strict=True))
    return Entropies(entropy, conditional, labelling.distinct, spec.bins, len(labelling.positions))


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

    def __init__(self, states: HiddenStates, spec: EstimateSpec, directions: str, sources: Sequence[str] = ()) -> None:
        """`sources`: names of the parts that are counted, too."""
        self.cache = states.cache
        self.key = identity(states.key, spec.canonical(), directions, COUNTING_VERSION, *sources)
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

"""Hidden states and labels to the entropies of every layer under every draw, within the memory there is."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.estimator.assignment import References, normalise
from softh.estimator.buffers import Held, HeldOnGpu, place_of
from softh.estimator.conditional import Grouping, group, together
from softh.estimator.labels import VARIABLES, Positions, Variable, encode, ngrams, shuffle, valid_positions
from softh.estimator.measures import Entropies, Key
from softh.estimator.memory_plan import Need, Plan, choose, machine_of
from softh.models.cache import recall, remember
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec, Weighting, identity

COUNTING_VERSION = "4"
"""Version of assignment and counting. Raise it when a change in either moves a number: partial results of another
version are then not found."""

Progress = Callable[[str, int, int], None]
"""Called as progress(phase, done, total); the last call of a phase has done == total."""


@dataclass(frozen=True)
class Labelling:
    """Every label set of a corpus, grouped, and where its positions lie."""

    positions: Positions
    lengths: np.ndarray  # [documents] tokens of every document
    starts: np.ndarray  # [documents + 1] first position of every document
    fold: Tensor  # [positions] int64, fold of the position's document
    folds: int
    groups: dict[Key, Grouping]
    whole: Grouping
    """All positions under one label: their H(Z | label) is H(Z)."""


def label(
    documents: Sequence[np.ndarray], spec: EstimateSpec, device: str, variables: Sequence[Variable] = VARIABLES
) -> Labelling:
    """Label sets of input and output at every order, each with its shuffled twin; without variables, none."""
    positions = valid_positions(documents, max(spec.orders))
    folds = max(1, min(spec.folds, len(documents)))
    fold = torch.from_numpy(positions.document % folds).to(place_of(device))
    codes = ngrams(documents, max(spec.orders), fold.device) if variables else []
    groups = {}
    for variable in variables:
        for order in spec.orders:
            true = encode(codes, positions, variable, order)
            for label_set in (true, shuffle(true, spec.seed)):
                groups[Key(variable, order, label_set.shuffled)] = group(label_set, fold, folds)
    lengths = np.array([len(ids) for ids in documents])
    starts = np.searchsorted(positions.document, np.arange(len(documents) + 1))
    return Labelling(positions, lengths, starts, fold, folds, groups, together(fold, folds))


def plan(states: HiddenStates, labelling: Labelling, spec: EstimateSpec) -> Plan:
    """How to read the hidden states on this machine. Errors: InputError when it cannot be done."""
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
        remembered=states.remembered,
        states=states.bytes_needed,
    )
    return choose(need, machine_of(device, getattr(torch, model.dtype)))


def measure_entropies(
    states: HiddenStates,
    labelling: Labelling,
    directions: References,
    epsilon: float,
    spec: EstimateSpec,
    progress: Progress,
    cut: Plan | None = None,
) -> Entropies:
    """H(Z) and H(Z | labels) of every layer under every draw, read as the plan `cut` says (by default :func:`plan`).

    Remembered hidden states are read a layer at a time; otherwise all layers come from each forward pass. Either way
    only as many draws are counted at once as fit in memory, and the states are read again for the rest.
    """
    cut = cut or plan(states, labelling, spec)
    device = labelling.fold.device
    every = directions.directions.to(device)
    reader = Reader(states, labelling, device)
    groupings = [grouping.moved(reader.place) for grouping in (*labelling.groups.values(), labelling.whole)]
    found = np.empty((states.layers, len(groupings), 1 + labelling.folds, directions.draws))
    readings = list(cut.readings())
    shards = Shards(states, spec, directions.digest)
    with full_precision():
        for done, (layers, draws) in enumerate(readings):
            progress("statistics", done, len(readings))
            known = {layer: values for layer in layers if (values := shards.recall(layer, draws)) is not None}
            if missing := [layer for layer in layers if layer not in known]:
                # What is held has no name here: it is free before the next is.
                counted = entropies(
                    hold(reader, every[draws], epsilon, missing, spec, cut), groupings, spec.label_weighting
                )
                for layer, values in zip(missing, counted, strict=True):
                    known[layer] = values
                    shards.keep(layer, draws, values)
            for layer, values in known.items():
                found[layer, :, :, draws] = values
    shards.forget()
    progress("statistics", len(readings), len(readings))
    distinct = {key: grouping.distinct for key, grouping in labelling.groups.items()}
    return gather(found, distinct, spec.bins, len(labelling.positions))


def gather(found: np.ndarray, distinct: dict[Key, int], bins: int, positions: int) -> Entropies:
    """Entropies from an array [layers, groupings, 1 + folds, draws]: label sets by key, and last all positions."""
    return Entropies(found[:, -1], {key: found[:, at] for at, key in enumerate(distinct)}, distinct, bins, positions)


def hold(
    reader: "Reader", directions: Tensor, epsilon: float, layers: list[int], spec: EstimateSpec, cut: Plan
) -> Held | HeldOnGpu:
    """Assignments of some layers under some draws of `directions`, from one reading."""
    positions = len(reader.labelling.positions)
    centre = _centres(reader, layers) if spec.center else {}
    held: Held | HeldOnGpu = (
        Held(layers, positions, directions, epsilon)
        if reader.device.type == "cpu"
        else HeldOnGpu(layers, positions, directions, epsilon, getattr(torch, reader.states.model.dtype), cut)
    )
    reader.fill(held, layers, centre)
    return held


def entropies(held: Held | HeldOnGpu, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
    """H(Z | label) as `held` has it, the last grouping, which holds all positions, always weighted by them."""
    if weighting == "positions":
        return held.entropies(groupings, weighting)
    return np.concatenate(
        [held.entropies(groupings[:-1], weighting), held.entropies(groupings[-1:], "positions")], axis=1
    )


@contextmanager
def full_precision() -> Generator[None]:
    """Float32 products in float32, whatever a training around us allows for its own."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def places(order: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Where the positions of a document begin [documents], and where each position is [positions] int32, when
    documents are kept in an `order`; `starts` [documents + 1] is where they begin in their own.
    """
    count = np.diff(starts)
    first = np.empty(len(count), dtype=np.int64)
    first[order] = np.cumsum(count[order]) - count[order]
    place = np.arange(count.sum()) + np.repeat(first - starts[:-1], count)
    return first, torch.from_numpy(place.astype(np.int32))


class Reader:
    """Hidden states by document, and where the positions of each are kept: in the order in which they are read."""

    def __init__(self, states: HiddenStates, labelling: Labelling, device: torch.device) -> None:
        self.states, self.labelling, self.device = states, labelling, device
        self.first, place = places(np.concatenate(states.blocks), labelling.starts)
        self.place = place.to(device)
        self._rows: tuple[tuple[int, int] | None, Tensor] = (None, self.place[:0])

    def fill(self, held: Held | HeldOnGpu, layers: Sequence[int], centre: dict[int, Tensor]) -> None:
        """Assign every position of some layers."""

        def take(documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
            rows = self.rows(documents, text)
            held.put(layer, hidden.to(self.device), rows, int(self.first[documents[0]]), centre.get(layer))

        self.states.each(layers, take)
        if isinstance(held, HeldOnGpu) and (bad := held.bad()) is not None:
            position = int((self.place == bad).nonzero()[0])
            self.states.check(int(self.labelling.positions.document[position]))
            raise InputError(
                "Some hidden states are too long or too short for float32; expected lengths between 1e-18 and 1e18: "
                "try another checkpoint."
            )

    def rows(self, documents: np.ndarray, text: Tensor | None) -> Tensor:
        """Rows of the positions among hidden states, of which `text` are the tokens (all if None); [m] int32."""
        key = (int(documents[0]), len(documents))
        if self._rows[0] != key:
            lengths, labelling = self.labelling.lengths[documents], self.labelling
            ranges = [np.arange(labelling.starts[d], labelling.starts[d + 1]) for d in documents]
            first = np.repeat(np.cumsum(lengths) - lengths, [len(r) for r in ranges])
            rows = torch.from_numpy((first + labelling.positions.offset[np.concatenate(ranges)]).astype(np.int32))
            rows = rows.to(self.device, non_blocking=True)
            self._rows = (key, rows if text is None else text[rows])
        return self._rows[1]


def _centres(reader: Reader, layers: Sequence[int]) -> dict[int, Tensor]:
    """Mean of the normalised hidden states of each layer, [width] float32."""
    sums: dict[int, Tensor] = {}

    def take(documents: np.ndarray, layer: int, hidden: Tensor, text: Tensor | None) -> None:
        unit = normalise(hidden.to(reader.device)[reader.rows(documents, text)])
        sums[layer] = sums.get(layer, 0) + unit.double().sum(0)

    reader.states.each(layers, take)
    centres = {layer: (total / len(reader.labelling.positions)).float() for layer, total in sums.items()}
    for layer, centre in centres.items():
        if float(centre.norm()) > 1 - 1e-6:
            raise InputError(
                f"The hidden states of layer {layer} all point the same way and centring would leave nothing of them; "
                "expected some spread: estimate without --centred."
            )
    return centres


class Shards:
    """What an interrupted estimate has counted; the same specification, weights, text and program alone find it."""

    def __init__(self, states: HiddenStates, spec: EstimateSpec, directions: str) -> None:
        self.cache = states.cache
        self.key = identity(states.key, spec.canonical(), directions, COUNTING_VERSION)
        self.kept: list[str] = []

    def recall(self, layer: int, draws: slice) -> np.ndarray | None:
        """[statistics, 1 + folds, draws] float64 of a layer; None when it was not counted yet."""
        if self.cache is None:
            return None
        found = recall(self.cache, self._name(layer, draws))
        return None if found is None else found.numpy()

    def keep(self, layer: int, draws: slice, values: np.ndarray) -> None:
        """Remember the statistics of a layer."""
        if self.cache is not None:
            remember(self.cache, self._name(layer, draws), torch.from_numpy(values))

    def forget(self) -> None:
        """Drop everything: the estimate is whole, and the next one counts anew."""
        if self.cache is not None:
            for name in self.kept:
                self.cache.delete(name)

    def _name(self, layer: int, draws: slice) -> str:
        name = f"{self.key}/{layer}/{draws.start}-{draws.stop}"
        self.kept.append(name)
        return name

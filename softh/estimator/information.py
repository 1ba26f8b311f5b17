"""The public functions :func:`softh.information` and :func:`softh.entropy`: for hidden states and labels in memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.estimator.arrays import as_tensor, as_values
from softh.estimator.assignment import references
from softh.estimator.buffers import AssignmentBuffer, Buffer, GpuAssignmentBuffer, storage_device
from softh.estimator.calibration import temperature
from softh.estimator.debiasing import undebiased
from softh.estimator.entropies import (
    Counting,
    Labelling,
    assemble_entropies,
    buffer_entropies,
    full_precision,
    label_positions,
)
from softh.estimator.labels import LabelSet, Positions
from softh.estimator.measures import measure, replicates, summarise
from softh.estimator.memory_plan import Need, Plan, available, choose
from softh.format import with_error
from softh.notebook import table
from softh.spec import EstimateSpec

if TYPE_CHECKING:
    import polars as pl

_FOLDS = 8


@dataclass(frozen=True)
class Value:
    """A number with its standard errors; None where nothing can be said."""

    value: float | None
    se_draws: float | None
    """Over draws of the reference directions."""
    se_documents: float | None
    """Over documents (or positions, where each is a document), by a jackknife over folds."""
    draws: tuple[float | None, ...]
    """Value of every draw."""
    folds: tuple[float | None, ...]
    """Value without each fold of documents."""

    def __str__(self) -> str:
        return with_error(self.value, self.se_draws, self.se_documents)


@dataclass(frozen=True)
class Information:
    """Information between labels and hidden states, in units of log(bins)."""

    entropy: Value
    """H(Z), plug-in."""
    raw: Value
    """Plug-in information, as published; too large, and an upper bound in expectation."""
    null: Value
    """What the same labels give when they are shuffled."""
    corrected: Value
    """raw − null; too small."""
    debiased: Value
    """The estimate of the information. It may be negative where there is little."""
    lower: Value
    """A lower bound in expectation."""
    positions: int
    labels: int
    """Distinct labels."""
    documents: int
    note: str | None
    """Why there is no debiased value; None where there is one."""

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"{name:<10}{value}" for name, value in self._values()]
        size = f"{self.positions:,} positions, {self.labels:,} labels, {self.documents:,} documents; units of log n"
        return "\n".join([*lines, size, *([self.note] if self.note else [])])

    def to_polars(self) -> "pl.DataFrame":
        """One row a value: name, value, se_draws, se_documents."""
        import polars as pl  # estimates do without

        rows = [(name, value.value, value.se_draws, value.se_documents) for name, value in self._values()]
        kinds = {"name": pl.String, "value": pl.Float64, "se_draws": pl.Float64, "se_documents": pl.Float64}
        return pl.DataFrame(rows, schema=kinds, orient="row")

    def _repr_html_(self) -> str:
        """The values as a table of a notebook."""
        rows = [(name, str(value)) for name, value in self._values()]
        size = f"{self.positions:,} positions, {self.labels:,} labels, {self.documents:,} documents"
        note = f"{size}; ± one standard error. {self.note or ''}".strip()
        return table("Information in units of log n", ["", "value"], rows, note)

    def _values(self) -> Iterator[tuple[str, Value]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Value):
                yield each.name, value


def information(
    hidden: Any, labels: Any, *, bins: int = 100, draws: int = 32, seed: int = 0, groups: Any = None
) -> Information:
    """Information between labels and hidden states, as raw, null-corrected and debiased values with standard errors.

    An estimate of a model comes from the same functions.

    Args:
        hidden: [positions, width] floats of NumPy, torch or JAX, on any device.
        labels: [positions] integers or strings of the same, or a sequence.
        bins: reference directions a draw, n.
        draws: independent draws of them.
        seed: of directions and random groups.
        groups: [positions] document of every position, integers or strings. Without it every position counts as a
            document of its own; give it where neighbours depend on each other, since errors are too small otherwise.

    Returns:
        Values in units of log(bins).

    Raises:
        InputError: lengths differ, a hidden state is zero or not finite, fewer than two positions or labels.

    Source: docs/debiasing.md.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 20, 2000)
    >>> hidden = rng.standard_normal((20, 32))[labels] + rng.standard_normal((2000, 32))
    >>> found = information(hidden, labels, draws=4)
    >>> found.lower.value < found.debiased.value < found.raw.value
    True
    """
    states, document = _checked_states(hidden, groups)
    label_set, order = _by_document(_label_set(labels, len(states)), document, storage_device(states.device))
    spec = EstimateSpec(model="", bins=bins, draws=draws, seed=seed, orders=(1,))
    return measured(label_set, document[order], _buffers(states[torch.from_numpy(order)], spec), spec)


def of_assignments(p: np.ndarray, labels: Any, *, seed: int = 0, groups: Any = None) -> Information:
    """The same from soft assignments p [positions, draws, bins] instead of hidden states.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet(np.ones(10), (200, 2))
    >>> of_assignments(p, rng.integers(0, 4, 200)).labels
    4
    """
    if not np.isfinite(p).all():
        row = int((~np.isfinite(p)).any((1, 2)).argmax())
        raise InputError(f"Row {row} of p is not finite; expected a distribution in every row: check the states.")
    document = np.arange(len(p)) if groups is None else _dense(groups, len(p), "groups").values
    label_set, order = _by_document(_label_set(labels, len(p)), document, torch.device("cpu"))
    _, draws, bins = p.shape
    buffer = AssignmentBuffer([0], len(p), torch.empty(draws, bins, 0), 1.0)
    buffer.p[0] = torch.from_numpy(p[order])
    buffer.entropy[0] = -torch.special.xlogy(buffer.p[0], buffer.p[0]).sum(-1)
    spec = EstimateSpec(model="", bins=bins, draws=draws, seed=seed, orders=(1,))
    return measured(label_set, document[order], iter([buffer]), spec)


def _by_document(labels: LabelSet, document: np.ndarray, device: torch.device) -> tuple[LabelSet, np.ndarray]:
    """Labels in the order of their documents, and that order."""
    order = np.argsort(document, kind="stable")
    return LabelSet("input", 1, labels.labels[torch.from_numpy(order)].to(device), labels.distinct), order


def measured(labels: LabelSet, document: np.ndarray, buffers: Iterator[Buffer], spec: EstimateSpec) -> Information:
    """Information from the assignments of positions that are sorted by document [positions], some draws a buffer."""
    labelling = _labelling(labels, document, spec.seed)
    place = torch.arange(len(document), dtype=torch.int32, device=labelling.fold.device)
    counting = Counting(labelling, place, spec)
    with full_precision():
        values = np.concatenate([counting.rows(buffer) for buffer in buffers], axis=-1)
    found = {
        row.correction if row.quantity == "information" else row.quantity: row
        for row in measure(assemble_entropies(values, labelling, spec))
        if row.layer is None and row.quantity in ("entropy", "information")
    }
    named = {
        name: Value(row.value, row.se_draws, row.se_documents, tuple(row.draws or ()), tuple(row.folds or ()))
        for name, row in found.items()
    }
    assert labelling.design is not None
    documents = len(labelling.design.begin)
    note = undebiased(labelling.design.gains[0].sizes, documents)
    values = (named[name] for name in ("entropy", "raw", "null", "corrected", "debiased", "lower"))
    return Information(*values, len(document), labels.distinct, documents, note)


def entropy(hidden: Any, *, bins: int = 100, draws: int = 32, seed: int = 0, groups: Any = None) -> Value:
    """H(Z) of hidden states in units of log(bins); arguments and errors as for :func:`information`.

    >>> rng = np.random.default_rng(0)
    >>> 0 < entropy(rng.standard_normal((500, 16)), draws=4).value < 1
    True
    """
    states, document = _checked_states(hidden, groups)
    labelling = _labelling(None, document, seed)
    spec = EstimateSpec(model="", bins=bins, draws=draws, seed=seed, orders=(1,))
    with full_precision():
        parts = [buffer_entropies(buffer, [labelling.whole], "positions")[:, 0] for buffer in _buffers(states, spec)]
    values = np.concatenate(parts, axis=-1) / math.log(bins)
    found = summarise(replicates(values)[:, -1], labelling.folds)
    return Value(*found[:3], tuple(found.draws), tuple(found.folds))


class _Array(NamedTuple):
    values: np.ndarray
    distinct: int


def _checked_states(hidden: Any, groups: Any) -> tuple[Tensor, np.ndarray]:
    """Hidden states as a tensor, and the document of every position, numbered from 0."""
    states = as_tensor(hidden)
    if states.ndim != 2 or not states.is_floating_point():
        raise InputError(
            f"hidden was {str(states.dtype).removeprefix('torch.')} of shape {tuple(states.shape)}; expected floats "
            "[positions, width]: flatten layers and batches first."
        )
    if len(states) < 2:
        raise InputError(f"hidden has {len(states)} positions; expected at least two: pass more text.")
    norm = torch.linalg.vector_norm(states.float(), dim=1)
    if len(wrong := (~norm.isfinite() | (norm == 0)).nonzero()):
        raise InputError(
            f"hidden has a row that is zero or not finite, row {int(wrong[0])}; expected finite rows that are not "
            "zero: leave such positions out."
        )
    if groups is None:
        return states, np.arange(len(states))
    return states, _dense(groups, len(states), "groups").values


def _label_set(labels: Any, positions: int) -> LabelSet:
    dense = _dense(labels, positions, "labels")
    if dense.distinct < 2:
        raise InputError("All labels are equal; expected at least two different ones: the information would be zero.")
    return LabelSet("input", 1, torch.from_numpy(dense.values), dense.distinct)


def _dense(values: Any, positions: int, name: str) -> _Array:
    """Values numbered from 0 in their order."""
    array = as_values(values, positions, name)
    distinct, dense = np.unique(array, return_inverse=True)
    return _Array(dense.astype(np.int64).reshape(-1), len(distinct))


def _labelling(labels: LabelSet | None, document: np.ndarray, seed: int) -> Labelling:
    """Labels of positions that are sorted by document."""
    documents = int(document.max()) + 1
    folds = max(1, min(_FOLDS, documents))
    device = labels.labels.device if labels else torch.device("cpu")
    fold = torch.from_numpy(document % folds).to(device)
    size = np.bincount(document)
    starts = np.concatenate([[0], size.cumsum()])
    place = np.arange(len(document))
    positions = Positions(document, place - starts[document], place)
    return label_positions([labels] if labels else [], positions, size, starts, fold, folds, seed)


def _buffers(states: Tensor, spec: EstimateSpec) -> Iterator[Buffer]:
    """The assignments of some draws after another, as many as fit in memory."""
    device, width = storage_device(states.device), states.shape[1]
    need = Need(
        positions=len(states), tokens=len(states), layers=1, draws=spec.draws, bins=spec.bins, width=width,
        parameters=0, gpu=device.type == "cuda", cached=True, states=states.nbytes,
    )  # fmt: skip
    reading_plan: Plan = choose(need, available(device, torch.float32))
    directions = references(spec.bins, width, spec.draws, spec.seed, spec.directions).directions.to(device)
    epsilon = temperature(spec.bins, width, spec.temperature_rule)
    rows = torch.arange(len(states), dtype=torch.int32, device=device)
    for _, draws in reading_plan.readings():
        buffer: Buffer
        if device.type == "cpu":
            buffer = AssignmentBuffer([0], len(states), directions[draws], epsilon)
        else:
            buffer = GpuAssignmentBuffer([0], len(states), directions[draws], epsilon, states.dtype, reading_plan)
        buffer.put(0, states.to(device), rows, 0, None)
        yield buffer

"""Information of hidden states that come batch by batch, from any framework: :class:`Accumulator`."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from softh.errors import InputError, disk_errors
from softh.estimator.arrays import Ids, as_ids, as_tensor
from softh.estimator.assignment import references
from softh.estimator.buffers import AssignmentBuffer
from softh.estimator.calibration import temperature
from softh.estimator.entropies import (
    Counting,
    assemble_entropies,
    document_folds,
    full_precision,
    label_positions,
)
from softh.estimator.information import Information, measured
from softh.estimator.labels import VARIABLES, LabelSet, Positions
from softh.estimator.measures import Entropies, Key
from softh.estimator.positions_kept import EVERYTHING, Kept, Rows, content
from softh.format import and_more, format_size
from softh.notebook import table
from softh.spec import EstimateSpec
from softh.store import atomic

FORMAT = 1
"""Version of the saved form."""
_STATE = "accumulator.json"
_PIECE = 2**21
"""Numbers of float64 that are computed at once."""
_FILE = 2**27
"""Bytes of one file of positions, about."""
_WORKING = 2**29
"""Bytes of assignments in single precision that a result works on at once, at least those of one draw."""
_WORKING_PARTS = 2.5
"""Memory of a result beside them, in their parts: sums of labels."""
_PER_POSITION = 400
"""Bytes a position of labels sorted by label, fold and document."""


@dataclass(frozen=True)
class Memory:
    """Bytes that an accumulator takes, once it is full."""

    kept: int
    """Of the positions that it keeps, from the first update on as they come."""
    update: int
    """Of an update beside the arrays that are passed, of up to as many positions as were asked about; of a save too."""
    result: int
    """Of a result, while it is computed."""

    @property
    def peak(self) -> int:
        """The most at any time."""
        return self.kept + max(self.update, self.result)

    def __str__(self) -> str:
        return (
            f"{format_size(self.kept)} of positions, {format_size(self.update)} more in an update, "
            f"{format_size(self.result)} more for a result"
        )


class Accumulator:
    """Collects hidden states and labels batch by batch; :meth:`result` is what :func:`softh.information` gives.

    Soft assignments of every position are kept in half precision, not hidden states: their size is that of the draws,
    whatever the width of the model. Where more positions come than there is room for, a random sample of whole
    documents stays, the same whatever the order of updates. Updates in any order, parts that are merged, and a state
    that was saved and resumed give the same result, to the last bit where `document` and `position` are given or rows
    differ.

    Args:
        layers: names of the layers.
        labels: names of the label sets.
        positions: most positions to keep.
        bins: as for :func:`softh.information`, like the next two; memory grows with bins and draws.
        draws: draws of the reference directions.
        seed: of directions, random groups and the sample of documents.
        sample: identity of the text, such as the digest of a frozen sample; nothing measured on another is mixed in.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 20, 2000)
    >>> hidden = rng.standard_normal((20, 32))[labels] + rng.standard_normal((2000, 32))
    >>> whole, parts = (Accumulator(positions=2000, draws=2) for _ in range(2))
    >>> whole.update(hidden, labels)
    >>> for rows in np.array_split(rng.permutation(2000), 5):
    ...     parts.update(hidden[rows], labels[rows])
    >>> whole.result().debiased.value == parts.result().debiased.value
    True
    """

    def __init__(
        self,
        layers: Sequence[str] = ("hidden",),
        labels: Sequence[str] = ("labels",),
        *,
        positions: int,
        bins: int = 100,
        draws: int = 8,
        seed: int = 0,
        sample: str | None = None,
    ) -> None:
        self.layers, self.labels, self.positions, self.sample = tuple(layers), tuple(labels), positions, sample
        for names, what in ((self.layers, "layers"), (self.labels, "labels")):
            if not names or len(set(names)) < len(names):
                raise InputError(f"{what} were {', '.join(names) or 'none'}; expected different names: correct them.")
        if positions < 2:
            raise InputError(f"positions was {positions}; expected room for at least two: ask for more.")
        self.spec = EstimateSpec(model="", bins=bins, draws=draws, seed=seed, orders=(1,))
        self.widths: dict[str, int] = {}
        """Of every layer, from the first update on."""
        self.updates = 0
        """Updates so far, those of merged parts included: where to go on after a resume."""
        self.seen = 0
        """Positions that were passed, kept or not."""
        self._kinds: dict[str, str] = {}
        self._saved: tuple[Path, list[dict[str, str]]] | None = None
        self._directions: dict[tuple[str, int], Tensor] = {}

    @cached_property
    def _kept(self) -> Kept:
        spec = self.spec
        return Kept(self.positions, len(self.layers), len(self.labels), spec.draws, spec.bins, spec.seed)

    def _repr_html_(self) -> str:
        """What it has collected so far, as a table of a notebook."""
        rows = [
            ("layers", and_more(self.layers)),
            ("label sets", and_more(self.labels)),
            ("updates", f"{self.updates:,}"),
            ("positions passed", f"{self.seen:,}"),
            ("positions kept", f"{self.kept:,} of at most {self.positions:,}"),
        ]
        return table("Accumulator", ["", ""], rows)

    @property
    def kept(self) -> int:
        """Positions that are kept now."""
        return int(self._kept.used.sum())

    def memory(self, batch: int = 8192) -> Memory:
        """What it will take, before anything is passed.

        batch: most positions of an update.

        >>> print(Accumulator(layers=["4", "8"], positions=100_000, draws=4).memory(batch=4096))
        0.2 GB of positions, 0.4 GB more in an update, 0.6 GB more for a result
        """
        spec = self.spec
        one_draw = self.positions * (spec.bins + 1) * 4
        working = min(max(_WORKING, one_draw), spec.draws * one_draw)
        result = int(_WORKING_PARTS * min(working, 2**28) + working + _PER_POSITION * self.positions)
        update = max(2 * self._row_bytes * batch + 4 * 8 * _PIECE, 3 * min(_FILE, self._row_bytes * self.positions))
        return Memory(self._row_bytes * self.positions, update, result)

    @property
    def _row_bytes(self) -> int:
        return Kept.row_bytes(len(self.layers), len(self.labels), self.spec.draws, self.spec.bins)

    def update(self, hidden: Any, labels: Any, *, document: Any = None, position: Any = None) -> None:
        """Add some positions; nothing is added where an error is raised.

        Args:
            hidden: of every layer by its name, or of the only one: [positions, width] floats of NumPy, torch, JAX or
                any library with DLPack or ``__array__``, on any device, without padding and special positions.
            labels: of every label set by its name, or of the only one: [positions] integers or strings.
            document: [positions] document of each, integers or strings. Without it every position counts as a document
                of its own; give it where neighbours depend on each other, since errors are too small otherwise.
            position: [positions] integers, place of each in its document, or in all the data. Without it positions of a
                document are put in an order that follows from what is at them.

        Raises:
            InputError: for names, lengths or widths that do not fit, and for hidden states that are zero or not finite.
        """
        states = {name: as_tensor(each) for name, each in _named(hidden, self.layers, "hidden").items()}
        rows = self._checked_rows(states)
        ids = {name: as_ids(each, rows, name) for name, each in _named(labels, self.labels, "labels").items()}
        given = {"document": document, "position": position}
        others = {name: as_ids(each, rows, name) for name, each in given.items() if each is not None}
        kinds = self._checked_kinds({name: each.kind for name, each in (ids | others).items()}, states)
        if not rows:
            return
        columns = np.stack([each.values for each in (*ids.values(), *others.values())], axis=1)
        documents, places = self._places(states, columns, others)
        admitted = np.flatnonzero(self._kept.admits(documents))
        index = torch.from_numpy(admitted)
        p = [self._assigned(name, states[name][index.to(states[name].device)]) for name in self.layers]
        self._kept.add(Rows(documents[admitted], places[admitted], columns[admitted, : len(ids)], p))
        self._kinds, self.widths = kinds, {name: each.shape[1] for name, each in states.items()}
        self.updates, self.seen = self.updates + 1, self.seen + rows

    def merge(self, other: "Accumulator") -> None:
        """Add what another has collected of other positions of the same text.

        Raises:
            InputError: when it has other settings or another sample.
        """
        self._check_same(other.fingerprint, "The other accumulator")
        if other.updates and self.updates and (other._kinds, other.widths) != (self._kinds, self.widths):
            raise InputError(
                "The other accumulator has hidden states of other widths, or other kinds of labels or documents; "
                "expected those of this one: merge parts of one model and text."
            )
        if not other.updates:
            return
        self._kept.lower_limit(other._kept.limit)
        for at in np.array_split(other._kept.order(), max(1, other.kept // 8192)):
            self._add(other._kept.take(at))
        self._kinds, self.widths = other._kinds, other.widths
        self.updates, self.seen = self.updates + other.updates, self.seen + other.seen

    def result(self, layer: str | None = None, labels: str | None = None) -> Information:
        """Information between the hidden states of a layer and a label set, in units of log(bins).

        The only layer and the only label set need no name. It can be asked for at any time, and updates can follow.

        Raises:
            InputError: for unknown names, fewer than two positions or labels, and a position that was passed twice.
        """
        layer = _chosen(layer, self.layers, "layer")
        number = self.labels.index(_chosen(labels, self.labels, "labels"))
        order = self._order()
        names, dense = np.unique(self._kept.rows.labels[order, number], return_inverse=True)
        if len(names) < 2:
            raise InputError(
                "All labels are equal; expected at least two different ones: the information would be zero."
            )
        document = np.unique(self._kept.rows.document[order], return_inverse=True)[1]
        if not {"document", "position"} & set(self._kinds):
            document = np.arange(len(order))  # equal rows are two documents
        label_set = LabelSet("input", 1, torch.from_numpy(dense.reshape(-1).astype(np.int64)), len(names))
        return measured(label_set, document.reshape(-1), self._buffers(layer, order), self.spec)

    def results(self) -> dict[tuple[str, str], Information]:
        """The result of every layer and label set."""
        return {(layer, labels): self.result(layer, labels) for layer in self.layers for labels in self.labels}

    def entropies(self, sources: Sequence[str] = ()) -> Entropies:
        """Entropies of all layers, in their order, under label sets named as those of a frozen sample: ``input 1`` …

        sources: of the documents 0, 1, …, what each is a part of; folds are then whole sources where there are as many.

        Raises:
            InputError: for label sets of other names, layers of several widths, and as :meth:`result` does.
        """
        keys = [_key(name) for name in self.labels]
        if len(set(self.widths.values())) > 1:
            raise InputError(f"Layers are {self.widths} wide; expected one width: pass those of one model.")
        order = self._order()
        names, document = np.unique(self._kept.rows.document[order], return_inverse=True)
        whole = len(sources) == len(names) and np.array_equal(names, np.arange(len(names)))
        of_document = document_folds(len(names), sources if whole else (), self.spec.folds)
        fold = torch.from_numpy(of_document[document])
        label_sets = []
        for number, key in enumerate(keys):
            found, dense = np.unique(self._kept.rows.labels[order, number], return_inverse=True)
            label_sets.append(LabelSet(*key, torch.from_numpy(dense.astype(np.int64)), len(found)))
        size = np.bincount(document)
        starts = np.concatenate([[0], size.cumsum()])
        places = Positions(document, np.arange(len(order)) - starts[document], np.arange(len(order)))
        folds = int(of_document.max()) + 1
        labelling = label_positions(label_sets, places, size, starts, fold, folds, self.spec.seed)
        counting = Counting(labelling, torch.arange(len(order), dtype=torch.int32), self.spec)
        with full_precision():
            layers = [
                np.concatenate([counting.rows(buffer)[0] for buffer in self._buffers(layer, order)], axis=-1)
                for layer in self.layers
            ]
        return assemble_entropies(np.stack(layers), labelling, self.spec)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits for settings and sample: equal for parts that may be merged and resumed."""
        return hashlib.sha256(json.dumps(self._settings(), sort_keys=True).encode()).hexdigest()[:16]

    def save(self, folder: Path | str) -> None:
        """Write the state into a folder: accumulator.json and files of safetensors.

        What a former save has written there stays; only what came since is added. A process that is killed meanwhile
        leaves the former state.

        Raises:
            InputError: when the folder holds a state that this accumulator was not resumed from, when the disk is full
                or the folder cannot be written.
        """
        folder = Path(folder).absolute()
        with disk_errors("The accumulator could not be saved", folder, SafetensorError):
            folder.mkdir(parents=True, exist_ok=True)
            self._save(folder)

    def _save(self, folder: Path) -> None:
        kept = self._kept
        if self._saved is None or self._saved[0] != folder:
            if (folder / _STATE).exists():
                raise InputError(
                    f"{folder} holds the state of another accumulator; expected a new folder, or the one that this "
                    "was resumed from: resume it, or choose another."
                )
            kept.saved[:] = False
            self._saved = (folder, [])
        new = np.flatnonzero(kept.used & ~kept.saved)
        parts = np.array_split(new, 1 + len(new) * self._row_bytes // _FILE)
        files = [*self._saved[1], *(self._write_rows(folder, kept.take(at)) for at in parts if len(at))]
        state = {
            "format": FORMAT, "fingerprint": self.fingerprint, "settings": self._settings(), "kinds": self._kinds,
            "widths": self.widths, "updates": self.updates, "seen": self.seen, "limit": int(kept.limit), "files": files,
        }  # fmt: skip
        atomic.write_bytes(folder / _STATE, json.dumps(state, indent=1).encode())
        kept.saved[new], self._saved = True, (folder, files)
        for stray in set(folder.glob("rows-*.safetensors")) - {folder / each["name"] for each in files}:
            stray.unlink()

    @classmethod
    def load(cls, folder: Path | str) -> "Accumulator":
        """The accumulator that :meth:`save` wrote into a folder.

        Raises:
            InputError: when there is none, when it is damaged, or when a newer version wrote it.
        """
        settings = _read_state(Path(folder))["settings"]
        names = settings.pop("layers"), settings.pop("labels")
        found = cls(*names, **settings)
        found.resume(folder)
        return found

    def resume(self, folder: Path | str) -> int:
        """Go on from the state in a folder, if it is of the same settings and sample; returns the updates it has seen.

        Raises:
            InputError: when the state is of something else or damaged, or when this accumulator is not empty.
        """
        folder = Path(folder).absolute()
        state = _read_state(folder)
        self._check_same(state["fingerprint"], f"{folder.name}")
        if self.updates:
            raise InputError(
                f"The accumulator has {self.updates:,} updates already; expected a new one to resume with: make one."
            )
        self._kept.lower_limit(np.uint64(state["limit"]))
        for each in state["files"]:
            self._add(self._read_rows(folder, each))
        self._kept.saved[:] = self._kept.used
        self._kinds, self.widths = state["kinds"], state["widths"]
        self.updates, self.seen, self._saved = state["updates"], state["seen"], (folder, state["files"])
        return self.updates

    def summary(self) -> str:
        """A few lines for people."""
        less = f", a sample of the {self.seen:,} seen" if self._kept.limit < EVERYTHING else ""
        return (
            f"{self.kept:,} positions{less}, in {self.updates:,} updates\n"
            f"layers {', '.join(self.layers)}; labels {', '.join(self.labels)}\n"
            f"{self.spec.draws} draws of {self.spec.bins} bins; {self.memory()}"
        )

    def _settings(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "layers": list(self.layers), "labels": list(self.labels), "positions": self.positions, "bins": spec.bins,
            "draws": spec.draws, "seed": spec.seed, "sample": self.sample,
        }  # fmt: skip

    def _check_same(self, fingerprint: str, what: str) -> None:
        if fingerprint != self.fingerprint:
            raise InputError(
                f"{what} has other settings or another sample ({fingerprint}) than this accumulator "
                f"({self.fingerprint}); expected the same: use equal arguments, or another folder."
            )

    def _checked_rows(self, states: Mapping[str, Tensor]) -> int:
        """Positions of an update."""
        for name, each in states.items():
            if each.ndim != 2 or not each.is_floating_point():
                raise InputError(
                    f"hidden of {name} was {str(each.dtype).removeprefix('torch.')} of shape {tuple(each.shape)}; "
                    "expected floats [positions, width]: flatten batches first."
                )
            if (before := self.widths.get(name, each.shape[1])) != each.shape[1]:
                raise InputError(
                    f"hidden of {name} is {each.shape[1]} wide and was {before}; expected one width: use another "
                    "accumulator for another model."
                )
            length = torch.linalg.vector_norm(each.double() if each.dtype != torch.float32 else each, dim=1)
            if len(wrong := (~length.isfinite() | (length == 0)).nonzero()):
                raise InputError(
                    f"hidden of {name} has a row that is zero or not finite, row {int(wrong[0])}; expected finite rows "
                    "that are not zero: leave such positions out."
                )
        sizes = {len(each) for each in states.values()}
        if len(sizes) > 1:
            raise InputError(
                f"Layers have {' and '.join(f'{size:,}' for size in sorted(sizes))} positions; expected as many in "
                "each: pass all layers of the same positions."
            )
        return sizes.pop()

    def _checked_kinds(self, kinds: dict[str, str], states: Mapping[str, Tensor]) -> dict[str, str]:
        if self._kinds and kinds != self._kinds:
            name = next(name for name in (*kinds, *self._kinds) if kinds.get(name) != self._kinds.get(name))
            raise InputError(
                f"{name} of this update: {kinds.get(name, 'none')}; of those before: {self._kinds.get(name, 'none')}; "
                "expected the same in every update: pass it always or never."
            )
        if kinds.get("position", "integers") != "integers":
            raise InputError("position are strings; expected integers: number the positions.")
        return kinds

    def _places(
        self, states: Mapping[str, Tensor], columns: np.ndarray, others: Mapping[str, Ids]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Document and place of every position."""
        if "position" in others:
            place = others["position"].values
        else:
            place = np.concatenate([
                content([states[name][rows].cpu().double().numpy() for name in self.layers], columns[rows])
                for rows in _pieces(len(columns), max(each.shape[1] for each in states.values()))
            ])  # fmt: skip
        return (others["document"].values, place) if "document" in others else (place, np.zeros_like(place))

    def _assigned(self, layer: str, states: Tensor) -> Tensor:
        """Assignments [positions, draws, bins] float16, computed in float64: the same bits in every batch."""
        spec, width = self.spec, states.shape[1]
        device = states.device if states.device.type != "mps" else torch.device("cpu")  # MPS has no float64
        key = str(device), width
        if key not in self._directions:
            directions = references(spec.bins, width, spec.draws, spec.seed, spec.directions).directions
            self._directions[key] = directions.to(device, torch.float64).flatten(0, 1).T.contiguous()
        epsilon = temperature(spec.bins, width, spec.temperature_rule)
        found = torch.empty(len(states), spec.draws, spec.bins, dtype=torch.float16)
        for rows in _pieces(len(states), max(width, spec.draws * spec.bins)):
            z = states[rows].to(device).double()
            z = z / torch.linalg.vector_norm(z, dim=1, keepdim=True)
            scores = (z @ self._directions[key]).div_(epsilon).view(-1, spec.draws, spec.bins)
            found[rows] = torch.softmax(scores, dim=-1).half().cpu()
        return found

    def _add(self, rows: Rows) -> None:
        at = np.flatnonzero(self._kept.admits(rows.document))
        index = torch.from_numpy(at)
        self._kept.add(Rows(rows.document[at], rows.place[at], rows.labels[at], [p[index] for p in rows.p]))

    def _order(self) -> np.ndarray:
        order, rows = self._kept.order(), self._kept.rows
        if len(order) < 2:
            raise InputError(f"{len(order)} positions are kept; expected at least two: pass more text.")
        if "position" in self._kinds:
            same = (np.diff(rows.document[order]) == 0) & (np.diff(rows.place[order]) == 0)
            if same.any():
                place = rows.place if "document" in self._kinds else rows.document
                raise InputError(
                    f"Position {place[order[int(same.argmax())]]} was passed more than once; expected each once: "
                    "after a resume, go on after the updates that it has seen."
                )
        return order

    def _buffers(self, layer: str, order: np.ndarray) -> Iterator[AssignmentBuffer]:
        """Assignments of some draws after another in single precision, each row summing to one."""
        p, spec = self._kept.rows.p[self.layers.index(layer)], self.spec
        together = max(1, min(spec.draws, _WORKING // (len(order) * (spec.bins + 1) * 4)))
        for first in range(0, spec.draws, together):
            draws = slice(first, min(first + together, spec.draws))
            buffer = AssignmentBuffer([0], len(order), torch.empty(draws.stop - first, spec.bins, 0), 1.0)
            for rows in _pieces(len(order), (draws.stop - first) * spec.bins):
                some = p[:, draws][torch.from_numpy(order[rows])].float()
                some /= some.sum(-1, keepdim=True)
                buffer.p[0, rows] = some
                buffer.entropy[0, rows] = -torch.special.xlogy(some, some).sum(-1)
            yield buffer

    def _write_rows(self, folder: Path, rows: Rows) -> dict[str, str]:
        tensors = {name: torch.from_numpy(getattr(rows, name)) for name in ("document", "place", "labels")}
        tensors |= {f"p.{number}": p for number, p in enumerate(rows.p)}
        new = folder / f"new-{self.fingerprint}.tmp"
        try:
            save_file(tensors, new)
            digest = _digest(new)
            name = f"rows-{digest[:16]}.safetensors"
            atomic.publish(new, folder / name)
        finally:
            new.unlink(missing_ok=True)  # after an error
        return {"name": name, "sha256": digest}

    def _read_rows(self, folder: Path, file: Mapping[str, str]) -> Rows:
        path, spec = folder / Path(file["name"]).name, self.spec
        try:
            if _digest(path) != file["sha256"]:
                raise _damaged(folder, f"{path.name} has changed")
            tensors = load_file(path)
            p = [tensors[f"p.{number}"] for number in range(len(self.layers))]
            columns = [tensors[name].numpy() for name in ("document", "place", "labels")]
        except (OSError, SafetensorError, KeyError) as error:
            raise _damaged(folder, f"{path.name}: {type(error).__name__}") from None
        shape = (len(columns[0]), spec.draws, spec.bins)
        if any(each.shape != shape for each in p) or columns[2].shape != (shape[0], len(self.labels)):
            raise _damaged(folder, f"{path.name} has another shape")
        return Rows(*columns, p)


def _named(values: Any, names: Sequence[str], what: str) -> dict[str, Any]:
    """Arrays by name, in the order of the names."""
    if not isinstance(values, Mapping):
        if len(names) > 1:
            raise InputError(f"{what} was one array; expected one for each of {', '.join(names)}: pass a mapping.")
        return {names[0]: values}
    if set(values) != set(names):
        raise InputError(
            f"{what} has {', '.join(map(str, values)) or 'nothing'}; expected {', '.join(names)}: pass each by its "
            "name."
        )
    return {name: values[name] for name in names}


def _chosen(name: str | None, names: Sequence[str], what: str) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        raise InputError(f"{what} was {name}; expected one of {', '.join(names)}: choose one.")
    return name


def _key(name: str) -> Key:
    """Variable and order of a label set."""
    variable, _, order = name.partition(" ")
    if variable not in VARIABLES or order not in {"1", "2", "3", "4"}:
        raise InputError(f"A label set is called {name!r}; expected names like 'input 1' and 'output 1': rename it.")
    return Key(variable, int(order))


def _pieces(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _PIECE // width)
    return (slice(start, start + step) for start in range(0, rows, step))


def _read_state(folder: Path) -> dict[str, Any]:
    path = folder / _STATE
    if not path.is_file():
        raise InputError(f"{folder} holds no {_STATE}; expected what Accumulator.save wrote: check the path.")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        version = int(state["format"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise _damaged(folder, f"{_STATE} cannot be read") from None
    if version != FORMAT:
        raise InputError(
            f"{folder} was written in format {version} and this version of softh reads {FORMAT}: upgrade softh, or "
            "start anew."
        )
    wanted = {"fingerprint", "settings", "kinds", "widths", "updates", "seen", "limit", "files"}
    if not wanted <= set(state) or not _is_whole(state):
        raise _damaged(folder, f"{_STATE} is not complete")
    return state


def _is_whole(state: Mapping[str, Any]) -> bool:
    """Whether the values of a state are of the kinds that were written."""
    settings, files = state["settings"], state["files"]
    numbers = [state[name] for name in ("updates", "seen", "limit")]
    return (
        all(type(number) is int and 0 <= number < 1 << 64 for number in numbers)
        and all(isinstance(state[name], dict) for name in ("settings", "kinds", "widths"))
        and set(settings) == {"layers", "labels", "positions", "bins", "draws", "seed", "sample"}
        and isinstance(files, list)
        and all(
            isinstance(each, dict) and all(isinstance(each.get(name), str) for name in ("name", "sha256"))
            for each in files
        )
    )


def _damaged(folder: Path, what: str) -> InputError:
    return InputError(f"The accumulator in {folder} is damaged ({what}); expected whole files: start anew.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

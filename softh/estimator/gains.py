"""Sums from which debiased information follows: how much the entropy of labels grows with their occurrences.

The *gain* of a label is the entropy of the mean of its assignments less the mean of their own entropies. What a label
set needs is integers that are known before the model runs (:func:`index_gains`); what a layer adds are sums of gains by
class of labels, of all positions and without each fold (:func:`gain_sums`). A label counts with one occurrence a
document, since occurrences in one document are not independent. docs/debiasing.md has the derivation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from softh.estimator.conditional import Assignments, Segments, entropy_of_sums, segment_sums
from softh.estimator.labels import LabelSet
from softh.estimator.random_groups import RandomGroups, random_gains, random_groups

CLASSES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 31, 42, 56, 80, 120, 200, 400, 1000])
"""First number of documents of every class of labels."""
LARGEST_SIZE = 256
"""From so many positions on, what a label does not show falls as one over their number."""
LOWER_DRAWS = 2
"""Draws of the lower bound, which needs a logarithm for every occurrence."""
FEW = 32
"""Labels in at most so many documents are summed by one program of a GPU each."""
_WEIGHTED_FROM = 24
"""From so many documents on, documents of a label count by its occurrences in them; below, each counts once."""
_CHOICES = 2
"""Choices of one occurrence a document, over which the gain of a label in few documents is averaged. One choice leaves
little to chance in a label of more documents: what it moves falls as one over their number."""
_CHUNK = 2**19
"""Numbers that a CPU sums at once."""


@dataclass(frozen=True)
class Block:
    """Labels of about as many documents, with the same number of choices; tensors int32 unless they say otherwise."""

    few: bool
    """Whether no label is in more than FEW documents: then one program of a GPU sums a label."""

    members: Tensor  # [choices, k] positions, one a (label, document), by label and fold
    weight: Tensor  # [k] float32, of the document
    row_begin: Tensor  # [rows] into members; a row is a label in one fold
    row_size: Tensor  # [rows]
    row_weight: Tensor  # [rows] float32
    row_fold: Tensor  # [rows] int64
    row_label: Tensor  # [rows] int64, of the block
    label_begin: Tensor  # [labels] first row
    label_class: Tensor  # [labels] int64
    label_size: Tensor  # [labels] positions
    rest_class: Tensor  # [rows] int64, class of the label without the fold; 0 where no two documents are left
    rest_size: Tensor  # [rows] positions of the label without the fold

    @cached_property
    def rows(self) -> "tuple[Segments, ...]":
        """Rows of every choice."""
        return tuple(Segments(members, self.row_begin) for members in self.members)

    @cached_property
    def label_weight(self) -> Tensor:
        """[labels] float32, sum of the weights of the documents."""
        total = torch.zeros(len(self.label_size), device=self.weight.device)
        return total.index_add_(0, self.row_label, self.row_weight)

    @cached_property
    def by_class(self) -> "Totals":
        """Sums over labels by class."""
        return Totals.by(self.label_class, len(CLASSES))

    @cached_property
    def by_fold(self) -> "tuple[Totals, Totals]":
        """Sums over rows by fold and class: that of the label, and that without the fold."""
        folds = int(self.row_fold.max()) + 1
        places = (self.label_class[self.row_label], self.rest_class)
        first, second = (Totals.by(self.row_fold * len(CLASSES) + place, folds * len(CLASSES)) for place in places)
        return first, second


@dataclass(frozen=True)
class Totals:
    """Sums of rows in groups, in a fixed order."""

    order: Tensor  # [rows] int32, by group
    bounds: Tensor  # [groups + 1] int32

    @classmethod
    def by(cls, group: Tensor, groups: int) -> "Totals":
        """Rows in `groups` groups, each at its `group` [rows]."""
        order = group.sort(stable=True)[1]
        count = torch.bincount(group, minlength=groups).cumsum(0)
        return cls(order.int(), torch.cat([count.new_zeros(1), count]).int())

    @cached_property
    def _runs(self) -> tuple[Tensor, Tensor, Tensor]:
        from softh.estimator.gpu.conditional import runs_of_groups

        return runs_of_groups(torch.diff(self.bounds))

    def __call__(self, values: Tensor) -> Tensor:
        """Sums [groups, draws] float64 of values [rows, draws] float64."""
        if values.device.type == "cuda":
            from softh.estimator.gpu.conditional import totals_of_runs

            return totals_of_runs(values, self.order, self._runs)
        sums = torch.cat([values.new_zeros(1, values.shape[1]), values[self.order].cumsum(0)])
        return sums[self.bounds[1:].long()] - sums[self.bounds[:-1].long()]


@dataclass(frozen=True)
class ClassSizes:
    """Labels by the number of documents in which they occur; arrays [1 + folds, classes]: of all, without each fold."""

    labels: np.ndarray
    positions: np.ndarray
    squares: np.ndarray
    """Sum of squared positions of the labels."""
    documents: np.ndarray
    """Sum of the documents of the labels."""
    shares: np.ndarray
    """Sum of positions over effective documents: as many as equal weights would need to be."""
    seen: np.ndarray
    """[5] labels in 0, 1, 2, 3 and 4 documents, of all."""
    sizes: np.ndarray
    """[1 + folds, 1 + LARGEST_SIZE] labels by number of positions; larger ones count as LARGEST_SIZE."""
    weighted_sizes: np.ndarray
    """The same, larger ones with LARGEST_SIZE over their positions: what they do not show."""


@dataclass(frozen=True)
class Gains:
    """One label set, prepared."""

    blocks: tuple[Block, ...]
    sizes: ClassSizes
    cell_members: Tensor  # [positions] int32, by label and document: a cell is a label in one document
    cell_begin: Tensor  # [cells] int32
    cell_size: Tensor  # [cells] int32
    cell_label: Tensor  # [cells] int64
    cell_fold: Tensor  # [cells] int64
    label_begin: Tensor  # [labels] int32, first cell
    label_size: Tensor  # [labels] int32

    @cached_property
    def labels(self) -> Segments:
        """Positions of every label."""
        return Segments(self.cell_members, self.cell_begin[self.label_begin.long()])

    @cached_property
    def by_fold(self) -> "Totals":
        """Sums over cells by fold."""
        return Totals.by(self.cell_fold, int(self.cell_fold.max()) + 1)

    def pieces(self, step: int) -> "list[Piece]":
        """Labels and their cells, about so many cells together."""
        if step not in self._pieces:
            self._pieces[step] = list(self._cut(step))
        return self._pieces[step]

    @cached_property
    def _pieces(self) -> "dict[int, list[Piece]]":
        return {}

    def _cut(self, step: int) -> "Iterator[Piece]":
        begin, starts = self.label_begin.cpu().numpy(), self.cell_begin.cpu().numpy()
        ends = np.append(begin[1:], len(starts))
        starts = np.append(starts, len(self.cell_members))
        first = 0
        while first < len(begin):
            last = max(first + 1, int(np.searchsorted(ends, begin[first] + step, side="right")))
            some = slice(int(begin[first]), int(ends[last - 1]))
            label = self.cell_label[some] - first
            members = self.cell_members[starts[some.start] : starts[some.stop]]
            every = torch.arange(some.stop - some.start, device=members.device, dtype=torch.int32)
            yield Piece(
                Segments(members, self.cell_begin[some] - int(starts[some.start])),
                Segments(every, self.label_begin[first:last] - some.start),
                label,
                (self.label_size[first:last][label] - self.cell_size[some] + 1).float(),
            )
            first = last

    def reindexed(self, index: Tensor) -> "Gains":
        """The same for assignments stored in another order: position i is row index[i] ([positions] int32)."""
        blocks = tuple(replace(block, members=index[block.members]) for block in self.blocks)
        return replace(self, blocks=blocks, cell_members=index[self.cell_members])


@dataclass(frozen=True)
class Piece:
    """Some labels and their cells."""

    cells: Segments
    labels: Segments  # of cells
    label: Tensor  # [cells] int64, of the piece
    count: Tensor  # [cells] float32, positions of the label in other documents, and one


def index_gains(labels: LabelSet, document: Tensor, fold_of: Tensor, folds: int, seed: int) -> Gains:
    """Prepare a label set.

    Args:
        labels: one label a position.
        document: [positions] int64.
        fold_of: [documents] int64, fold of each document.
        folds: number of folds.
        seed: of the choice of one occurrence a document.

    >>> labels = LabelSet("input", 1, torch.tensor([0, 0, 1, 0, 1]), 2)
    >>> gains = index_gains(labels, torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 1, 0]), folds=2, seed=0)
    >>> gains.sizes.labels[:, :2].tolist()  # labels in one and in two documents: of all, without each fold
    [[0.0, 2.0], [1.0, 0.0], [1.0, 1.0]]
    """
    ids, fold = labels.labels, fold_of[document]
    key = (ids * folds + fold) * len(fold_of) + document
    key, order = key.sort(stable=True)
    cell, size = torch.unique_consecutive(key, return_counts=True)
    label = cell // len(fold_of) // folds
    cells = _Cells(order, size.cumsum(0) - size, size, label, cell // len(fold_of) % folds, labels.distinct, folds)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, labels.order, 7))))
    phase = torch.from_numpy(generator.random(len(cell))).to(ids.device)
    again = (cells.documents > 1) & (cells.positions > cells.documents)
    once = (cells.documents > 1) & ~again
    few = cells.documents <= FEW
    blocks = [
        cells.block(once & few, 1, phase, few=True),
        cells.block(again & few, _CHOICES, phase, few=True),
        cells.block((once | again) & ~few, 1, phase, few=False),
    ]
    label_begin = torch.searchsorted(label, torch.arange(labels.distinct, device=label.device))
    tensors = (cells.order, cells.begin, cells.size)
    return Gains(
        tuple(block for block in blocks if len(block.label_size)),
        cells.class_sizes(),
        *(tensor.int() for tensor in tensors),
        cells.label,
        cells.fold,
        label_begin.int(),
        cells.positions.int(),
    )


class _Cells:
    """Occurrences of labels by document, in the order of label, fold and document; int64 tensors."""

    def __init__(
        self, order: Tensor, begin: Tensor, size: Tensor, label: Tensor, fold: Tensor, distinct: int, folds: int
    ) -> None:
        self.order, self.begin, self.size, self.label, self.fold, self.folds = order, begin, size, label, fold, folds
        self.documents = torch.bincount(label, minlength=distinct)
        self.positions = torch.bincount(label, size, minlength=distinct).long()
        self.weighted = self.documents >= _WEIGHTED_FROM
        self.weight = torch.where(self.weighted[label], size, 1)
        row, self.row_of_cell, cells_each = torch.unique_consecutive(
            label * folds + fold, return_inverse=True, return_counts=True
        )
        self.row_label, self.row_fold = row // folds, row % folds
        power = size.double() ** 1.5
        row_positions = torch.bincount(self.row_of_cell, size).long()
        self.rest_documents = self.documents[self.row_label] - cells_each
        self.rest_positions = self.positions[self.row_label] - row_positions
        total = torch.bincount(label, power, minlength=distinct)
        rest = total[self.row_label] - torch.bincount(self.row_of_cell, power)
        self.effective = self._effective(self.documents, self.positions, total, self.weighted)
        self.rest_effective = self._effective(
            self.rest_documents, self.rest_positions, rest, self.weighted[self.row_label]
        )

    @staticmethod
    def _effective(documents: Tensor, positions: Tensor, power: Tensor, weighted: Tensor) -> Tensor:
        # Hill number of order 3/2: what is not seen falls more slowly than 1/g, for which order 2 would be right.
        hill = positions.double() ** 3 / power.clamp(min=1e-9) ** 2
        return torch.where(weighted & (documents > 0), hill, documents.double())

    def block(self, chosen: Tensor, choices: int, phase: Tensor, *, few: bool) -> Block:
        """Members and rows of the chosen labels ([labels] bool)."""
        cells = chosen[self.label].nonzero()[:, 0]
        offsets = [((phase[cells] + at / choices) % 1 * self.size[cells]).long() for at in range(choices)]
        members = torch.stack([self.order[self.begin[cells] + offset] for offset in offsets])
        rows = chosen[self.row_label].nonzero()[:, 0]
        number = torch.cumsum(chosen, 0) - 1
        row_label = number[self.row_label[rows]]
        row_size = torch.bincount(self.row_of_cell[cells], minlength=len(self.row_label))[rows]
        row_weight = torch.bincount(self.row_of_cell[cells], self.weight[cells], minlength=len(self.row_label))[rows]
        rest = self.rest_documents[rows]
        return Block(
            few,
            members.int(),
            self.weight[cells].float(),
            (row_size.cumsum(0) - row_size).int(),
            row_size.int(),
            row_weight.float(),
            self.row_fold[rows],
            row_label,
            torch.searchsorted(row_label, torch.arange(int(chosen.sum()), device=rows.device)).int(),
            class_of(self.documents[chosen]),
            self.positions[chosen].int(),
            torch.where(rest > 1, class_of(rest), 0),
            self.rest_positions[rows].int(),
        )

    def class_sizes(self) -> ClassSizes:
        """Sizes of the classes, of all positions and without each fold."""
        whole, rest = class_of(self.documents), class_of(self.rest_documents)
        remain = (self.rest_documents > 0).double()
        by_class = [
            self._by_class(whole, rest, values.double(), without.double() * remain)
            for values, without in (
                (torch.ones_like(self.positions), torch.ones_like(self.rest_positions)),
                (self.positions, self.rest_positions),
                (self.positions.double() ** 2, self.rest_positions.double() ** 2),
                (self.documents, self.rest_documents),
                (self.positions / self.effective, self.rest_positions / self.rest_effective.clamp(min=1e-9)),
            )
        ]
        seen = torch.bincount(self.documents.clamp(max=5), minlength=5)[:5].cpu().numpy()
        sizes, weighted = (self._by_size(large) for large in (False, True))
        return ClassSizes(*by_class, seen, sizes, weighted)

    def _by_class(self, whole: Tensor, rest: Tensor, values: Tensor, without: Tensor) -> np.ndarray:
        return self._without_folds(len(CLASSES), whole, rest, values, without)

    def _by_size(self, weighted: bool) -> np.ndarray:
        numbers = []
        for size in (self.positions, self.rest_positions):
            missing = LARGEST_SIZE / size.clamp(min=1).double()
            numbers.append(torch.where(size > LARGEST_SIZE, missing, 1.0) if weighted else torch.ones_like(missing))
        whole, rest = (size.clamp(max=LARGEST_SIZE) for size in (self.positions, self.rest_positions))
        return self._without_folds(1 + LARGEST_SIZE, whole, rest, *numbers)

    def _without_folds(self, length: int, whole: Tensor, rest: Tensor, values: Tensor, without: Tensor) -> np.ndarray:
        """Sums [1 + folds, length] of values of labels at `whole`; without a fold, of `without` at `rest`."""
        total = torch.bincount(whole, values, minlength=length)
        place = self.row_fold * length
        change = torch.bincount(place + rest, without, minlength=self.folds * length) - torch.bincount(
            place + whole[self.row_label], values[self.row_label], minlength=self.folds * length
        )
        return torch.cat([total[None], total + change.view(self.folds, length)]).cpu().numpy()


def class_of(documents: Tensor) -> Tensor:
    """Class of labels in so many documents, int64; 0 for none."""
    bounds = torch.from_numpy(CLASSES).to(documents.device)
    return (torch.searchsorted(bounds, documents, right=True) - 1).clamp(min=0)


def gain_sums(assignments: Assignments, gains: Gains, folds: int) -> Tensor:
    """Sums over labels by class: positions · gain and positions · gain², [2, 1 + folds, classes, draws] float64."""
    draws = assignments.p.shape[1]
    total = torch.zeros(2, len(CLASSES), draws, dtype=torch.float64, device=assignments.p.device)
    change = torch.zeros(2, folds * len(CLASSES), draws, dtype=torch.float64, device=assignments.p.device)
    for block in gains.blocks:
        gain, without = _block_gains(assignments, block)
        size, rest = block.label_size.double()[:, None], block.rest_size.double()[:, None]
        before, after = block.by_fold
        value = torch.stack([size * gain, size * gain**2], dim=1).flatten(1)  # [labels, 2 · draws]
        left = torch.stack([rest * without, rest * without**2], dim=1).flatten(1)
        total += block.by_class(value).unflatten(1, (2, draws)).transpose(0, 1)
        found = after(left) - before(value[block.row_label])
        change[:, : len(found)] += found.unflatten(1, (2, draws)).transpose(0, 1)
    change = change.view(2, folds, len(CLASSES), draws) + total[:, None]
    return torch.cat([total[:, None], change], dim=1)


def _block_gains(assignments: Assignments, block: Block) -> tuple[Tensor, Tensor]:
    """Gains of labels [labels, draws], and without each row's fold [rows, draws], float64."""
    if block.members.device.type == "cuda":
        from softh.estimator.gpu.conditional import gains_of_block

        return gains_of_block(assignments, block)
    parts = [_gains(assignments, block, labels, rows) for labels, rows in _chunks(block, assignments.p[0].numel())]
    gain, without = (torch.cat(values) for values in zip(*parts, strict=True))
    return gain, without


def _add(target: Tensor, at: Tensor, values: Tensor) -> None:
    """Add rows of values at numbers of `target`, in a fixed order: few targets, so one product with zeros and ones."""
    one_hot = torch.nn.functional.one_hot(at, len(target)).double()
    target += one_hot.T @ values


def _chunks(block: Block, width: int) -> Iterator[tuple[slice, slice]]:
    """Labels and their rows, so few that their sums are small."""
    step = max(1, _CHUNK // width)
    begin = block.label_begin.cpu().numpy()
    ends = np.append(begin[1:], len(block.row_begin))
    first = 0
    while first < len(begin):
        last = max(first + 1, int(np.searchsorted(ends, begin[first] + step, side="right")))
        yield slice(first, last), slice(int(begin[first]), int(ends[last - 1]))
        first = last


def _gains(assignments: Assignments, block: Block, labels: slice, rows: slice) -> tuple[Tensor, Tensor]:
    """Gains of labels [labels, draws], and without each row's fold [rows, draws], float64."""
    first = int(block.row_begin[rows.start])
    last = int(block.row_begin[rows.stop - 1] + block.row_size[rows.stop - 1])
    members, weight = slice(first, last), block.weight[first:last]
    begin, number = block.row_begin[rows] - first, block.row_label[rows] - labels.start
    label_begin = (block.label_begin[labels] - rows.start).int()
    every_row = torch.arange(rows.stop - rows.start, device=begin.device, dtype=torch.int32)
    row_weight, label_weight = block.row_weight[rows], block.label_weight[labels]
    rest_weight = label_weight[number] - row_weight
    needed = block.rest_class[rows].nonzero()[:, 0]
    gain = torch.zeros(len(label_weight), assignments.p.shape[1], dtype=torch.float64, device=begin.device)
    without = torch.zeros(len(begin), assignments.p.shape[1], dtype=torch.float64, device=begin.device)
    for chosen in block.members[:, members]:
        sums = segment_sums(chosen, assignments.p, begin, weight)
        own = segment_sums(chosen, assignments.entropy[:, None], begin, weight)[:, 0]
        whole, whole_own = sums, own
        if len(label_begin) < len(begin):
            whole = segment_sums(every_row, sums, label_begin)
            whole_own = segment_sums(every_row, own[:, None], label_begin)[:, 0]
        gain += (entropy_of_sums(whole, label_weight) - whole_own / label_weight[:, None]).double()
        of = number[needed]
        rest = rest_weight[needed]
        h = entropy_of_sums(whole[of] - sums[needed], rest)
        without[needed] += (h - (whole_own[of] - own[needed]) / rest[:, None]).double()
    choices = len(block.members)
    return gain / choices, without / choices


def entropy_bias(p: Tensor, documents: Segments) -> Tensor:
    """What the delete-a-document jackknife adds to H(Z), [draws] float64, in nats.

    Source: Busing, Meijer & van der Leeden 1999, Delete-m jackknife for unequal m.
    """
    positions, sums = len(documents.members), documents.sums(p).double()
    total, rest = sums.sum(0), positions - documents.size.double()
    without = entropy_of_sums(total - sums, rest)
    whole = entropy_of_sums(total[None], total.new_tensor([positions]))[0]
    return (len(rest) - 1) * whole - ((rest / positions)[:, None] * without).sum(0)


def cross_entropy(p: Tensor, gains: Gains, mean: Tensor, folds: int) -> Tensor:
    """Cross-entropy of labels with what they show in other documents, summed over positions, in nats.

    [1 + folds, draws] float64: of all positions, then less the positions of each fold. The mean over other documents
    is shrunk towards the mean of all positions [draws, bins] by one count, so that it is defined for labels of one
    document.
    """
    if p.device.type == "cuda":
        from softh.estimator.gpu.conditional import cross_entropies

        by_cell = cross_entropies(p, mean, gains)
    else:
        pieces = gains.pieces(max(1, _CHUNK // p[0].numel()))
        by_cell = torch.cat([_cell_entropies(p, mean, piece) for piece in pieces])
    out = gains.by_fold(by_cell)
    out = torch.cat([out, out.new_zeros(folds - len(out), out.shape[1])])
    total = out.sum(0, keepdim=True)
    return torch.cat([total, total - out])


def _cell_entropies(p: Tensor, mean: Tensor, piece: "Piece") -> Tensor:
    """Cross-entropy of every cell of some labels with the rest of its label, [cells, draws] float64."""
    sums = piece.cells.sums(p)
    whole = piece.labels.sums(sums)
    others = (whole[piece.label] - sums + mean).clamp(min=1e-30) / piece.count[:, None, None]
    return -(sums * others.log_()).sum(-1).double()


@dataclass(frozen=True)
class Design:
    """All that the debiased estimate needs of the positions and labels of a text, whatever the model."""

    gains: tuple[Gains, ...]
    groups: RandomGroups
    members: Tensor  # [positions] int32, by document
    begin: Tensor  # [documents with positions] int32, first of each
    fold: Tensor  # [documents with positions] int64
    folds: int
    alone: bool
    """Whether every position is a document of its own."""

    def reindexed(self, index: Tensor) -> "Design":
        """The same for assignments stored in another order: position i is row index[i] ([positions] int32)."""
        return replace(
            self,
            gains=tuple(gains.reindexed(index) for gains in self.gains),
            groups=self.groups.reindexed(index),
            members=index[self.members],
        )

    @cached_property
    def documents(self) -> Segments:
        """Positions of every document."""
        return Segments(self.members, self.begin)

    @cached_property
    def positions(self) -> np.ndarray:
        """[1 + folds] positions in all, then without each fold."""
        inside = torch.bincount(self.fold, self.documents.size, minlength=self.folds)
        return np.array([inside.sum().item(), *(inside.sum() - inside).tolist()])

    @property
    def rows(self) -> int:
        """Rows of :meth:`sums`."""
        return 2 + 2 * len(self.groups.sizes) + len(self.gains) * (2 * len(CLASSES) + 1)

    def sums(self, assignments: Assignments) -> Tensor:
        """What one layer adds, [rows, 1 + folds, draws] float64, in nats; :class:`Rows` names the rows."""
        draws = assignments.p.shape[1]
        bias = torch.zeros(draws, dtype=torch.float64, device=assignments.p.device)
        if not self.alone:
            bias = entropy_bias(assignments.p, self.documents)
        constant = torch.cat([bias[None], random_gains(assignments, self.groups).flatten(0, 1)])
        rows = [self._own(assignments.entropy)[None], constant[:, None].expand(-1, 1 + self.folds, -1)]
        some = assignments.p[:, :LOWER_DRAWS].contiguous()
        # By document, so that the order in which assignments are stored changes no bit.
        mean = self.documents.sums(some).sum(0, dtype=torch.float64) / len(self.members)
        mean = mean.to(torch.promote_types(some.dtype, torch.float32))
        for gains in self.gains:
            rows.append(gain_sums(assignments, gains, self.folds).transpose(1, 2).flatten(0, 1))
            lower = cross_entropy(some, gains, mean, self.folds)
            rows.append(torch.nn.functional.pad(lower, (0, draws - lower.shape[1]), value=torch.nan)[None])
        return torch.cat(rows)

    def _own(self, entropy: Tensor) -> Tensor:
        """Mean entropy of the single assignments, [1 + folds, draws]."""
        by_document = self.documents.sums(entropy[:, None])[:, 0].double()
        inside = torch.zeros(self.folds, entropy.shape[1], dtype=torch.float64, device=entropy.device)
        _add(inside, self.fold, by_document)
        total = inside.sum(0, keepdim=True)
        positions = torch.from_numpy(self.positions).to(entropy.device)
        return torch.cat([total, total - inside]) / positions[:, None]


def design(label_sets: Sequence[LabelSet], document: np.ndarray, fold: np.ndarray, folds: int, seed: int) -> Design:
    """Prepare label sets of the same positions.

    Args:
        label_sets: labels, on the device that stores the assignments.
        document: [positions] document of every position, ascending.
        fold: [positions] fold of it.
        folds: number of folds.
        seed: of all choices.
    """
    device = label_sets[0].labels.device
    _, begin, dense = np.unique(document, return_index=True, return_inverse=True)
    of_document = torch.from_numpy(fold[begin]).to(device)
    dense_document = torch.from_numpy(dense).to(device)
    return Design(
        tuple(index_gains(labels, dense_document, of_document, folds, seed) for labels in label_sets),
        RandomGroups(*_on(random_groups(dense, len(begin), seed), device)),
        torch.arange(len(document), dtype=torch.int32, device=device),
        torch.from_numpy(begin.astype(np.int32)).to(device),
        of_document,
        folds,
        len(begin) == len(document),
    )


def _on(groups: RandomGroups, device: torch.device) -> tuple[Tensor, tuple[int, ...]]:
    return groups.members.to(device), groups.sizes

"""Conditional entropies H(Z | label) from soft assignments and labels, of all positions and without each fold.

Positions are sorted once by the size of their label, by label and by fold; every sum over a label or over its part in
one fold is then a sum over neighbours, without races, and the same to the bit every time. Nothing is stored per label:
a chunk of sums becomes entropies and is dropped. A label seen once needs no sum: its conditional entropy is the
entropy of its own assignment. At high n-gram orders nearly all labels are such.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from softh.estimator.labels import LabelSet
from softh.spec import Weighting

if TYPE_CHECKING:
    from softh.estimator.gpu.conditional import Runs

LEAST_SEEN = 5
"""Under uniform label weighting, labels seen fewer times than this are excluded (as the precursor code did)."""
_CHUNK = 2**19
"""Chunk size for the entropies. Larger chunks fall out of the CPU cache, and temporaries above 32 MB are returned to
the OS each time."""
_RUN = 256
"""Positions added in the precision of the assignments; longer sums add such runs in float64."""


@dataclass(frozen=True)
class Assignments:
    """Soft assignments of one layer."""

    p: Tensor  # [positions, draws, bins] float32 or float64; columns that fill up the bins are zero
    entropy: Tensor  # [positions, draws], of each assignment, in nats


@dataclass(frozen=True)
class Grouping:
    """Positions sorted for summation by label and fold; all tensors int32."""

    members: Tensor  # [k] positions whose label is seen again, by size of the label, label and fold
    row_begin: Tensor  # [rows] into members; a row is a label in one fold
    row_size: Tensor  # [rows]
    row_fold: Tensor  # [rows]
    row_label: Tensor  # [rows] dense over the labels that have rows
    label_begin: Tensor  # [labels] first row of each
    label_size: Tensor  # [labels] positions, ascending
    single: Tensor  # [m] positions whose label is seen once, by fold
    single_fold: Tensor  # [m]
    folds: int
    distinct: int

    def reindexed(self, index: Tensor) -> "Grouping":
        """The grouping of assignments stored in another order: position i is row index[i] ([positions] int32)."""
        return dataclasses.replace(self, members=index[self.members], single=index[self.single])

    def weights(self, weighting: Weighting) -> Tensor:
        """Sum of the weights of all labels, [1 + folds] float64: of all positions, then without each fold."""
        size = self.label_size[self.row_label]
        change = weight(size - self.row_size, weighting) - weight(size, weighting)
        whole = weight(self.label_size, weighting).sum()
        without = whole + torch.zeros(self.folds, dtype=torch.float64, device=size.device).index_add(
            0, self.row_fold, change
        )
        ones = torch.bincount(self.single_fold, minlength=self.folds).double()
        if weighting == "positions":
            whole, without = whole + ones.sum(), without + ones.sum() - ones
        return torch.cat([whole[None], without])


def group(labels: LabelSet, fold: Tensor, folds: int) -> Grouping:
    """Sort positions by label and fold.

    Args:
        labels: one label a position.
        fold: [positions] int64, fold of each position's document.
        folds: number of folds.

    >>> fold = torch.tensor([0, 0, 1, 1])
    >>> grouping = group(LabelSet("input", 1, torch.tensor([0, 1, 0, 2]), 3), fold, 2)
    >>> grouping.members.tolist(), grouping.single.tolist()
    ([0, 2], [1, 3])
    """
    ids = labels.labels
    size = torch.bincount(ids, minlength=labels.distinct)[ids]
    single, again = ((size == 1).nonzero()[:, 0], (size > 1).nonzero()[:, 0])
    single_fold, order = fold[single].sort(stable=True)
    single = single[order]
    key, order = ((size[again] * labels.distinct + ids[again]) * folds + fold[again]).sort(stable=True)
    rows, row_size = torch.unique_consecutive(key, return_counts=True)
    _, row_label, rows_each = torch.unique_consecutive(rows // folds, return_inverse=True, return_counts=True)
    row_begin, label_begin = row_size.cumsum(0) - row_size, rows_each.cumsum(0) - rows_each
    label_size = size[again[order[row_begin[label_begin]]]]
    tensors = (again[order], row_begin, row_size, rows % folds, row_label, label_begin, label_size, single, single_fold)
    return Grouping(*(tensor.int() for tensor in tensors), folds=folds, distinct=labels.distinct)


def single_group(fold: Tensor, folds: int) -> Grouping:
    """All positions under one label, so that H(Z | label) is H(Z)."""
    return group(LabelSet("input", 0, torch.zeros_like(fold), 1), fold, folds)


def weight(size: Tensor, weighting: Weighting) -> Tensor:
    """Weights, float64, of labels with `size` positions each."""
    return (size if weighting == "positions" else size >= LEAST_SEEN).double()


def conditional_entropy(assignments: Assignments, grouping: Grouping, weighting: Weighting) -> np.ndarray:
    """Conditional entropy H(Z | label) in nats, [1 + folds, draws]: of all positions, then without each fold.

    Args:
        assignments: soft assignments of one layer.
        grouping: positions sorted by label and fold (:func:`group`).
        weighting: ``positions`` weights labels by how often they occur, ``labels`` uniformly those seen at least
            LEAST_SEEN times (NaN if none was).

    Source: the conditional entropies of Conklin et al. 2026; docs/method.md has the derivation.

    >>> p = torch.eye(4)[:, None]  # four positions, one draw, each certain of its own bin
    >>> assignments = Assignments(p, torch.zeros(4, 1))
    >>> fold = torch.tensor([0, 0, 1, 1])
    >>> pairs = group(LabelSet("input", 1, torch.tensor([0, 0, 1, 1]), 2), fold, 2)
    >>> conditional_entropy(assignments, pairs, "positions").round(4)[0]  # log 2
    array([0.6931])
    >>> conditional_entropy(assignments, single_group(fold, 2), "positions").round(4)[0]  # H(Z) = log 4
    array([1.3863])
    """
    draws = assignments.p.shape[1]
    sums = torch.zeros(1 + grouping.folds, draws, dtype=torch.float64)  # of all, then the change without each fold
    if weighting == "positions":
        once = _by_fold(grouping.single_fold, assignments.entropy[grouping.single].double(), grouping.folds)
        sums += torch.cat([once.sum(0, keepdim=True), -once])
    for whole, fold, change in _labels(assignments, grouping, weighting):
        sums[0] += whole
        sums[1:] += _by_fold(fold, change, grouping.folds)
    sums[1:] += sums[0]
    return (sums / grouping.weights(weighting)[:, None]).numpy()


_Part = tuple[Tensor, Tensor, Tensor]
"""Σ weight · h [draws] of some labels; fold [rows], and the change of the sum without it [rows, draws]."""


def _labels(assignments: Assignments, g: Grouping, weighting: Weighting) -> Iterator[_Part]:
    """Labels seen more than once, a chunk at a time."""
    enough, pairs = torch.searchsorted(g.label_size, torch.tensor([LEAST_SEEN, 3], dtype=torch.int32)).tolist()
    first = pairs if weighting == "positions" else enough
    step = max(1, _CHUNK // assignments.p[0].numel())
    if weighting == "positions" and pairs:
        rows = slice(0, int(g.label_begin[pairs]) if pairs < len(g.label_begin) else None)
        fold = g.row_fold[rows].repeat_interleave(g.row_size[rows]).view(-1, 2)
        for labels in torch.arange(pairs).split(step):
            yield from _pairs(assignments, g.members[: 2 * pairs].view(-1, 2)[labels], fold[labels])
    rows_end = torch.cat([g.label_begin[1:], g.label_begin.new_tensor([len(g.row_begin)])]).numpy()
    while first < len(g.label_size):
        last = max(first + 1, int(np.searchsorted(rows_end, int(g.label_begin[first]) + step, side="right")))
        yield _more(
            assignments, g, slice(first, last), slice(int(g.label_begin[first]), int(rows_end[last - 1])), weighting
        )
        first = last


def _pairs(assignments: Assignments, members: Tensor, fold: Tensor) -> Iterator[_Part]:
    """Labels seen twice, members [labels, 2]: without the fold of one, the other's own assignment remains."""
    a, b = members.unbind(1)
    h = entropy_of_sums(assignments.p[a] + assignments.p[b], torch.full_like(a, 2)).double()
    differ = (fold[:, 0] != fold[:, 1])[:, None]
    own = assignments.entropy[members].double()  # [labels, 2, draws]
    yield 2 * h.sum(0), fold[:, 0], torch.where(differ, own[:, 1] - 2 * h, -2 * h)
    yield torch.zeros_like(h[0]), fold[:, 1], torch.where(differ, own[:, 0] - 2 * h, 0.0)


def _more(assignments: Assignments, g: Grouping, labels: slice, rows: slice, weighting: Weighting) -> _Part:
    row_sums = _row_sums(assignments.p, g, rows)
    row_label = g.row_label[rows] - labels.start
    size, row_size = g.label_size[labels], g.row_size[rows]
    label_sums = row_sums
    if len(size) < len(row_size):
        begin = (g.label_begin[labels] - rows.start).int()
        label_sums = _bag(torch.arange(len(row_sums), dtype=torch.int32), row_sums, begin)
    weighted = weight(size, weighting)[:, None] * entropy_of_sums(label_sums, size).double()
    change = -weighted[row_label]
    if g.folds > 1:
        rest = size[row_label] - row_size
        without = entropy_of_sums(label_sums[row_label] - row_sums, rest.clamp(min=1)).double()
        change += weight(rest, weighting)[:, None] * without
    return weighted.sum(0), g.row_fold[rows], change


def _row_sums(p: Tensor, g: Grouping, rows: slice) -> Tensor:
    """Sum of the assignments of every row [rows, draws, bins], float64 where a row is long."""
    begin, size = g.row_begin[rows], g.row_size[rows]
    return segment_sums(g.members[int(begin[0]) : int(begin[-1] + size[-1])], p, begin - begin[0])


def segment_sums(members: Tensor, values: Tensor, begin: Tensor, weight: Tensor | None = None) -> Tensor:
    """As :meth:`Segments.sums`, of segments that are summed once."""
    return Segments(members, begin).sums(values, weight)


@dataclass(frozen=True)
class Segments:
    """Consecutive segments of members, which are summed again and again."""

    members: Tensor  # [k] int32, rows of the values
    begin: Tensor  # [segments] int32, into the members

    @cached_property
    def size(self) -> Tensor:
        """[segments] int32, their members."""
        return torch.diff(self.begin, append=self.begin.new_tensor([len(self.members)]))

    @cached_property
    def _levels(self) -> tuple["Runs", "Runs | None"]:
        from softh.estimator.gpu.conditional import levels

        return levels(self.begin, self.size)

    def sums(self, values: Tensor, weight: Tensor | None = None) -> Tensor:
        """Sums of values [·, draws, bins], [segments, draws, bins], in a fixed order.

        weight: [k], by which values are multiplied. On a CPU the result is float64 where a segment is long, on a GPU
        always float32.
        """
        if self.members.device.type == "cuda":
            from softh.estimator.gpu.conditional import sums_by_levels

            return sums_by_levels(self.members, values, self._levels, weight)
        if int(self.size.max()) <= _RUN:
            return _bag(self.members, values, self.begin, weight)
        runs = (self.size + _RUN - 1) // _RUN
        first = runs.cumsum(0) - runs
        offset = torch.arange(int(runs.sum())) - first.repeat_interleave(runs)
        begin = (self.begin.repeat_interleave(runs) + _RUN * offset).int()
        partial = _bag(self.members, values, begin, weight).double()
        return _bag(torch.arange(len(partial), dtype=torch.int32), partial, first.int())


def _bag(members: Tensor, values: Tensor, begin: Tensor, weight: Tensor | None = None) -> Tensor:
    # Gathers and adds in one pass, each segment by one worker: no races, and the same bits every time.
    weight = None if weight is None else weight.to(values.dtype)
    flat = torch.nn.functional.embedding_bag(members, values.flatten(1), begin, mode="sum", per_sample_weights=weight)
    return flat.view(-1, *values.shape[1:])


def _by_fold(fold: Tensor, values: Tensor, folds: int) -> Tensor:
    """[folds, draws] sums of values [rows, draws] by fold."""
    return torch.zeros(folds, values.shape[1], dtype=torch.float64).index_add_(0, fold, values)


def entropy_of_sums(sums: Tensor, size: Tensor) -> Tensor:
    """Entropy in nats of sums of `size` assignments [..., draws, bins]; differences may be a rounding below zero."""
    q = (sums / size[:, None, None]).clamp_(min=torch.finfo(sums.dtype).tiny)
    return q.log().mul_(q).sum(-1).neg_()

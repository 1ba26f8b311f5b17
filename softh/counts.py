"""Soft assignments and labels to sufficient statistics that add up: merging any split equals the whole.

For one layer and one label set the statistic is a table of summed assignments, one row for every (label, fold of
documents). Everything a measure needs follows from it: the counts of a label (sum over its folds), the same
without one fold (the jackknife), and their entropies. A label seen once in the corpus needs no row: its
conditional entropy is the entropy of its own assignment, so only that number is added up. At high n-gram orders
nearly all labels are such.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.labels import LabelSet
from softh.spec import Weighting

_ENTRIES = {"cpu": 2**20, "cuda": 2**25}
"""Table entries whose entropies are taken at once. On a CPU larger temporaries go back to the system after each use,
and a third of the time is spent on asking for them again."""
LEAST_SEEN = 5
"""Under uniform label weighting, labels seen fewer times than this are left out (as the precursor code did)."""


class Part(NamedTuple):
    """Where some positions go; indices are into these positions."""

    single: Tensor  # [folds, m] float64, 1 where the position is of the fold and its label seen once
    often: Tensor  # [k] int64, those whose label is seen again, sorted by the row they add to
    begin: Tensor  # [rows touched] int64, where each row begins in `often`
    row: Tensor  # [rows touched] int64, each row once


@dataclass(frozen=True)
class Grouping:
    """Which row of the table each position adds to; rows sorted by label, then fold."""

    row: Tensor  # [positions] int64, −1 for a label seen once
    fold: Tensor  # [positions] int64
    row_fold: Tensor  # [rows] int64
    row_size: Tensor  # [rows] float64, positions that add to the row
    row_label: Tensor  # [rows] int64, dense over the labels that have rows
    label_begin: Tensor  # [labels that have rows] int64, first row of each
    folds: int
    distinct: int

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.row_fold)

    def to(self, device: torch.device | str) -> "Grouping":
        """The same grouping with its tensors on `device`."""
        fields = ("row", "fold", "row_fold", "row_size", "row_label", "label_begin")
        return dataclasses.replace(self, **{name: getattr(self, name).to(device) for name in fields})

    def part(self, at: Tensor) -> Part:
        """Where the positions numbered `at` [m] go; worth keeping when several layers add the same positions."""
        row, order = self.row[at].sort(stable=True)
        often = order[row >= 0]
        rows, size = torch.unique_consecutive(row[row >= 0], return_counts=True)
        single = indicator(self.fold[at], self.folds).index_fill(1, often, 0)
        return Part(single, often, size.cumsum(0) - size, rows)


def indicator(group: Tensor, groups: int) -> Tensor:
    """[groups, members] float64, 1 where the member is in the group: a sum over groups as a matrix product.

    Scattered additions would race on a GPU, and with few groups nearly all would wait for one another.
    """
    return torch.nn.functional.one_hot(group, groups).T.to(torch.float64)


def group(labels: LabelSet, fold: np.ndarray, folds: int) -> Grouping:
    """Group positions by (label, fold). `fold` [positions] numbers the fold of each position's document."""
    often = np.bincount(labels.labels, minlength=labels.distinct)[labels.labels] > 1
    pairs, inverse, size = np.unique(
        labels.labels[often] * folds + fold[often], return_inverse=True, return_counts=True
    )
    row = np.full(len(labels.labels), -1, dtype=np.int64)
    row[often] = inverse
    _, label_begin, row_label = np.unique(pairs // folds, return_index=True, return_inverse=True)
    arrays = (row, fold, pairs % folds, size.astype(np.float64), row_label, label_begin)
    return Grouping(*map(torch.from_numpy, arrays), folds=folds, distinct=labels.distinct)


class Mass:
    """Summed assignments of every fold, whatever the label: the statistic behind H(Z)."""

    def __init__(self, folds: int, draws: int, bins: int, device: torch.device | str = "cpu") -> None:
        self.table = torch.zeros(folds, draws, bins, dtype=torch.float64, device=device)

    def add(self, p: Tensor, fold: Tensor) -> None:
        """Add assignments p [positions, draws, bins] float64; `fold` [folds, positions] says of which fold."""
        self.table += (fold @ p.flatten(1)).view_as(self.table)

    def merge(self, other: "Mass") -> None:
        """Add the statistic of other positions."""
        self.table += other.table

    def entropy(self) -> np.ndarray:
        """H(Z) in nats, [1 + folds, draws]: of all positions, then without each fold."""
        total = self.table.sum(0, keepdim=True)
        return _entropy(torch.cat([total, total - self.table])).cpu().numpy()


class Counts:
    """The statistic behind H(Z | label) of one layer under one label set."""

    def __init__(self, grouping: Grouping, draws: int, bins: int) -> None:
        device = grouping.row.device
        self.grouping = grouping
        self.table = torch.zeros(grouping.rows, draws, bins, dtype=torch.float64, device=device)
        self.single = torch.zeros(grouping.folds, draws, dtype=torch.float64, device=device)
        self.singles = torch.zeros(grouping.folds, dtype=torch.float64, device=device)

    def add(self, p: Tensor, entropy: Tensor, part: Part) -> None:
        """Add the positions of `part`: assignments p [m, draws, bins] and entropies [m, draws], both float64."""
        self.table[part.row] += _segment_sums(p, part.often, part.begin)
        self.single += part.single @ entropy
        self.singles += part.single.sum(1)

    def merge(self, other: "Counts") -> None:
        """Add the statistic of other positions of the same corpus."""
        if self.grouping is not other.grouping and not torch.equal(self.grouping.row, other.grouping.row):
            raise InputError(
                "The two statistics label their positions differently; expected shards of one corpus: "
                "encode the labels of the whole corpus once."
            )
        self.table += other.table
        self.single += other.single
        self.singles += other.singles

    def conditional_entropy(self, weighting: Weighting) -> np.ndarray:
        """H(Z | label) in nats, [1 + folds, draws]: of all positions, then without each fold.

        Labels are weighted by how often they occur, or uniformly if seen at least five times (NaN if none was).
        """
        sums, weights = self._pooled(weighting)
        if weighting == "positions":
            sums = sums + torch.cat([self.single.sum(0, keepdim=True), self.single.sum(0) - self.single])
            weights = weights + torch.cat([self.singles.sum(0, keepdim=True), self.singles.sum(0) - self.singles])
        return (sums / weights.unsqueeze(-1)).cpu().numpy()

    def _pooled(self, weighting: Weighting) -> tuple[Tensor, Tensor]:
        """Weighted sums of h [1 + folds, draws] and weights [1 + folds] over the labels that have rows."""
        g = self.grouping
        if g.rows == 0:
            return torch.zeros_like(self.single[:1]).expand(1 + g.folds, -1), self.singles.new_zeros(1 + g.folds)
        in_order, of_fold = torch.arange(g.rows, device=g.row.device), indicator(g.row_fold, g.folds)
        size = _segment_sums(g.row_size[:, None, None], in_order, g.label_begin).flatten()  # [labels]
        rest = size[g.row_label] - g.row_size  # [rows] positions of the row's label outside the row's fold
        weight, weight_row, weight_rest = (_weight(s, weighting) for s in (size, size[g.row_label], rest))
        sums = []
        for table in self.table.split(max(1, _ENTRIES[g.row.device.type] // self.table[:, 0].numel()), dim=1):
            whole = _segment_sums(table, in_order, g.label_begin)
            h = _entropy(whole)  # [labels, draws]
            without = _entropy(whole[g.row_label] - table)  # [rows, draws]
            total = (weight[:, None] * h).sum(0, keepdim=True)
            change = weight_rest[:, None] * without - weight_row[:, None] * h[g.row_label]
            sums.append(torch.cat([total, total + of_fold @ change]))
        return torch.cat(sums, dim=1), torch.cat(
            [weight.sum()[None], weight.sum() + of_fold @ (weight_rest - weight_row)]
        )


def _segment_sums(values: Tensor, members: Tensor, begin: Tensor) -> Tensor:
    """Sums of values [members, draws, bins] over consecutive segments of `members`, which begin at `begin`."""
    if not len(begin):
        return values[:0]
    # Gathers and adds in one pass, each segment by one worker: no races, and the same bits every time.
    flat = torch.nn.functional.embedding_bag(members, values.flatten(1), begin, mode="sum")
    return flat.view(-1, *values.shape[1:])


def _weight(size: Tensor, weighting: Weighting) -> Tensor:
    return size if weighting == "positions" else (size >= LEAST_SEEN).to(torch.float64)


def _entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of counts [..., bins] scaled to one; zero where there are none."""
    counts = counts.clamp(min=0)  # what is left after subtracting a fold may be −1e-17
    total = counts.sum(-1)
    cross = torch.special.xlogy(counts, counts).sum(-1)
    return torch.where(total > 1e-9, total.log() - cross / total, 0.0)

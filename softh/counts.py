"""Soft assignments and labels to sufficient statistics that add up: merging any split equals the whole.

For one layer and one label set the statistic is a table of summed assignments, one row for every (label, fold of
documents). Everything a measure needs follows from it: the counts of a label (sum over its folds), the same
without one fold (the jackknife), and their entropies. A label seen once in the corpus needs no row: its
conditional entropy is the entropy of its own assignment, so only that number is added up. At high n-gram orders
nearly all labels are such.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.labels import LabelSet
from softh.spec import Weighting

_TEMPORARY = 2**25
"""Table entries whose entropies are taken at once: 256 MiB a temporary."""
LEAST_SEEN = 5
"""Under uniform label weighting, labels seen fewer times than this are left out (as the precursor code did)."""


class Part(NamedTuple):
    """Some positions, sorted by what becomes of them; indices are into these positions."""

    often: Tensor  # [k] int64, those whose label is seen again
    row: Tensor  # [k] int64, the rows they add to
    once: Tensor  # [m − k] int64, those whose label is seen once
    fold: Tensor  # [m − k] int64, their folds


@dataclass(frozen=True)
class Grouping:
    """Which row of the table each position adds to; rows sorted by label, then fold."""

    row: Tensor  # [positions] int64, −1 for a label seen once
    fold: Tensor  # [positions] int64
    row_label: Tensor  # [rows] int64, dense over the labels that have rows
    row_fold: Tensor  # [rows] int64
    row_size: Tensor  # [rows] float64, positions that add to the row
    folds: int
    distinct: int

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.row_label)

    def to(self, device: torch.device | str) -> "Grouping":
        """The same grouping with its index tensors on `device`."""
        moved = (tensor.to(device) for tensor in (self.row, self.fold, self.row_label, self.row_fold, self.row_size))
        return Grouping(*moved, folds=self.folds, distinct=self.distinct)

    def part(self, at: Tensor) -> Part:
        """Where the positions numbered `at` [m] go; worth keeping when several layers add the same positions."""
        row = self.row[at]
        often, once = (row >= 0).nonzero().squeeze(-1), (row < 0).nonzero().squeeze(-1)
        return Part(often, row[often], once, self.fold[at[once]])


def group(labels: LabelSet, fold: np.ndarray, folds: int) -> Grouping:
    """Group positions by (label, fold). `fold` [positions] numbers the fold of each position's document."""
    often = np.bincount(labels.labels, minlength=labels.distinct)[labels.labels] > 1
    pairs, inverse, size = np.unique(
        labels.labels[often] * folds + fold[often], return_inverse=True, return_counts=True
    )
    row = np.full(len(labels.labels), -1, dtype=np.int64)
    row[often] = inverse
    row_label = np.unique(pairs // folds, return_inverse=True)[1] if len(pairs) else pairs
    arrays = (row, fold, row_label, pairs % folds, size.astype(np.float64))
    return Grouping(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays), folds=folds, distinct=labels.distinct)


class Mass:
    """Summed assignments of every fold, whatever the label: the statistic behind H(Z)."""

    def __init__(self, folds: int, draws: int, bins: int, device: torch.device | str = "cpu") -> None:
        self.table = torch.zeros(folds, draws, bins, dtype=torch.float64, device=device)

    def add(self, p: Tensor, fold: Tensor) -> None:
        """Add assignments p [positions, draws, bins] float64 of positions in folds [positions]."""
        self.table.index_add_(0, fold, p)

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
        self.table.index_add_(0, part.row, p[part.often])
        self.single.index_add_(0, part.fold, entropy[part.once])
        self.singles.index_add_(0, part.fold, torch.ones_like(part.fold, dtype=torch.float64))

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
        size = self._zeros(int(g.row_label[-1]) + 1 if g.rows else 0).index_add_(0, g.row_label, g.row_size)
        rest = size[g.row_label] - g.row_size  # positions of the row's label outside the row's fold
        weight, weight_row, weight_rest = (_weight(s, weighting) for s in (size, size[g.row_label], rest))
        sums = []
        for table in self.table.split(max(1, _TEMPORARY // max(1, self.table[:, 0].numel())), dim=1):
            whole = self._zeros(len(size), *table.shape[1:]).index_add_(0, g.row_label, table)
            h = _entropy(whole)  # [labels, draws]
            without = _entropy(whole[g.row_label] - table)  # [rows, draws]
            change = weight_rest[:, None] * without - weight_row[:, None] * h[g.row_label]
            total = (weight[:, None] * h).sum(0, keepdim=True)
            sums.append(torch.cat([total, total + self._zeros(g.folds, h.shape[1]).index_add_(0, g.row_fold, change)]))
        fewer = self._zeros(g.folds).index_add_(0, g.row_fold, weight_rest - weight_row)
        return torch.cat(sums, dim=1), torch.cat([weight.sum()[None], weight.sum() + fewer])

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64, device=self.table.device)


def _weight(size: Tensor, weighting: Weighting) -> Tensor:
    return size if weighting == "positions" else (size >= LEAST_SEEN).to(torch.float64)


def _entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of counts [..., bins] scaled to one; zero where there are none."""
    counts = counts.clamp(min=0)  # what is left after subtracting a fold may be −1e-17
    total = counts.sum(-1)
    cross = torch.special.xlogy(counts, counts).sum(-1)
    return torch.where(total > 1e-9, total.log() - cross / total, 0.0)

"""Soft assignments and labels to sufficient statistics that add up: merging any split equals the whole.

For one layer and one label set the statistic is a table of summed assignments, one row for every (label, fold of
documents). Everything a measure needs follows from it: the counts of a label (sum over its folds), the same
without one fold (the jackknife), and their entropies. A label seen once in the corpus needs no row: its
conditional entropy is the entropy of its own assignment, so only that number is added up. At high n-gram orders
nearly all labels are such.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.labels import LabelSet
from softh.spec import Weighting

LEAST_SEEN = 5
"""Under uniform label weighting, labels seen fewer times than this are left out (as the precursor code did)."""


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

    def add(self, p: Tensor, entropy: Tensor, at: Tensor) -> None:
        """Add positions numbered `at` [m]: assignments p [m, draws, bins] and entropies [m, draws], both float64."""
        row = self.grouping.row[at]
        often = (row >= 0).nonzero().squeeze(-1)
        once = (row < 0).nonzero().squeeze(-1)
        self.table.index_add_(0, row[often], p[often])
        fold = self.grouping.fold[at[once]]
        self.single.index_add_(0, fold, entropy[once])
        self.singles.index_add_(0, fold, torch.ones_like(fold, dtype=torch.float64))

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
        _, draws, _ = self.table.shape
        labels = int(g.row_label[-1]) + 1 if g.rows else 0
        size = torch.zeros(labels, dtype=torch.float64, device=g.row.device).index_add_(0, g.row_label, g.row_size)
        rest = size[g.row_label] - g.row_size  # positions of the row's label outside the row's fold
        weight, weight_row, weight_rest = (_weight(s, weighting) for s in (size, size[g.row_label], rest))
        sums = torch.zeros(1 + g.folds, draws, dtype=torch.float64, device=g.row.device)
        for draw in range(draws):  # one draw at a time keeps the temporaries to a fraction of the table
            table = self.table[:, draw]  # [rows, bins]
            whole = torch.zeros(labels, table.shape[1], dtype=table.dtype, device=table.device)
            whole.index_add_(0, g.row_label, table)
            h = _entropy(whole)  # [labels]
            change = weight_rest * _entropy(whole[g.row_label] - table) - weight_row * h[g.row_label]
            sums[0, draw] = (weight * h).sum()
            sums[1:, draw] = sums[0, draw] + torch.zeros_like(sums[1:, 0]).index_add_(0, g.row_fold, change)
        total = weight.sum()
        fewer = torch.zeros(g.folds, dtype=torch.float64, device=g.row.device)
        fewer.index_add_(0, g.row_fold, weight_rest - weight_row)
        return sums, torch.cat([total[None], total + fewer])


def _weight(size: Tensor, weighting: Weighting) -> Tensor:
    return size if weighting == "positions" else (size >= LEAST_SEEN).to(torch.float64)


def _entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of counts [..., bins] scaled to one; zero where there are none."""
    counts = counts.clamp(min=0)  # what is left after subtracting a fold may be −1e-17
    total = counts.sum(-1)
    cross = torch.special.xlogy(counts, counts).sum(-1)
    return torch.where(total > 1e-9, total.log() - cross / total, 0.0)

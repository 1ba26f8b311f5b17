"""Positions that an accumulator keeps: soft assignments in half precision, labels and documents, in bounded memory.

Where more positions come than there is room for, whole documents stay: those whose numbers have the smallest hashes.
Which they are depends on the documents alone, never on the order in which they come, so parts put together keep what
the whole would keep (bottom-k sampling, Cohen & Kaplan 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError

EVERYTHING = np.uint64(2**64 - 1)
"""Limit of hashes below which all documents are."""


@dataclass
class Rows:
    """Some positions; arrays of one length."""

    document: np.ndarray  # [rows] int64
    place: np.ndarray  # [rows] int64, of the position in its document, or a hash of what is at it
    labels: np.ndarray  # [rows, label sets] int64
    p: list[Tensor]  # of every layer [rows, draws, bins] float16

    def __len__(self) -> int:
        return len(self.document)


class Kept:
    """Room for a number of positions, filled as they come."""

    def __init__(self, capacity: int, layers: int, label_sets: int, draws: int, bins: int, seed: int) -> None:
        self.capacity, self.seed = capacity, seed
        self.limit = EVERYTHING
        """Documents with hashes from here on have been left out."""
        # Memory that is not written yet takes none.
        self.rows = Rows(
            np.empty(capacity, dtype=np.int64),
            np.empty(capacity, dtype=np.int64),
            np.empty((capacity, label_sets), dtype=np.int64),
            [torch.empty(capacity, draws, bins, dtype=torch.float16) for _ in range(layers)],
        )
        self.used = np.zeros(capacity, dtype=bool)
        self.saved = np.zeros(capacity, dtype=bool)
        """Rows that a file holds already."""

    @staticmethod
    def row_bytes(layers: int, label_sets: int, draws: int, bins: int) -> int:
        """Bytes of one position."""
        return layers * draws * bins * 2 + 8 * (2 + label_sets) + 2

    def admits(self, document: np.ndarray) -> np.ndarray:
        """Which of these positions [rows] bool would be kept now; makes room for them first."""
        new = mixed(document, self.seed)
        if self.used.sum() + (new < self.limit).sum() > self.capacity:
            self._make_room(new[new < self.limit])
        return new < self.limit

    def lower_limit(self, limit: np.uint64) -> None:
        """Leave out documents with hashes from `limit` on."""
        self.limit = min(self.limit, limit)
        at = np.flatnonzero(self.used)
        gone = at[mixed(self.rows.document[at], self.seed) >= self.limit]
        self.used[gone] = self.saved[gone] = False

    def add(self, rows: Rows) -> None:
        """Store positions for which :meth:`admits` made room."""
        free = np.flatnonzero(~self.used)[: len(rows)]
        self.rows.document[free], self.rows.place[free], self.rows.labels[free] = rows.document, rows.place, rows.labels
        at = torch.from_numpy(free)
        for mine, new in zip(self.rows.p, rows.p, strict=True):
            mine[at] = new
        self.used[free], self.saved[free] = True, False

    def take(self, at: np.ndarray) -> Rows:
        """A copy of the positions at these numbers."""
        index = torch.from_numpy(at)
        mine = self.rows
        return Rows(mine.document[at], mine.place[at], mine.labels[at], [p[index] for p in mine.p])

    def order(self) -> np.ndarray:
        """Numbers of all positions by document and place."""
        at = np.flatnonzero(self.used)
        return at[np.lexsort((self.rows.place[at], self.rows.document[at]))]

    def _make_room(self, new: np.ndarray) -> None:
        """Lower the limit until the documents below it, with new ones of these hashes, fit."""
        own = mixed(self.rows.document[self.used], self.seed)
        hashes, sizes = np.unique(np.concatenate([own, new]), return_counts=True)
        over = int(np.searchsorted(sizes.cumsum(), self.capacity, side="right"))
        if over < 2:
            raise InputError(
                f"There is room for {self.capacity:,} positions and a document has {sizes[over]:,}; expected room for "
                "two documents at least: ask for more positions, or pass shorter documents."
            )
        if over < len(hashes):
            self.lower_limit(hashes[over])


def mixed(values: np.ndarray, seed: int) -> np.ndarray:
    """Hash of integers [rows] as uint64, no two of which have the same.

    Source: the finaliser of splitmix64, Steele, Lea & Flood 2014.

    >>> len(set(mixed(np.arange(1000), seed=0).tolist()))
    1000
    """
    z = values.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def content(parts: Sequence[np.ndarray], columns: np.ndarray) -> np.ndarray:
    """Hash [rows] int64 of rows of float64 [rows, width] each and of integers [rows, columns].

    Equal rows have equal hashes, whatever the batch, the library or the number format they came in.
    """
    total = np.zeros(len(columns), dtype=np.uint64)
    for number, part in enumerate([*(part.view(np.uint64) for part in parts), columns.view(np.uint64)]):
        factors = mixed(np.arange(part.shape[1]) + (number << 32), 0) | np.uint64(1)
        for start in range(0, len(part), step := max(1, 2**20 // part.shape[1])):
            piece = part[start : start + step]
            # Each number is spread over all bits first: those of few digits differ in their highest bits alone.
            piece = piece ^ (piece >> np.uint64(32))
            total[start : start + step] += (piece * factors).sum(1, dtype=np.uint64)
    return mixed(total.view(np.int64), 0).view(np.int64)

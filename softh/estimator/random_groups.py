"""Random groups of positions of different documents: how entropy grows with occurrences where the limit is known."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from softh.estimator.conditional import Assignments, Segments, entropy_of_sums

GROUP_SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Sizes of the random groups of positions."""
_BLOCK = 192
"""Positions that are grouped together in all sizes; a multiple of 64 and 48."""
_GROUPED = 12_288
"""Positions in random groups, at least, where there are so many; at most three times all."""
_LEAST_GROUPS = 20
_PIECE = 192
"""Positions of random groups that a CPU adds at once."""


@dataclass(frozen=True)
class RandomGroups:
    """Positions at random, so that neighbours are of different documents."""

    members: Tensor  # [k] int32, a multiple of the block of all sizes
    sizes: tuple[int, ...]

    def reindexed(self, index: Tensor) -> "RandomGroups":
        """The same for assignments stored in another order: position i is row index[i] ([positions] int32)."""
        return replace(self, members=index[self.members])

    @cached_property
    def pairs_and_triples(self) -> tuple[tuple[int, list[Segments]], ...]:
        """Groups of two and of three, from which the larger ones are added; in pieces that are summed at once."""
        unit = _BLOCK if len(self.members) % _BLOCK == 0 else len(self.members)
        pieces = self.members.split(max(unit, _PIECE) if self.members.device.type == "cpu" else len(self.members))
        found = []
        for base in (2, 3):
            begins = [torch.arange(0, len(piece), base, device=piece.device, dtype=torch.int32) for piece in pieces]
            found.append((base, [Segments(*pair) for pair in zip(pieces, begins, strict=True)]))
        return tuple(found)


def random_groups(document: np.ndarray, documents: int, seed: int) -> RandomGroups:
    """Positions for groups of every size up to the number of documents.

    Args:
        document: [positions] document of every position.
        documents: their number.
        seed: of the groups.

    >>> random_groups(np.arange(4000), 4000, seed=0).sizes[:4]
    (2, 3, 4, 6)
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 11))))
    positions = len(document)
    rounds = min(3, -(-_GROUPED // positions))
    orders = [_across_documents(document, documents, random)[:_GROUPED] for _ in range(rounds)]
    block = _BLOCK if positions >= _BLOCK else 12 if positions >= 12 else 2
    members = np.concatenate([order[: len(order) // block * block] for order in orders])
    sizes = [g for g in GROUP_SIZES if block % g == 0 and positions // g >= _LEAST_GROUPS and g <= documents] or [2]
    return RandomGroups(torch.from_numpy(members.astype(np.int32)), tuple(sizes))


def _across_documents(document: np.ndarray, documents: int, random: np.random.Generator) -> np.ndarray:
    """A random order of positions in which neighbours come from different documents."""
    order = random.permutation(len(document))
    of = document[order]
    by_document = np.argsort(of, kind="stable")
    sizes = np.bincount(of, minlength=documents)
    rank = np.empty(len(document), int)
    rank[by_document] = np.arange(len(document)) - (np.cumsum(sizes) - sizes)[of[by_document]]
    return order[np.lexsort((random.permutation(documents)[of], rank))]


def random_gains(assignments: Assignments, groups: RandomGroups) -> Tensor:
    """Mean and variance of the gain of random groups of every size, [2, sizes, draws] float64."""
    draws = assignments.p.shape[1]
    sums = torch.zeros(2, len(groups.sizes), draws, dtype=torch.float64, device=assignments.p.device)
    number = torch.zeros(len(groups.sizes), dtype=torch.float64, device=sums.device)
    for base, pieces in groups.pairs_and_triples:
        wanted = [size for size in groups.sizes if size % base == 0 and (base == 3 or size % 3)]
        for piece in pieces if wanted else ():
            p, own = piece.sums(assignments.p), piece.sums(assignments.entropy[:, None])[:, 0]
            size = base
            while size <= wanted[-1]:
                if size in wanted:
                    gain = (entropy_of_sums(p, torch.full_like(own[:, 0], size)) - own / size).double()
                    at = groups.sizes.index(size)
                    sums[0, at] += gain.sum(0)
                    sums[1, at] += (gain**2).sum(0)
                    number[at] += len(gain)
                p, own = (values[: len(values) // 2 * 2] for values in (p, own))
                p, own = p[::2] + p[1::2], own[::2] + own[1::2]
                size *= 2
    mean = sums[0] / number[:, None]
    return torch.stack([mean, sums[1] / number[:, None] - mean**2])

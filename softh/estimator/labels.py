"""Token ids to labels: dense n-gram ids of the input and of the output at every position, and their permutations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Variable = Literal["input", "output"]
VARIABLES: tuple[Variable, ...] = ("input", "output")


@dataclass(frozen=True)
class Positions:
    """The token positions that count: the rows of Z, in document order."""

    document: np.ndarray  # [positions] int64, index of the document
    offset: np.ndarray  # [positions] int64, token index within the document
    flat: np.ndarray  # [positions] int64, token index in the concatenated corpus

    def __len__(self) -> int:
        return len(self.flat)


@dataclass(frozen=True)
class LabelSet:
    """One label for every position."""

    variable: Variable
    order: int
    shuffled: bool
    """Whether the labels were permuted over positions (the null)."""
    labels: Tensor  # [positions] int64, dense from 0
    distinct: int


def valid_positions(documents: Sequence[np.ndarray], highest_order: int) -> Positions:
    """Positions i with highest_order − 1 ≤ i < length − highest_order, so that every n-gram on both sides exists."""
    lengths = np.array([len(ids) for ids in documents], dtype=np.int64)
    per_document = np.maximum(lengths - 2 * highest_order + 1, 0)
    document = np.repeat(np.arange(len(lengths)), per_document)
    first = np.cumsum(per_document) - per_document
    offset = np.arange(per_document.sum()) - first[document] + highest_order - 1
    starts = np.cumsum(lengths) - lengths
    return Positions(document, offset, starts[document] + offset)


def ngrams(documents: Sequence[np.ndarray], highest: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """For every order from 1 to `highest`, the id of the n-gram that ends at each index of the concatenated documents.

    Ids are made dense after every order: radix codes of quadgrams overflow 64 bits from a vocabulary of 55,000.
    N-grams across a document boundary get an id too; no valid position reads it.
    """
    token = torch.unique(torch.from_numpy(np.concatenate(documents)).to(device), return_inverse=True)[1]
    codes, distinct = [token], int(token.max()) + 1 if len(token) else 1
    for _ in range(highest - 1):
        previous = torch.cat([codes[-1][:1], codes[-1][:-1]])
        codes.append(torch.unique(previous * distinct + token, return_inverse=True)[1])
    return codes


def encode(codes: Sequence[Tensor], positions: Positions, variable: Variable, order: int) -> LabelSet:
    """The n-gram that ends at each position (input) or starts right after it (output), as dense ids.

    `codes` is what :func:`ngrams` gave for the documents of the positions.
    """
    at = torch.from_numpy(positions.flat + (order if variable == "output" else 0)).to(codes[0].device)
    distinct, labels = torch.unique(codes[order - 1][at], return_inverse=True)
    return LabelSet(variable, order, False, labels, len(distinct))


def shuffle(labels: LabelSet, seed: int) -> LabelSet:
    """The same labels over permuted positions: what I(·;Z) would be were they independent of Z."""
    stream = (seed, labels.order, labels.variable == "output")
    permutation = np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream))).permutation(len(labels.labels))
    moved = labels.labels[torch.from_numpy(permutation).to(labels.labels.device)]
    return LabelSet(labels.variable, labels.order, True, moved, labels.distinct)

"""Token ids to labels: dense n-gram ids of the input and of the output at every position, and their permutations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

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
    labels: np.ndarray  # [positions] int64, dense from 0
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


def encode(documents: Sequence[np.ndarray], positions: Positions, variable: Variable, order: int) -> LabelSet:
    """The n-gram that ends at each position (input) or starts right after it (output), as dense ids."""
    ending = _ngrams_ending(np.concatenate(documents), order)
    codes = ending[positions.flat + (order if variable == "output" else 0)]
    distinct, labels = np.unique(codes, return_inverse=True)
    return LabelSet(variable, order, False, labels.astype(np.int64), len(distinct))


def shuffle(labels: LabelSet, seed: int) -> LabelSet:
    """The same labels over permuted positions: what I(·;Z) would be were they independent of Z."""
    stream = (seed, labels.order, labels.variable == "output")
    permutation = np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream))).permutation(len(labels.labels))
    return LabelSet(labels.variable, labels.order, True, labels.labels[permutation], labels.distinct)


def _ngrams_ending(tokens: np.ndarray, order: int) -> np.ndarray:
    """Id of the n-gram that ends at each index of one long sequence.

    Ids are made dense after every order: radix codes of quadgrams overflow 64 bits from a vocabulary of 55,000.
    N-grams across a document boundary get an id too; no valid position reads it.
    """
    token = np.unique(tokens, return_inverse=True)[1].astype(np.int64)
    codes = token
    for _ in range(order - 1):
        previous = np.concatenate([codes[:1], codes[:-1]])
        codes = np.unique(previous * (token.max(initial=0) + 1) + token, return_inverse=True)[1].astype(np.int64)
    return codes

"""Labels of positions: the kinds there are, n-grams of the input and of the output among them.

A new kind of label is a class with the members of :class:`LabelKind` and one entry of :data:`LABEL_KINDS`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.text.corpus import Corpus, TokenizedCorpus, tokenize, tokenize_words

Variable = Literal["input", "output"]
VARIABLES: tuple[Variable, ...] = ("input", "output")


@dataclass(frozen=True)
class Positions:
    """Token positions, the rows of Z, in document order."""

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
    labels: Tensor  # [positions] int64, dense from 0
    distinct: int


def valid_positions(documents: Sequence[np.ndarray], highest_order: int) -> Positions:
    """Positions i with highest_order − 1 ≤ i < length − highest_order, so that every n-gram on both sides exists.

    Args:
        documents: token ids, one array a document.
        highest_order: highest n-gram order.

    >>> valid_positions([np.arange(6), np.arange(3)], highest_order=2).flat.tolist()
    [1, 2, 3]
    """
    lengths = np.array([len(ids) for ids in documents], dtype=np.int64)
    per_document = np.maximum(lengths - 2 * highest_order + 1, 0)
    document = np.repeat(np.arange(len(lengths)), per_document)
    first = np.cumsum(per_document) - per_document
    offset = np.arange(per_document.sum()) - first[document] + highest_order - 1
    starts = np.cumsum(lengths) - lengths
    return Positions(document, offset, starts[document] + offset)


def ngram_ids(documents: Sequence[np.ndarray], highest: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """Dense ids of the n-grams that end at each index of the concatenated documents, a tensor for every order.

    Ids are made dense after every order: radix codes of quadgrams overflow 64 bits from a vocabulary of 55,000.
    N-grams across a document boundary get an id too; no valid position reads it.

    Args:
        documents: token ids, one array a document.
        highest: highest order; the orders are 1 to `highest`.
        device: of the ids.

    >>> tokens, bigrams = ngram_ids([np.array([7, 8, 7, 8])], highest=2)
    >>> tokens.tolist(), bool(bigrams[1] == bigrams[3])
    ([0, 1, 0, 1], True)
    """
    token = torch.unique(torch.from_numpy(np.concatenate(documents)).to(device), return_inverse=True)[1]
    codes, distinct = [token], int(token.max()) + 1 if len(token) else 1
    for _ in range(highest - 1):
        previous = torch.cat([codes[-1][:1], codes[-1][:-1]])
        codes.append(torch.unique(previous * distinct + token, return_inverse=True)[1])
    return codes


def ngram_labels(codes: Sequence[Tensor], positions: Positions, variable: Variable, order: int) -> LabelSet:
    """Label every position by the n-gram that ends there (input) or starts right after it (output).

    Args:
        codes: the result of :func:`ngram_ids` for the documents of the positions.
        positions: where labels are wanted.
        variable: ``input`` or ``output``.
        order: n-gram order.

    >>> documents = [np.array([7, 8, 7, 8])]
    >>> positions = valid_positions(documents, highest_order=1)
    >>> ngram_labels(ngram_ids(documents, 1), positions, "output", 1).labels.tolist()
    [1, 0, 1]
    """
    at = torch.from_numpy(positions.flat + (order if variable == "output" else 0)).to(codes[0].device)
    distinct, labels = torch.unique(codes[order - 1][at], return_inverse=True)
    return LabelSet(variable, order, labels, len(distinct))


class LabelKind(Protocol):
    """One way to label positions."""

    name: str

    def tokenize(self, corpus: Corpus, tokenizer: Any, context: int, highest_order: int) -> TokenizedCorpus:
        """The text, truncated to what `context` means for labels of this kind."""
        ...

    def positions(self, tokenized: TokenizedCorpus, highest_order: int) -> Positions:
        """Where labels of every order up to the highest exist."""
        ...

    def labels(self, tokenized: TokenizedCorpus, orders: Sequence[int], device: torch.device) -> Iterator[LabelSet]:
        """Labels of the positions of the highest order, of every variable and order, one set after another."""
        ...


class TokenNgrams:
    """n-grams of token ids, before and after each token."""

    name = "tokens"

    def tokenize(self, corpus: Corpus, tokenizer: Any, context: int, highest_order: int) -> TokenizedCorpus:
        """The text, truncated to `context` tokens."""
        return tokenize(corpus, tokenizer, context, highest_order)

    def positions(self, tokenized: TokenizedCorpus, highest_order: int) -> Positions:
        """Tokens with n-grams of the highest order on both sides."""
        return valid_positions(tokenized.ids, highest_order)

    def labels(self, tokenized: TokenizedCorpus, orders: Sequence[int], device: torch.device) -> Iterator[LabelSet]:
        """Labels of the positions of the highest order, of every variable and order, one set after another."""
        return _ngram_label_sets(tokenized.ids, orders, device)


class WordNgrams:
    """n-grams of words between white space, before and after the last token of each: the same for every tokenizer."""

    name = "words"

    def tokenize(self, corpus: Corpus, tokenizer: Any, context: int, highest_order: int) -> TokenizedCorpus:
        """The text, truncated to whole words within three bytes for every token of `context`."""
        return tokenize_words(corpus, tokenizer, context, highest_order)

    def positions(self, tokenized: TokenizedCorpus, highest_order: int) -> Positions:
        """Last tokens of words with n-grams of the highest order on both sides."""
        words = valid_positions([np.arange(len(document.texts)) for document in tokenized.words], highest_order)
        lengths = np.array([len(ids) for ids in tokenized.ids], dtype=np.int64)
        last = [document.last_token for document in tokenized.words]
        offset = np.concatenate(last)[words.flat]
        return Positions(words.document, offset, (np.cumsum(lengths) - lengths)[words.document] + offset)

    def labels(self, tokenized: TokenizedCorpus, orders: Sequence[int], device: torch.device) -> Iterator[LabelSet]:
        """Labels of the positions of the highest order, of every variable and order, one set after another."""
        every = [word for document in tokenized.words for word in document.texts]
        ids = np.unique(every, return_inverse=True)[1]
        documents = np.split(ids, np.cumsum([len(document.texts) for document in tokenized.words])[:-1])
        return _ngram_label_sets(documents, orders, device)


class ByteStrings(WordNgrams):
    """The last bytes up to the end of a word, and the first of the words that follow; one space between words."""

    name = "bytes"

    def labels(self, tokenized: TokenizedCorpus, orders: Sequence[int], device: torch.device) -> Iterator[LabelSet]:
        """Labels of the positions of the highest order, of every variable and order, one set after another."""
        highest = max(orders)
        text, ends = [], []
        for document in tokenized.words:
            words = [word.encode(errors="surrogatepass") for word in document.texts]
            chosen = slice(highest - 1, len(words) - highest)
            end = np.cumsum([len(word) + 1 for word in words]) - 1
            ends.append(end[chosen] + sum(len(part) for part in text))
            text.append(b" ".join(words))
        at, characters = np.concatenate(ends), np.frombuffer(b"".join(text), dtype=np.uint8).astype(np.int64)
        for variable in VARIABLES:
            for order in orders:
                first = at - order if variable == "input" else at + 1
                code = sum(characters[first + place] << (8 * place) for place in range(order))
                distinct, labels = np.unique(code, return_inverse=True)
                yield LabelSet(variable, order, torch.from_numpy(labels).to(device), len(distinct))


def _ngram_label_sets(
    documents: Sequence[np.ndarray], orders: Sequence[int], device: torch.device
) -> Iterator[LabelSet]:
    positions = valid_positions(documents, max(orders))
    codes = ngram_ids(documents, max(orders), device)
    for variable in VARIABLES:
        for order in orders:
            yield ngram_labels(codes, positions, variable, order)


LABEL_KINDS: tuple[LabelKind, ...] = (TokenNgrams(), WordNgrams(), ByteStrings())
"""Every kind of label."""


def label_kind(name: str) -> LabelKind:
    """Return the kind of label of that name.

    Raises:
        InputError: for an unknown name; the message lists the names there are.

    >>> label_kind("tokens").name
    'tokens'
    """
    for kind in LABEL_KINDS:
        if kind.name == name:
            return kind
    names = ", ".join(kind.name for kind in LABEL_KINDS)
    raise InputError(f"labels was {name!r}; expected one of {names}: choose one.")

"""Labels of positions: the kinds there are, n-grams of the input and of the output among them.

A new kind of label is a class with the members of :class:`LabelKind` and one entry of :data:`LABEL_KINDS`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError
from softh.estimator import token_labels
from softh.quantities import COLUMN, label_columns, of_series
from softh.text.corpus import Corpus, TokenizedCorpus, load, select_documents, tokenize, tokenize_words

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
    """As :data:`softh.quantities.LABELS` has it."""

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


class TokenLabels:
    """n-grams of labels that single tokens have. X of order 1 is the label of a token, Y that of the next.

    A token without a label is no position; in n-grams of others, having none is a label of its own.
    """

    def __init__(self, name: str, symbols: Callable[[Corpus, TokenizedCorpus, Any], list[np.ndarray]]) -> None:
        """`symbols` gives the label of every token; see :mod:`softh.estimator.token_labels`."""
        self.name, self._symbols = name, symbols

    def tokenize(self, corpus: Corpus, tokenizer: Any, context: int, highest_order: int) -> TokenizedCorpus:
        """The text, truncated to `context` tokens, without documents that have no label.

        Raises:
            InputError: when no token has a label, or all have the same, and as :func:`softh.text.corpus.tokenize` does.
        """
        tokenized = tokenize(corpus, tokenizer, context, highest_order)
        tokenized = replace(tokenized, symbols=tuple(self._symbols(corpus, tokenized, tokenizer)))
        documents = np.unique(self.positions(tokenized, highest_order).document)
        if not len(documents):
            raise InputError(
                f"No token of {corpus.name} that counts has a label of {self.name}; expected some: choose other "
                "labels, or a longer context."
            )
        tokenized = select_documents(tokenized, documents)
        labels = np.concatenate(tokenized.symbols)[self.positions(tokenized, highest_order).flat]
        if len(np.unique(labels)) < 2:
            raise InputError(
                f"All tokens of {corpus.name} that have a label of {self.name} have the same; expected at least two "
                "different ones: choose other labels or another text."
            )
        return tokenized

    def positions(self, tokenized: TokenizedCorpus, highest_order: int) -> Positions:
        """Tokens that have a label, with as many tokens on both sides as the highest order needs."""
        every = valid_positions(tokenized.ids, highest_order)
        labelled = np.concatenate(tokenized.symbols)[every.flat] >= 0
        return Positions(every.document[labelled], every.offset[labelled], every.flat[labelled])

    def labels(self, tokenized: TokenizedCorpus, orders: Sequence[int], device: torch.device) -> Iterator[LabelSet]:
        """Labels of the positions of the highest order, of every variable and order, one set after another."""
        positions, codes = self.positions(tokenized, max(orders)), ngram_ids(tokenized.symbols, max(orders), device)
        for variable in VARIABLES:
            for order in orders:
                yield ngram_labels(codes, positions, variable, order)


LABEL_KINDS: tuple[LabelKind, ...] = (
    TokenNgrams(),
    WordNgrams(),
    ByteStrings(),
    TokenLabels("classes", token_labels.classes),
    TokenLabels("bands", token_labels.bands),
    TokenLabels("places", token_labels.places),
    TokenLabels("sources", token_labels.origins),
    TokenLabels("languages", token_labels.column),
)
"""Every kind of label of a text but those of a column, which :func:`label_kind` makes."""


def label_kind(name: str) -> LabelKind:
    """Return the kind of label of that name.

    Raises:
        InputError: for an unknown name; the message lists the names there are.

    >>> label_kind("tokens").name
    'tokens'
    """
    if name.startswith(COLUMN):
        return TokenLabels(name, token_labels.column)
    for kind in LABEL_KINDS:
        if kind.name == name:
            return kind
    if of_series(name):
        raise InputError(f"labels was {name!r}, which are of time series; expected labels of a text: use SeriesSample.")
    names = ", ".join(kind.name for kind in LABEL_KINDS)
    raise InputError(f"labels was {name!r}; expected one of {names} or {COLUMN}NAME: choose one.")


def label_corpus(name: str, documents: int, seed: int, labels: str) -> Corpus:
    """The corpus of that name, with the column that labels of this kind need.

    Raises:
        InputError: as :func:`softh.text.corpus.load` does.
    """
    return load(name, documents, seed, label_columns(labels))

"""Text to documents, and documents to token ids."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from softh.errors import InputError
from softh.text import frozen, sources


@dataclass(frozen=True)
class Corpus:
    """A sample of documents, in a fixed order."""

    name: str
    texts: tuple[str, ...]
    digest: str
    """SHA-256 of the texts in order."""
    note: str
    """Origin and licence, one sentence."""
    sources: tuple[str, ...] = ()
    """What each text is a part of, such as a book; none where that is not known."""
    tokens: frozen.FrozenTokens | None = None
    """Token ids that the texts must have, where they are of a frozen sample."""
    labels: tuple[Any, ...] = ()
    """What a column says of each document, where one was asked for: a label, or spans with labels."""


class Words(NamedTuple):
    """Words of one document, between white space."""

    texts: tuple[str, ...]
    last_token: np.ndarray
    """[words] int64, index of the token that ends each."""


@dataclass(frozen=True)
class TokenizedCorpus:
    """Token ids of each document, truncated to one length, never packed."""

    ids: tuple[np.ndarray, ...]
    """int64 ids of the text alone, one array a document."""
    prefix: tuple[int, ...]
    """Special ids before every document, such as BOS or CLS; never counted as positions."""
    suffix: tuple[int, ...]
    """Special ids after it, such as SEP; never counted."""
    predicted_bytes: np.ndarray
    """[documents] UTF-8 bytes of text that the predicted tokens cover: without a prefix, all but the first token."""
    digest: str
    """SHA-256 of ids, prefix and suffix."""
    skipped: int
    """Documents left out because they are too short."""
    max_length: int
    """Most tokens the model reads of a document, special ones included."""
    words: tuple[Words, ...] = ()
    """Of every document where words were asked for, else none."""
    sources: tuple[str, ...] = ()
    """What every document is a part of, such as a book; none where that is not known."""
    kept: tuple[int, ...] = ()
    """Number of every document in the corpus."""
    symbols: tuple[np.ndarray, ...] = ()
    """Label of every token, int64, −1 where it has none; of every document where labels of tokens were asked for."""


def select_documents(tokenized: TokenizedCorpus, documents: Sequence[int] | np.ndarray) -> TokenizedCorpus:
    """The same text with some of its documents only."""
    each = ("ids", "words", "sources", "kept", "symbols")
    some = {name: tuple(values[at] for at in documents) for name in each if (values := getattr(tokenized, name))}
    digest = _digest_of_ids(tokenized.prefix, tokenized.suffix, some["ids"])
    covered = tokenized.predicted_bytes[np.asarray(documents, dtype=np.int64)]
    return replace(tokenized, **some, predicted_bytes=covered, digest=digest)


def predicted_tokens(tokenized: TokenizedCorpus) -> list[np.ndarray]:
    """Tokens of each document that a model predicts: without a prefix, all but the first."""
    return [ids if tokenized.prefix else ids[1:] for ids in tokenized.ids]


def load(name: str, documents: int, seed: int, columns: Sequence[str] = ()) -> Corpus:
    """Sample at most `documents` documents of a corpus; the seed fixes which, and in which order.

    Args:
        name: a corpus of :data:`softh.text.sources.SOURCES`: ``weymouth-nt`` (the default text, the same on every
            machine), ``python-docs`` (CPython's own help topics, which differ between its versions), ``c4``
            (streamed from the hub) or ``file:PATH`` with PATH a .jsonl, .txt (documents separated by blank lines) or
            .parquet file; the first two formats also as .xz or .gz; or the folder of a frozen sample.
        documents: most documents to sample; a smaller sample is a prefix of a larger one.
        seed: of the sample.
        columns: names of a column with labels, the first that the file has; what it says is part of the identity.

    Raises:
        InputError: for an unknown name, a missing or damaged file, no column of text, no document, or no network.

    Documents of a frozen sample keep their order, and must be tokenized as it was.

    >>> corpus = load("python-docs", documents=3, seed=0)
    >>> len(corpus.texts), corpus.name
    (3, 'python-docs')
    """
    return _corpus(sources.load(name, documents, seed, columns))


def sample(
    name: str, texts: Sequence[str], documents: int, seed: int, note: str, origins: Sequence[str] = ()
) -> Corpus:
    """Sample documents that are already in memory, as :func:`load` samples those of a file.

    origins: what each text is a part of, such as a book, where that is known.

    >>> sample("letters", ["a", "b", "c"], documents=2, seed=0, note="Three letters.").name
    'letters'
    """
    drawn = (sources.draw(values, documents, seed) for values in (texts, origins))
    return _corpus(sources.Sample(name, next(drawn), note, next(drawn)))


_BYTES_A_TOKEN = 3
"""Where words are labelled, a document is truncated to so many bytes for each token that it may have."""
_LONGEST_WORD = 25
"""Characters a word, in the mean, from which a text is taken to be in a script without spaces."""


def tokenize_words(corpus: Corpus, tokenizer: Any, max_length: int, highest_order: int) -> TokenizedCorpus:
    """Tokenize the first words of each document, the same whatever the tokenizer: those within 3 · `max_length` bytes.

    A word is what stands between white space; its position is the last token of it, which has read the whole word and
    nothing of the next. So all tokenizers have the same positions and the same words at them.

    Arguments as for :func:`tokenize`, and a document needs 2 · highest_order words.

    Raises:
        InputError: for a tokenizer without offsets or with tokens that reach into the next word, for text in a script
            without spaces, and when no document is left.
    """
    if not tokenizer.is_fast:
        raise InputError(
            "The tokenizer gives no offsets of its tokens; expected a fast tokenizer, which tells where words end: "
            "use --labels tokens."
        )
    room = max_length * _BYTES_A_TOKEN
    found = [_first_words(text, room) for text in corpus.texts]
    length = np.mean([len(word) for text in corpus.texts for word in text[:room].split()])
    if length > _LONGEST_WORD:
        raise InputError(
            f"{corpus.name} has {length:.0f} characters between white space; expected words with spaces "
            "between them: use --labels tokens for a script without spaces."
        )
    kept = [at for at, words in enumerate(found) if len(words) >= 2 * highest_order]
    if not kept:
        raise InputError(
            f"All {len(found)} documents of {corpus.name} have fewer than {2 * highest_order} words, too few for "
            f"n-grams of order {highest_order}: choose longer documents or lower orders."
        )
    prefix, suffix = special_ids(tokenizer)
    ids, covered, words = zip(
        *(_word_ids(corpus.texts[at], found[at], tokenizer, first=not prefix) for at in kept), strict=True
    )
    if corpus.tokens is not None:
        frozen.check_same(ids, max_length, corpus.tokens, words=True)
    return TokenizedCorpus(
        ids=ids,
        prefix=prefix,
        suffix=suffix,
        predicted_bytes=np.array(covered, dtype=np.int64),
        digest=_digest_of_ids(prefix, suffix, ids),
        skipped=len(found) - len(ids),
        max_length=max(len(part) for part in ids) + len(prefix) + len(suffix),
        words=words,
        sources=_sources(corpus, kept),
        kept=tuple(kept),
    )


def _first_words(text: str, room: int) -> list[re.Match[str]]:
    """Words that end within so many bytes."""
    within = text[:room].encode(errors="surrogatepass")[:room].decode(errors="ignore")
    words = list(re.finditer(r"\S+", text[: len(within) + 1]))
    return [word for word in words if word.end() <= len(within)]


def _word_ids(
    text: str, matches: Sequence[re.Match[str]], tokenizer: Any, *, first: bool
) -> tuple[np.ndarray, int, Words]:
    """Ids of the text up to its last word, the bytes that they cover (as :func:`_document_ids`), and the words."""
    text = text[: matches[-1].end()]
    encoded = _encode(tokenizer, text)
    begin, end = np.array(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2).T
    ends = np.array([match.end() for match in matches])
    last = np.searchsorted(begin, ends) - 1
    for word, token in zip(matches, last, strict=True):
        if token < 0 or text[word.end() : end[token]].strip():
            raise InputError(
                f"A token of the tokenizer reaches beyond the word {word[0][:20]!r}; expected tokens that end with "
                "words: use --labels tokens."
            )
    ids = np.array(encoded["input_ids"], dtype=np.int64)
    covered = text[end[0] if first else 0 :]
    return ids, len(covered.encode(errors="surrogatepass")), Words(tuple(match[0] for match in matches), last)


def token_offsets(tokenized: TokenizedCorpus, corpus: Corpus, tokenizer: Any) -> list[np.ndarray]:
    """First and one past the last character of every token of every document, each [tokens, 2] int64.

    Raises:
        InputError: for a tokenizer without offsets.
    """
    if not tokenizer.is_fast:
        raise InputError(
            "The tokenizer gives no offsets of its tokens; expected a fast tokenizer, which tells where tokens are in "
            "the text: use --labels tokens."
        )
    found = []
    for number, ids in zip(tokenized.kept, tokenized.ids, strict=True):
        text = corpus.texts[number]
        encoded = _encode(tokenizer, text[: len(ids) * 32])
        if list(encoded["input_ids"][: len(ids)]) != ids.tolist():
            encoded = _encode(tokenizer, text)
        found.append(np.array(encoded["offset_mapping"][: len(ids)], dtype=np.int64).reshape(-1, 2))
    return found


def tokenize(corpus: Corpus, tokenizer: Any, max_length: int, highest_order: int) -> TokenizedCorpus:
    """Tokenize each document, truncated to `max_length` tokens with the special tokens that the tokenizer adds.

    Special tokens that are spelled out in a text are read as text. Documents of fewer than 2 · highest_order tokens
    have no position with an n-gram of that order on both sides and are left out.

    Args:
        corpus: documents.
        tokenizer: a tokenizer of transformers.
        max_length: most tokens of a document, special ones included.
        highest_order: highest n-gram order of the labels.

    Raises:
        InputError: when `max_length` is too short or no document is left.

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> words = Tokenizer(models.WordLevel({"<unk>": 0, "to": 1, "be": 2, "or": 3, "not": 4}, unk_token="<unk>"))
    >>> words.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    >>> hamlet = sample("hamlet", ["to be or not to be"], 1, 0, "Shakespeare.")
    >>> tokenize(hamlet, tokenizer, max_length=5, highest_order=1).ids[0].tolist()
    [1, 2, 3, 4, 1]
    """
    prefix, suffix = special_ids(tokenizer)
    room = max_length - len(prefix) - len(suffix)
    least = 2 * highest_order
    if room < least:
        raise InputError(
            f"context was {max_length} tokens; orders up to {highest_order} need {least} of text "
            f"beside {len(prefix) + len(suffix)} special tokens: try --context {max(256, max_length * 4)}."
        )
    documents = [_document_ids(text, tokenizer, room, first=not prefix) for text in corpus.texts]
    kept = [number for number, (ids, _) in enumerate(documents) if len(ids) >= least]
    long_enough = [documents[number] for number in kept]
    if not long_enough:
        raise InputError(
            f"All {len(documents)} documents of {corpus.name} have fewer than {least} tokens, too few for n-grams of "
            f"order {highest_order}: choose longer documents or lower orders."
        )
    ids = tuple(ids for ids, _ in long_enough)
    if corpus.tokens is not None:
        frozen.check_same(ids, max_length, corpus.tokens, words=False)
    return TokenizedCorpus(
        ids=ids,
        prefix=prefix,
        suffix=suffix,
        predicted_bytes=np.array([covered for _, covered in long_enough], dtype=np.int64),
        digest=_digest_of_ids(prefix, suffix, ids),
        skipped=len(documents) - len(long_enough),
        max_length=max_length,
        sources=_sources(corpus, kept),
        kept=tuple(kept),
    )


def _sources(corpus: Corpus, kept: Sequence[int]) -> tuple[str, ...]:
    return tuple(corpus.sources[number] for number in kept) if corpus.sources else ()


def _corpus(sample: sources.Sample) -> Corpus:
    texts = sample.texts
    if not texts:
        raise InputError(f"{sample.name} holds no document with text; expected at least one: choose another corpus.")
    said = [json.dumps(label, sort_keys=True, default=str) for label in sample.labels]
    digest = _digest(text.encode(errors="surrogatepass") for text in (*texts, *said))
    return Corpus(
        sample.name, tuple(texts), digest, sample.note, tuple(sample.sources), sample.tokens, tuple(sample.labels)
    )


def _digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over the parts, each after its length so that no two sequences of parts agree."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _digest_of_ids(prefix: Sequence[int], suffix: Sequence[int], ids: Sequence[np.ndarray]) -> str:
    return _digest(np.asarray(part, dtype="<i8").tobytes() for part in (prefix, suffix, *ids))


def special_ids(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer itself puts before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return tuple(whole[:start]), tuple(whole[start + len(plain) :])
    return (), ()


def _document_ids(text: str, tokenizer: Any, room: int, *, first: bool) -> tuple[np.ndarray, int]:
    """Ids of the first `room` tokens, and the bytes they cover; less those of the first token if `first`.

    The ids end between characters, where byte tokens would split one. A first character that is split counts as
    covered by the first token.
    """
    encoded = _encode(tokenizer, text[: room * 32])  # a book has far more text than fits
    if len(encoded["input_ids"]) < 2 * room and len(text) > room * 32:
        encoded = _encode(tokenizer, text)
    ids, offsets = encoded["input_ids"], encoded.get("offset_mapping")
    end = min(room, len(ids))
    if offsets is None:
        covered = tokenizer.decode(ids[int(first) : end], clean_up_tokenization_spaces=False)
    else:
        while max(0, room - 4) < end < len(ids) and offsets[end][0] < offsets[end - 1][1]:
            end -= 1
        covered = text[offsets[0][1] if first else 0 : offsets[end - 1][1]] if end else ""
    return np.array(ids[:end], dtype=np.int64), len(covered.encode(errors="surrogatepass"))


def _encode(tokenizer: Any, text: str) -> Any:
    return tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=tokenizer.is_fast,
        verbose=False,
    )

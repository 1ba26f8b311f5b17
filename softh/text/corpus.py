"""Text becomes documents, and documents become windows of token ids."""

import hashlib
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softh.errors import InputError
from softh.text import sources


@dataclass(frozen=True)
class Corpus:
    """A sample of documents, in a fixed order."""

    name: str
    texts: tuple[str, ...]
    digest: str
    """SHA-256 of the texts in order."""
    note: str
    """Where they come from and under which licence, one sentence."""


@dataclass(frozen=True)
class Windows:
    """Token ids of each document, truncated once, never packed."""

    ids: tuple[np.ndarray, ...]
    """int64 ids of the text alone, one array a document."""
    prefix: tuple[int, ...]
    """Special ids fed before every document, such as BOS or CLS; never counted as positions."""
    suffix: tuple[int, ...]
    """Special ids fed after it, such as SEP; never counted."""
    predicted_bytes: np.ndarray
    """[documents] UTF-8 bytes of text that the predicted tokens cover: without a prefix, all but the first token."""
    digest: str
    """SHA-256 of ids, prefix and suffix."""
    skipped: int
    """Documents left out because they are too short."""
    context: int
    """Tokens fed at most, special ones included."""

    @property
    def bos(self) -> int | None:
        """The id before the text, or None."""
        return self.prefix[-1] if self.prefix else None


def load(name: str, documents: int, seed: int) -> Corpus:
    """Sample at most ``documents`` documents; the seed fixes which and in which order.

    name: ``python-docs`` (CPython's own topics), ``c4`` (streamed from the hub) or ``file:PATH`` with PATH a .jsonl,
    .txt (documents apart by blank lines) or .parquet file; the first two also as .xz or .gz.
    Errors: InputError for an unknown name, a missing or damaged file, no text column, no document, no network.
    """
    if name == "python-docs":
        note = f"Help topics of CPython {platform.python_version()}, PSF licence."
        return _corpus(name, _sample(sources.python_docs(), documents, seed), note)
    if name == "c4":
        note = f"Validation split of allenai/c4 (en), ODC-BY, shuffled among {sources.BUFFER:,} streamed documents."
        return _corpus(name, sources.c4(documents, seed), note)
    if not name.startswith("file:"):
        raise InputError(f"corpus was {name!r}; expected python-docs, c4 or file:PATH: choose one.")
    path = Path(name.removeprefix("file:")).expanduser()
    texts, column = sources.file(path)
    sample = _sample(texts, documents, seed)
    note = f"{len(sample):,} of {len(texts):,} documents of {path.name}, column {column}; its licence is its owner's."
    return _corpus(sources.unpacked(path).stem, sample, note)


def sample(name: str, texts: Sequence[str], documents: int, seed: int, note: str) -> Corpus:
    """Sample documents that are already in memory, as :func:`load` samples those of a file."""
    return _corpus(name, _sample(texts, documents, seed), note)


def windows(corpus: Corpus, tokenizer: Any, context: int, highest_order: int) -> Windows:
    """Tokenize each document, truncated to ``context`` tokens with the special tokens that the tokenizer adds.

    Special tokens that are spelled out in a text are read as text. Documents of fewer than 2 · highest_order tokens
    have no position with both labels and are left out.
    Errors: InputError when the context is too short or no document is left.
    """
    prefix, suffix = special(tokenizer)
    room = context - len(prefix) - len(suffix)
    least = 2 * highest_order
    if room < least:
        raise InputError(
            f"context was {context} tokens; orders up to {highest_order} need {least} of text "
            f"beside {len(prefix) + len(suffix)} special tokens: try --context {max(256, context * 4)}."
        )
    read = [_window(text, tokenizer, room, first=not prefix) for text in corpus.texts]
    kept = [(ids, covered) for ids, covered in read if len(ids) >= least]
    if not kept:
        raise InputError(
            f"All {len(read)} documents of {corpus.name} have fewer than {least} tokens, too few for n-grams of "
            f"order {highest_order}: choose longer documents or lower orders."
        )
    ids = tuple(ids for ids, _ in kept)
    return Windows(
        ids=ids,
        prefix=prefix,
        suffix=suffix,
        predicted_bytes=np.array([covered for _, covered in kept], dtype=np.int64),
        digest=_digest(np.asarray(part, dtype="<i8").tobytes() for part in (prefix, suffix, *ids)),
        skipped=len(read) - len(kept),
        context=context,
    )


def _corpus(name: str, texts: Sequence[str], note: str) -> Corpus:
    if not texts:
        raise InputError(f"{name} holds no document with text; expected at least one: choose another corpus.")
    return Corpus(name, tuple(texts), _digest(text.encode(errors="surrogatepass") for text in texts), note)


def _sample(texts: Sequence[str], documents: int, seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(texts))
    return [texts[place] for place in order[:documents]]


def _digest(parts: Iterable[bytes]) -> str:
    """SHA-256 over the parts, each after its length so that no two sequences of parts agree."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def special(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids that the tokenizer itself puts before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return tuple(whole[:start]), tuple(whole[start + len(plain) :])
    return (), ()


def _window(text: str, tokenizer: Any, room: int, *, first: bool) -> tuple[np.ndarray, int]:
    """Ids of the first ``room`` tokens, and the bytes they cover; less those of the first token if ``first``.

    A window ends between characters, where byte tokens would split one. A first character that is split counts as
    covered by the first token.
    """
    encoded = _encode(tokenizer, text[: room * 32])  # a book has far more text than a window needs
    if len(encoded["input_ids"]) < 2 * room and len(text) > room * 32:
        encoded = _encode(tokenizer, text)
    ids, offsets = encoded["input_ids"], encoded.get("offset_mapping")
    cut = min(room, len(ids))
    if offsets is None:
        covered = tokenizer.decode(ids[int(first) : cut], clean_up_tokenization_spaces=False)
    else:
        while max(0, room - 4) < cut < len(ids) and offsets[cut][0] < offsets[cut - 1][1]:
            cut -= 1
        covered = text[offsets[0][1] if first else 0 : offsets[cut - 1][1]] if cut else ""
    return np.array(ids[:cut], dtype=np.int64), len(covered.encode(errors="surrogatepass"))


def _encode(tokenizer: Any, text: str) -> Any:
    return tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=tokenizer.is_fast,
        verbose=False,
    )

"""Labels of single tokens: classes, frequency bands, places, sources, and columns of a corpus, by document or by span.

Every function returns the label of every token of every document, numbered from 0, and -1 where a token has none.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softh.errors import InputError
from softh.text.corpus import Corpus, TokenizedCorpus, token_offsets

log = logging.getLogger(__name__)

Symbols = list[NDArray[np.int64]]
BANDS = 5
CLASSES = ("function", "content", "number", "punctuation", "code", "white space")
_ENGLISH = """
a about above across after against all along although am among an and another any anybody anyone anything are around
as at be because been before behind being below beneath beside besides between beyond both but by can cannot could
despite did do does doing done down during each either enough every everybody everyone everything except few for
from had has have having he her here hers herself him himself his how however i if in inside into is it its itself
less like many may me might mine more most much must my myself near neither no nobody none nor not nothing of off on
once one only onto or other others ought our ours ourselves out outside over own past per same shall she should
since so some somebody someone something such than that the their theirs them themselves then there therefore these
they this those though through throughout thus till to too toward towards under unless until up upon us was we were
what whatever when whenever where whereas wherever whether which whichever while who whoever whom whose why will
with within without would yet you your yours yourself yourselves aren't can't couldn't didn't doesn't don't hadn't
hasn't haven't he's i'd i'll i'm i've isn't it's let's shouldn't that's there's they're wasn't we're weren't what's
won't wouldn't you're
"""
FUNCTION_WORDS = frozenset(_ENGLISH.split())
"""English: articles, pronouns, prepositions, conjunctions, auxiliaries and particles."""
_WORD, _NUMBER = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*"), re.compile(r"\d+(?:[.,:/]\d+)*")
_CODE = re.compile(
    r"_\w|\w_|\w\(|::|->|=>|[=!<>+*]=|\w=\w|[{}\\`@|]|</|/>|^<\w"
    r"|(?<!M)(?<!Ma)[a-z][A-Z]|[A-Za-z]\d|\d(?!(?:st|nd|rd|th|s)\b)[A-Za-z]|\w\.\w+[(.]\w"
)
"""What makes code of characters between white space: an underscore, a call, an operator, an inner capital."""


def classes(corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """Class of every token, a number of :data:`CLASSES`, by the word that its last character is in."""
    return _of_characters([character_classes(corpus.texts[at]) for at in tokenized.kept], corpus, tokenized, tokenizer)


def bands(corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """Frequency band of every token: 0 for the commonest, which make a fifth of this text, to 4 for the rarest."""
    kinds, dense, count = np.unique(np.concatenate(tokenized.ids), return_inverse=True, return_counts=True)
    order = np.lexsort((kinds, -count))
    middle = (count[order].cumsum() - count[order] / 2) / count.sum()
    band = np.empty(len(kinds), dtype=np.int64)
    band[order] = np.minimum((middle * BANDS).astype(np.int64), BANDS - 1)
    return _split(band[dense.reshape(-1)], tokenized)


def places(corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """Octave of the number of every token in its document: tokens 1, 2 to 3, 4 to 7, and so on."""
    return [np.log2(np.arange(1, len(ids) + 1)).astype(np.int64) for ids in tokenized.ids]


def origins(corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """What the document of every token is a part of."""
    return column(replace(corpus, labels=corpus.labels or corpus.sources), tokenized, tokenizer)


def column(corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """What a column says: of all tokens of a document one label, or of spans, of characters or of tokens.

    A span is {"start", "end", "label"} in characters or {"token_start", "token_end", "label"} in tokens, the end not
    included. A token has the label of the span that holds its last character that is not white space, whatever else of
    it the span holds; a span that holds the last character of no token labels nothing, which a warning counts.
    """
    if len(corpus.labels) != len(corpus.texts):
        raise InputError(
            f"{corpus.name} was sampled without a column of labels; expected one: name the corpus, or sample it with "
            "`columns`."
        )
    said = [corpus.labels[at] for at in tokenized.kept]
    names = sorted({name for value in said for name in _names(value)})
    number = {name: place for place, name in enumerate(names)}
    offsets = token_offsets(tokenized, corpus, tokenizer) if any(isinstance(value, list) for value in said) else None
    found, without = [], 0
    for at, (value, ids) in enumerate(zip(said, tokenized.ids, strict=True)):
        if not isinstance(value, list):
            found.append(np.full(len(ids), -1 if value is None else number[_text(value)], dtype=np.int64))
            continue
        assert offsets is not None
        labels, empty = _of_spans(value, corpus.texts[tokenized.kept[at]], offsets[at], number, tokenized.kept[at])
        found.append(labels)
        without += empty
    if without:
        log.warning(
            "%d spans hold the last character of no token and label nothing: tokens are larger than they are.", without
        )
    return found


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [_text(span["label"]) for span in value if isinstance(span, Mapping) and span.get("label") is not None]
    return [] if value is None else [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, Mapping | list):
        raise InputError(
            f"A label was {str(value)[:60]!r}; expected a text or number, or a list of spans with start, end and "
            "label: convert the column."
        )
    return str(value)


def _of_spans(
    spans: Sequence[Any], text: str, offsets: np.ndarray, number: Mapping[str, int], row: int
) -> tuple[NDArray[np.int64], int]:
    """Labels of the tokens of one document, and how many spans within them label none."""
    last = _last_characters(offsets, text)
    found, empty = np.full(len(offsets), -1, dtype=np.int64), 0
    read = int(offsets[-1, 1]) if len(offsets) else 0
    for span in spans:
        start, end, by_token = _bounds(span, row)
        if not by_token and end > len(text):
            raise InputError(
                f"A span of document {row + 1} ends at character {end:,}, and its text has {len(text):,}; expected "
                "spans within the text: correct them."
            )
        inside = np.zeros(len(found), dtype=bool)
        if by_token:
            inside[start:end] = True
        else:
            inside = (last >= start) & (last < end)
        if (found[inside] >= 0).any():
            raise InputError(
                f"Spans of document {row + 1} overlap at {start:,} to {end:,}; expected one label a character: keep "
                "one of them, or make columns of both."
            )
        found[inside] = number[_text(span["label"])]
        empty += not inside.any() and not by_token and end <= read
    return found, empty


def _bounds(span: Any, row: int) -> tuple[int, int, bool]:
    """Start and end of a span, and whether they are of tokens."""
    names = span.keys() if isinstance(span, Mapping) else ()
    by_token = span.get("start") is None if isinstance(span, Mapping) else False
    first, last = ("token_start", "token_end") if by_token else ("start", "end")
    known = isinstance(span, Mapping) and all(type(span.get(name)) is int for name in (first, last))
    if not known or span.get("label") is None or not 0 <= span[first] < span[last]:
        raise InputError(
            f"A span of document {row + 1} was {str(span)[:80]!r}; expected start, end (or token_start, token_end) and "
            f"label, with 0 ≤ start < end: correct {'it' if names else 'the column'}."
        )
    return span[first], span[last], by_token


def character_classes(text: str) -> NDArray[np.int64]:
    """Class of every character [characters], a number of :data:`CLASSES`.

    >>> [CLASSES[each] for each in character_classes("a 7!")]
    ['function', 'white space', 'number', 'punctuation']
    """
    found = np.full(len(text), CLASSES.index("white space"), dtype=np.int64)
    for piece in re.finditer(r"\S+", text):
        if _CODE.search(piece[0]):
            found[piece.start() : piece.end()] = CLASSES.index("code")
            continue
        found[piece.start() : piece.end()] = CLASSES.index("punctuation")
        for word in _WORD.finditer(piece[0]):
            name = "function" if word[0].lower().replace("’", "'") in FUNCTION_WORDS else "content"
            found[piece.start() + word.start() : piece.start() + word.end()] = CLASSES.index(name)
        for figure in _NUMBER.finditer(piece[0]):
            found[piece.start() + figure.start() : piece.start() + figure.end()] = CLASSES.index("number")
    return found


def _of_characters(labels: Sequence[np.ndarray], corpus: Corpus, tokenized: TokenizedCorpus, tokenizer: Any) -> Symbols:
    """Labels of tokens from those of characters."""
    return [
        each[_last_characters(offsets, corpus.texts[at])]
        for each, offsets, at in zip(labels, token_offsets(tokenized, corpus, tokenizer), tokenized.kept, strict=True)
    ]


def _last_characters(offsets: np.ndarray, text: str) -> NDArray[np.int64]:
    """The last character of every token that is not white space; of one of white space alone its last."""
    last = np.empty(len(offsets), dtype=np.int64)
    for at, (begin, end) in enumerate(offsets.tolist()):
        stripped = begin + len(text[begin:end].rstrip())
        last[at] = max(0, (stripped if stripped > begin else end) - 1)
    return last


def _split(labels: np.ndarray, tokenized: TokenizedCorpus) -> Symbols:
    return np.split(labels, np.cumsum([len(ids) for ids in tokenized.ids])[:-1])

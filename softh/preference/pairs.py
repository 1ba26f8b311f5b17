"""Preference pairs: prompts with a chosen and a rejected answer, from a file or a data set of the hub."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from softh.errors import InputError
from softh.preference import sources

Messages = tuple[tuple[str, str], ...]
"""(role, text) of every turn; roles are system, user and assistant."""

IDENTICAL, EMPTY, DUPLICATE = "identical answers", "an empty answer", "told before"
MISSING_ANSWER, MISMATCHED_PROMPTS = "one answer alone", "answers to different prompts"
"""Reasons for excluding a row; they are stored with an estimate, so their words never change."""

_PROMPT = ("prompt", "instruction", "question")
_ROLES = {"human": "user", "gpt": "assistant", "prompter": "user", "model": "assistant"}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


class Pair(NamedTuple):
    """One prompt with the answer that was preferred and the one that was not."""

    prompt: Messages
    chosen: str
    rejected: str
    source: str
    """Source that the row names; empty without one."""
    row: int
    """Number of the row in the file or stream, from 0."""


@dataclass(frozen=True)
class Pairs:
    """A sample of pairs, in the order of their source."""

    name: str
    pairs: tuple[Pair, ...]
    digest: str
    """SHA-256 of prompts and answers in order."""
    note: str
    """Origin and number of rows, one sentence."""
    excluded: Mapping[str, int]
    """Reason → sampled rows that were excluded."""


def load(name: str, limit: int, seed: int) -> Pairs:
    """Sample rows of preference data and read pairs from them; the seed fixes which.

    Columns are chosen and rejected, each a text or a list of messages, and optionally prompt (or instruction, or
    question) and source. Texts that begin with ``Human:`` are read as conversations. Rows with identical, empty,
    missing or duplicate answers are counted and excluded.

    Args:
        name: a .jsonl (also .xz, .gz), .json or .parquet file, with or without ``file:`` before it, or the id of a
            data set of the hub, with ``@SPLIT`` where it is not the usual one.
        limit: most rows to sample.
        seed: of the sample.

    Raises:
        InputError: for an unknown name, missing columns, malformed rows, and when no pair is left.

    >>> import json, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/pairs.jsonl"
    ...     row = {"prompt": "Two and two?", "chosen": "Four.", "rejected": "Five."}
    ...     _ = open(path, "w").write(json.dumps(row))
    ...     load(path, limit=10, seed=0).pairs[0].chosen
    'Four.'
    """
    rows, total = sources.rows(name, limit, seed)
    title = sources.title(name)
    pairs, excluded = _pairs(rows, title)
    if not pairs:
        why = ", ".join(f"{count:,} with {reason}" for reason, count in excluded.items()) or "none at all"
        raise InputError(
            f"{title} holds no pair of two different answers (of {len(rows):,} rows: {why}); expected a chosen and a "
            "rejected answer in each row: choose another file."
        )
    sample = f"{len(rows):,} of {total:,} rows, a random sample" if total > len(rows) else f"all {total:,} rows"
    note = f"{sample.capitalize()} of {title}; its licence is its owner's."
    return Pairs(title, tuple(pairs), digest(pairs), note, dict(excluded))


def digest(pairs: Iterable[Pair]) -> str:
    """SHA-256 over all texts, each after its length."""
    total = hashlib.sha256()
    for pair in pairs:
        for text in (*(part for turn in pair.prompt for part in turn), pair.chosen, pair.rejected):
            content = text.encode(errors="surrogatepass")
            total.update(len(content).to_bytes(8, "little") + content)
    return total.hexdigest()


def _pairs(rows: Sequence[tuple[int, Mapping[str, Any]]], title: str) -> tuple[list[Pair], Counter[str]]:
    """The pairs among the rows, and how many rows were excluded for which reason."""
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if missing := [name for name in ("chosen", "rejected") if name not in columns]:
        raise InputError(
            f"{title} has columns {', '.join(columns[:12]) or 'none'}; expected chosen and rejected, and found no "
            f"{' and no '.join(missing)}: rename the columns, or give both answers of each pair."
        )
    pairs: list[Pair] = []
    excluded: Counter[str] = Counter()
    seen: set[tuple[Messages, str, str]] = set()
    for number, row in rows:
        pair = _pair(row, number, title)
        if isinstance(pair, str):
            excluded[pair] += 1
        elif pair[:3] in seen:
            excluded[DUPLICATE] += 1
        else:
            seen.add(pair[:3])
            pairs.append(pair)
    return pairs, excluded


def _pair(row: Mapping[str, Any], number: int, title: str) -> Pair | str:
    """The pair of a row, or the reason for excluding it."""
    answers = [row.get(name) for name in ("chosen", "rejected")]
    if any(answer is None for answer in answers):
        return MISSING_ANSWER
    location = f"Row {number + 1} of {title}"
    before, texts = zip(*(_answer(answer, location) for answer in answers), strict=True)
    if before[0] != before[1]:
        return MISMATCHED_PROMPTS
    prompt = before[0] or _prompt(next((row[name] for name in _PROMPT if row.get(name)), ""), location)
    chosen, rejected = (text.strip() for text in texts)
    if not chosen or not rejected:
        return EMPTY
    if chosen == rejected:
        return IDENTICAL
    source = row.get("source")
    return Pair(prompt, chosen, rejected, source if isinstance(source, str) else "", number)


def _answer(value: Any, location: str) -> tuple[Messages, str]:
    """The turns before an answer, where the answer's own column has them, and the answer."""
    turns = _turns(value, location)
    if isinstance(value, str) and len(turns) == 1 and turns[0][0] == "user":
        return (), value
    return turns[:-1], turns[-1][1] if turns else ""


def _prompt(value: Any, location: str) -> Messages:
    return tuple(turn for turn in _turns(value, location) if turn[1].strip())


def _turns(value: Any, location: str) -> Messages:
    """A text, a transcript or a list of messages as turns; a plain text is one turn of the user."""
    if isinstance(value, str):
        if not value.lstrip().startswith("Human:"):
            return (("user", value.strip()),) if value.strip() else ()
        parts = _TURN.split(value.strip())
        return tuple(
            (_ROLES.get(role.lower(), role.lower()), text.strip())
            for role, text in zip(parts[1::2], parts[2::2], strict=True)
        )
    turns = []
    for message in value if isinstance(value, Sequence) else [value]:
        role = message.get("role", message.get("from")) if isinstance(message, Mapping) else None
        text = message.get("content", message.get("value")) if isinstance(message, Mapping) else None
        if not isinstance(role, str) or not isinstance(text, str):
            kind = type(message).__name__
            raise InputError(
                f"{location} holds a {kind} where an answer or a prompt should be; expected a text, or a list of "
                "messages with role and content: convert it."
            )
        turns.append((_ROLES.get(role, role), text.strip()))
    return tuple(turns)

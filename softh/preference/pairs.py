"""Preference pairs: rows of a file or of a hub data set become prompts with a chosen and a rejected answer."""

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

IDENTICAL, EMPTY, REPEATED = "identical answers", "an empty answer", "told before"
MISSING, APART = "one answer alone", "answers to different prompts"

_PROMPT = ("prompt", "instruction", "question")
_ROLES = {"human": "user", "gpt": "assistant", "prompter": "user", "model": "assistant"}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


class Pair(NamedTuple):
    """One prompt with the answer that was preferred and the one that was not."""

    prompt: Messages
    chosen: str
    rejected: str
    source: str
    """Where the row says it comes from; empty when it does not."""
    row: int
    """Its place in the file or stream, from 0."""


@dataclass(frozen=True)
class Pairs:
    """A sample of pairs, in the order of their source."""

    name: str
    pairs: tuple[Pair, ...]
    digest: str
    """SHA-256 of prompts and answers in order."""
    note: str
    """Where they come from and how many there were, one sentence."""
    set_aside: Mapping[str, int]
    """Reason → sampled rows that are no pair."""


def load(name: str, limit: int, seed: int) -> Pairs:
    """Sample at most ``limit`` rows and make pairs of them; the seed fixes which.

    name: a .jsonl (also .xz, .gz), .json or .parquet file, with or without ``file:`` before it, or the id of a data
    set of the hub, with ``@SPLIT`` where it is not the usual one. Columns: chosen and rejected, each a text or a list
    of messages; prompt (or instruction, or question) and source if there are any. Texts that begin with ``Human:`` are
    read as conversations. Identical, empty, missing and repeated answers are counted and set aside.
    Errors: InputError for an unknown name, missing columns, malformed rows, and when no pair is left.
    """
    rows, total = sources.rows(name, limit, seed)
    title = sources.title(name)
    kept, aside = _sift(rows, title)
    if not kept:
        why = ", ".join(f"{count:,} with {reason}" for reason, count in aside.items()) or "none at all"
        raise InputError(
            f"{title} holds no pair of two different answers (of {len(rows):,} rows: {why}); expected a chosen and a "
            "rejected answer in each row: choose another file."
        )
    sample = f"{len(rows):,} of {total:,} rows, a random sample" if total > len(rows) else f"all {total:,} rows"
    note = f"{sample.capitalize()} of {title}; its licence is its owner's."
    return Pairs(title, tuple(kept), digest(kept), note, dict(aside))


def digest(pairs: Iterable[Pair]) -> str:
    """SHA-256 over all texts, each after its length."""
    total = hashlib.sha256()
    for pair in pairs:
        for text in (*(part for turn in pair.prompt for part in turn), pair.chosen, pair.rejected):
            content = text.encode(errors="surrogatepass")
            total.update(len(content).to_bytes(8, "little") + content)
    return total.hexdigest()


def _sift(rows: Sequence[tuple[int, Mapping[str, Any]]], title: str) -> tuple[list[Pair], Counter[str]]:
    """Rows that are pairs, and why the others are not."""
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if lacking := [name for name in ("chosen", "rejected") if name not in columns]:
        raise InputError(
            f"{title} has columns {', '.join(columns[:12]) or 'none'}; expected chosen and rejected, and found no "
            f"{' and no '.join(lacking)}: rename the columns, or give both answers of each pair."
        )
    kept: list[Pair] = []
    aside: Counter[str] = Counter()
    seen: set[tuple[Messages, str, str]] = set()
    for number, row in rows:
        found = _pair(row, number, title)
        if isinstance(found, str):
            aside[found] += 1
        elif found[:3] in seen:
            aside[REPEATED] += 1
        else:
            seen.add(found[:3])
            kept.append(found)
    return kept, aside


def _pair(row: Mapping[str, Any], number: int, title: str) -> Pair | str:
    """The pair of a row, or why it is none."""
    answers = [row.get(name) for name in ("chosen", "rejected")]
    if any(answer is None for answer in answers):
        return MISSING
    where = f"Row {number + 1} of {title}"
    before, texts = zip(*(_answer(answer, where) for answer in answers), strict=True)
    if before[0] != before[1]:
        return APART
    prompt = before[0] or _prompt(next((row[name] for name in _PROMPT if row.get(name)), ""), where)
    chosen, rejected = (text.strip() for text in texts)
    if not chosen or not rejected:
        return EMPTY
    if chosen == rejected:
        return IDENTICAL
    source = row.get("source")
    return Pair(prompt, chosen, rejected, source if isinstance(source, str) else "", number)


def _answer(value: Any, where: str) -> tuple[Messages, str]:
    """What came before an answer, as far as the answer's own column says, and the answer."""
    turns = _turns(value, where)
    if isinstance(value, str) and len(turns) == 1 and turns[0][0] == "user":
        return (), value
    return turns[:-1], turns[-1][1] if turns else ""


def _prompt(value: Any, where: str) -> Messages:
    return tuple(turn for turn in _turns(value, where) if turn[1].strip())


def _turns(value: Any, where: str) -> Messages:
    """A text, a transcript or a list of messages as turns; a plain text is one turn of the user."""
    if isinstance(value, str):
        if not value.lstrip().startswith("Human:"):
            return (("user", value.strip()),) if value.strip() else ()
        parts = _TURN.split(value.strip())
        return tuple(
            (_ROLES.get(who.lower(), who.lower()), text.strip())
            for who, text in zip(parts[1::2], parts[2::2], strict=True)
        )
    turns = []
    for message in value if isinstance(value, Sequence) else [value]:
        role = message.get("role", message.get("from")) if isinstance(message, Mapping) else None
        text = message.get("content", message.get("value")) if isinstance(message, Mapping) else None
        if not isinstance(role, str) or not isinstance(text, str):
            kind = type(message).__name__
            raise InputError(
                f"{where} holds a {kind} where an answer or a prompt should be; expected a text, or a list of messages "
                "with role and content: convert it."
            )
        turns.append((_ROLES.get(role, role), text.strip()))
    return tuple(turns)

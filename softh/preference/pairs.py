"""Preference pairs: prompts with a chosen and a rejected answer, from a file or a data set of the hub."""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from softh.errors import InputError
from softh.preference import sources
from softh.preference.conversations import (
    MALFORMED,
    NOT_TEXT,
    TOOL_CALL,
    ExcludedError,
    Messages,
    decoded,
    history,
    turns,
)  # fmt: skip
from softh.preference.reasons import reason_text

log = logging.getLogger(__name__)

IDENTICAL, EMPTY, DUPLICATE = "identical answers", "an empty answer", "told before"
MISSING_ANSWER, MISMATCHED_PROMPTS = "one answer alone", "answers to different prompts"
OTHER_PROMPT = "a prompt that is not that of its answers"
"""Reasons for excluding a row; they are stored with an estimate, so their words never change."""

ANSWERS = (
    ("chosen", "rejected"), ("chosen_response", "rejected_response"), ("response_chosen", "response_rejected"),
    ("response_j", "response_k"),
)  # fmt: skip
"""Columns of the preferred answer and of the other one; the first two that a table has are read."""
_PROMPT = ("prompt", "instruction", "question", "query", "input", "context")
"""Columns of the prompt. Texts of several are joined, one below the other, unless one contains the other."""
_CONVERSATION = ("conversations", "conversation", "messages")
_SYSTEM = ("system", "system_prompt")
_MEDIA = ("images", "image", "videos", "video", "audios", "audio")
_KNOWN = {
    *_PROMPT,
    *_CONVERSATION,
    *_SYSTEM,
    *_MEDIA,
    "history",
    "tools",
    "source",
    *(n for two in ANSWERS for n in two),
}
_ABOUT = re.compile(
    r"(?:.*_)?(?:ids?|uuid|index|hash|url|date|time|timestamp|split|lang|language|license|licence|tags?|topics?|domain"
    r"|task|subset|type|kind|category|status|order|source|origin|dataset|name|title|author|annotator|worker|subreddit)"
    r"|.*(?:score|rating|rank|margin|label|model|policy|reason|rationale|critique|feedback|comment|metadata|preference)s?"
    r"|(?:chosen|rejected|original|raw|generation|completion|response|output|answer|candidate)s?(?:_.*)?"
)
"""Names of columns that tell about a pair and are never part of its prompt."""


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

    Columns are chosen and rejected, each a text, a message or a list of messages, with or without the turns before the
    answer; for the prompt prompt, instruction, question, query, input, context, conversations, messages, history and
    system; and source. docs/formats.md has the whole table. Texts that begin with ``Human:`` are read as
    conversations. Rows with identical, empty, missing, duplicate or unreadable answers are counted and excluded.

    Args:
        name: a .jsonl (also .xz, .gz), .json or .parquet file, with or without ``file:`` before it, or the id of a
            data set of the hub, with ``@SPLIT`` where it is not the usual one.
        limit: most rows to sample.
        seed: of the sample.

    Raises:
        InputError: for an unknown name, missing columns, prompts in a column that is not known, and when no pair is
            left.

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
        why = ", ".join(f"{count:,} with {reason_text(reason)}" for reason, count in excluded.items()) or "none at all"
        raise InputError(
            f"{title} holds no pair of two different answers (of {len(rows):,} rows: {why}); expected a chosen and a "
            "rejected answer in each row: choose another file."
        )
    sample = f"{len(rows):,} of {total:,} rows, a random sample" if total > len(rows) else f"all {total:,} rows"
    note = f"{sample.capitalize()} of {title}; its licence is its owner's."
    if unused := _unused(rows, pairs, title):
        note += f" Columns that were not read: {', '.join(unused)}."
        log.warning("%s of %s: columns that are not read as part of the prompt.", ", ".join(unused), title)
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
    answers = _answer_columns(rows, title)
    pairs: list[Pair] = []
    excluded: Counter[str] = Counter()
    seen: set[tuple[Messages, str, str]] = set()
    malformed = ""
    for number, row in rows:
        try:
            pair = _pair(row, answers, number)
        except ExcludedError as error:
            excluded[error.reason] += 1
            if error.reason == MALFORMED:
                malformed = malformed or f"Row {number + 1} of {title} holds a {error.kind}"
            continue
        if pair[:3] in seen:
            excluded[DUPLICATE] += 1
        else:
            seen.add(pair[:3])
            pairs.append(pair)
    if not pairs and malformed and excluded.total() == excluded[MALFORMED]:
        raise InputError(
            f"{malformed} where an answer or a prompt should be; expected a text, or a list of messages with role and "
            "content: convert it."
        )
    return pairs, excluded


def _answer_columns(rows: Sequence[tuple[int, Mapping[str, Any]]], title: str) -> tuple[str, str]:
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    for answers in ANSWERS:
        if set(answers) <= set(columns):
            return answers
    missing = [name for name in ANSWERS[0] if name not in columns]
    raise InputError(
        f"{title} has columns {', '.join(columns[:12]) or 'none'}; expected chosen and rejected, and found no "
        f"{' and no '.join(missing)}: rename the columns, or give both answers of each pair."
    )


def _pair(row: Mapping[str, Any], answers: tuple[str, str], number: int) -> Pair:
    """The pair of a row. Errors: ExcludedError."""
    _check_content(row, answers)
    before, texts = zip(*(_answer(row[name]) for name in answers), strict=True)
    asked = _prompt(row, texts)
    prompts = [_joined(asked, turns_before) for turns_before in before]
    if prompts[0] != prompts[1]:
        raise ExcludedError(MISMATCHED_PROMPTS)
    chosen, rejected = (text.strip() for text in texts)
    if not chosen or not rejected:
        raise ExcludedError(EMPTY)
    if chosen == rejected:
        raise ExcludedError(IDENTICAL)
    source = row.get("source")
    return Pair(_with_system(prompts[0], row), chosen, rejected, source if isinstance(source, str) else "", number)


def _check_content(row: Mapping[str, Any], answers: tuple[str, str]) -> None:
    """Errors: ExcludedError for a row without both answers, and for one with more than text."""
    if any(row.get(name) is None for name in answers):
        raise ExcludedError(MISSING_ANSWER)
    if any(row.get(name) not in (None, "", "[]", []) for name in _MEDIA):
        raise ExcludedError(NOT_TEXT)
    if row.get("tools") not in (None, "", "[]", []):
        raise ExcludedError(TOOL_CALL)


def _answer(value: Any) -> tuple[Messages, str]:
    """The turns before an answer, where its own column has them, and the answer. Errors: ExcludedError."""
    spoken = turns(value)
    if isinstance(decoded(value), str) and len(spoken) == 1 and spoken[0][0] == "user":
        return (), value
    if not spoken:
        return (), ""
    if spoken[-1][0] != "assistant":
        raise ExcludedError(MALFORMED, value)
    return spoken[:-1], spoken[-1][1]


def _prompt(row: Mapping[str, Any], answers: Sequence[str]) -> Messages:
    """Turns of the columns of the prompt, in the order of history, conversation and prompt. Errors: ExcludedError."""
    earlier = history(row.get("history"))
    conversation = next((turns(row[name]) for name in _CONVERSATION if row.get(name)), ())
    if (
        conversation
        and conversation[-1][0] == "assistant"
        and conversation[-1][1] in [text.strip() for text in answers]
    ):
        conversation = conversation[:-1]  # the conversation with one of the answers at its end
    asked: Messages = ()
    for name in _PROMPT:
        asked = _with_text(asked, tuple(turn for turn in turns(row.get(name)) if turn[1].strip()))
    if asked and asked[-1] in conversation:
        asked = ()
    return tuple(turn for turn in (*earlier, *conversation, *asked) if turn[1].strip())


def _with_text(asked: Messages, more: Messages) -> Messages:
    """A prompt with the turns of one more column: below its last turn, unless one of them contains the other."""
    if not asked or not more:
        return asked or more
    (role, text), addition = asked[-1], "\n".join(turn[1] for turn in more)
    if addition in "\n".join(turn[1] for turn in asked) or len(more) > 1:
        return asked
    if text in addition:
        return (*asked[:-1], (role, addition))
    return (*asked[:-1], (role, f"{text}\n{addition}"))


def _joined(asked: Messages, before: Messages) -> Messages:
    """The whole prompt: what the columns ask, then the turns before the answer.

    Turns that begin with one of the assistant continue the prompt; others are the whole conversation, which must hold
    the prompt. Errors: ExcludedError.
    """
    if not asked or before[: len(asked)] == asked:
        return before or asked
    if not before or before[0][0] == "assistant":
        return asked + before
    last, spoken = asked[-1][1], [text for _, text in before]
    if not any(last in text or text in last for text in spoken if text):
        raise ExcludedError(OTHER_PROMPT)
    return before


def _with_system(prompt: Messages, row: Mapping[str, Any]) -> Messages:
    text = next((row[name] for name in _SYSTEM if isinstance(row.get(name), str) and row[name].strip()), "")
    if not text or any(role == "system" for role, _ in prompt):
        return prompt
    return (("system", text.strip()), *prompt)


def _unused(rows: Sequence[tuple[int, Mapping[str, Any]]], pairs: Sequence[Pair], title: str) -> list[str]:
    """Columns with texts that are not read. Errors: InputError when no pair has a prompt, which must be in one."""
    columns = dict.fromkeys(
        name for _, row in rows for name in row if name not in _KNOWN and not _ABOUT.fullmatch(name)
    )
    texts = [name for name in columns if 2 * sum(_is_text(row.get(name)) for _, row in rows) > len(rows)]
    if texts and not any(role != "system" for pair in pairs for role, _ in pair.prompt):
        raise InputError(
            f"{title} has no prompt in a column that is known, and texts in {', '.join(texts[:6])}; expected prompt, "
            "instruction, question or conversations: rename the column of the prompt to prompt, or remove it if there "
            "is none."
        )
    return texts


def _is_text(value: Any) -> bool:
    """Whether a value may be part of a prompt: several words, or messages."""
    if isinstance(value, str):
        return len(value.split()) > 1
    return isinstance(value, list) and bool(value) and all(isinstance(part, Mapping) for part in value)

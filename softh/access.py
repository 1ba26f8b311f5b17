"""Who does something, whether they may, and the audit line of it; asked by whatever changes jobs, uploads or tables."""

import json
import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from softh import settings
from softh.errors import InputError

AUDIT = "audit.jsonl"
"""File of the data folder with one line of JSON for every job and upload, and for what is deleted or taken in."""
_LONGEST = 300
"""Characters of a value in a line: a name that somebody chose may be any length."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Person:
    """Who is at work. The default is whoever runs this machine: they may do everything."""

    name: str = ""
    """The address somebody signed in with; empty when nobody signs in."""
    place: str = "command line"
    refusal: str = ""
    """Why they may start and change nothing, in one sentence; empty when they may."""
    jobs: int | None = None
    """Open jobs at a time at most; None for no bound."""
    upload_bytes: int | None = None
    """Bytes of their uploads that are kept at most; None for no bound."""
    audited: bool = True
    """False where nothing at all is written."""


_find: Callable[[], Person] = Person


def ask(find: Callable[[], Person]) -> None:
    """Have `find` say who is at work in this process; the web process does so before its first page."""
    global _find  # noqa: PLW0603  (one process serves the pages or a terminal, for good)
    _find = find


def at_work() -> Person:
    """Who is at work: in the web process the reader whose page runs."""
    return _find()


def check() -> Person:
    """The person at work. Errors: InputError when they may not start or change anything."""
    person = at_work()
    if person.refusal:
        raise InputError(person.refusal)
    return person


@contextmanager
def act(what: str, data: Path | None = None, **facts: object) -> Generator[dict[str, object]]:
    """Let the person at work do something, and write an audit line that says how it went.

    what: in words, such as "submit job". facts: what is said of it, never contents or secrets; the block may add some.
    Errors: InputError when they may not.
    """
    outcome = "failed"
    try:
        check()
        yield facts
        outcome = "done"
    except InputError as error:
        outcome, facts["why"] = "refused", str(error)
        raise
    finally:
        _note(data or settings.data(), {"what": what, "outcome": outcome, **facts})


def _note(data: Path, facts: dict[str, object]) -> None:
    """Append one line, whole however many processes write."""
    person = at_work()
    short = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in facts.items()}
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": person.name,
        "from": person.place,
        **short,
    }
    log.info("%s: %s", line["what"], line["outcome"], extra={"facts": line})
    if not person.audited:
        return
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = os.open(data / AUDIT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(file)
    except OSError as error:
        raise InputError(
            f"The audit line could not be written to {data / AUDIT} ({error.strerror}): free some space or make it "
            "writable."
        ) from error

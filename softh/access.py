"""Who the current user is, what they may do, and the audit record of it.

Everything that changes jobs, uploads or tables asks here; by default nobody may change anything.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
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
    """A user and their permissions. The default is the owner of this machine, who may do everything."""

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


NOBODY = Person(
    place="unknown",
    refusal="Nobody is identified in this process, so nothing may be started or changed; expected the command line, a "
    "page with its reader, or code inside `softh.access.as_owner()`: use one of them.",
    audited=False,
)
"""The current user where the process has not said otherwise: may change nothing."""
_provider: Callable[[], Person] | None = None
_owner: ContextVar[bool] = ContextVar("softh_owner", default=False)


def set_identity_provider(provider: Callable[[], Person]) -> None:
    """Have `provider` identify the current user of this process.

    The web process gives the reader whose page runs; the command line and the processes of jobs give
    :class:`Person`, the owner of the machine. Without a provider nobody may change anything.
    """
    global _provider  # noqa: PLW0603  (a process serves pages or a terminal, for good)
    _provider = provider


@contextmanager
def as_owner() -> Generator[None]:
    """Act as the owner of this machine within the block, for code that runs outside the command line.

    Where a process has an identity provider, as the web process has, the provider decides all the same.
    """
    token = _owner.set(True)
    try:
        yield
    finally:
        _owner.reset(token)


def current_user() -> Person:
    """The current user: whom the identity provider names, else the owner inside :func:`as_owner`, else nobody."""
    if _provider is not None:
        return _provider()
    return Person() if _owner.get() else NOBODY


def require_write() -> Person:
    """The current user. Errors: InputError when they may not start or change anything."""
    person = current_user()
    if person.refusal:
        raise InputError(person.refusal)
    return person


@contextmanager
def audited(what: str, data: Path | None = None, **facts: object) -> Generator[dict[str, object]]:
    """Check permission, run the block, append an audit record of its outcome.

    what: in words, such as "submit job". facts: what is said of it, never contents or secrets; the block may add some.
    Errors: InputError when they may not.
    """
    outcome = "failed"
    try:
        require_write()
        yield facts
        outcome = "done"
    except InputError as error:
        outcome, facts["why"] = "refused", str(error)
        raise
    finally:
        _note(data or settings.data(), {"what": what, "outcome": outcome, **facts})


def _note(data: Path, facts: dict[str, object]) -> None:
    """Append one line, whole however many processes write."""
    person = current_user()
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
            os.write(file, _one_line(json.dumps(line, ensure_ascii=False)).encode() + b"\n")
        finally:
            os.close(file)
    except OSError as error:
        raise InputError(
            f"The audit line could not be written to {data / AUDIT} ({error.strerror}): free some space or make it "
            "writable."
        ) from error


def _one_line(text: str) -> str:
    """JSON on one line for every reader: what some take for the end of a line, or no file can hold, is written as JSON
    escapes it."""
    return re.sub("[\x7f-\x9f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)

"""Records of jobs in one SQLite file: their states, their progress, and the transitions between states."""

import json
import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.errors import InputError
from softh.locks import lock

FILE = "jobs.sqlite"
VERSION = 2
_FROM_1 = "ALTER TABLE jobs ADD COLUMN person TEXT NOT NULL DEFAULT '';"
SQL = Path(__file__).with_name("records.sql").read_text(encoding="utf-8")
WAITING = ("queued", "interrupted")
OPEN = (*WAITING, "running")
ENDED = ("done", "failed", "cancelled")
_FIRST = "state = 'interrupted' DESC, id"
"""Order in which waiting jobs run: interrupted ones first."""
_COLUMNS = (
    "id, kind, spec, title, options, state, deaths, submitted, started, ended, phase, done, total, phase_from, "
    "phase_began, updated, result, message, person"
)


@dataclass(frozen=True)
class Job:
    """One row of the table `jobs`; see records.sql for the meaning and the units of each."""

    id: int
    kind: str
    spec: str
    title: str
    options: str
    state: str
    deaths: int
    submitted: float
    started: float | None
    ended: float | None
    phase: str | None
    done: int | None
    total: int | None
    phase_from: int | None
    phase_began: float | None
    updated: float | None
    result: str | None
    message: str | None
    person: str
    place: int | None = None
    """Place in the queue, 1 for the next; None when it does not wait."""

    @property
    def settings(self) -> dict[str, Any]:
        """The specification as values."""
        return json.loads(self.spec)

    @property
    def share(self) -> float:
        """Fraction of the phase that is done, 0 to 1."""
        return min(1.0, (self.done or 0) / self.total) if self.total else 0.0

    @property
    def rate(self) -> float | None:
        """Steps per second since the first progress of the phase; None before the second."""
        if self.done is None or self.phase_began is None or self.updated is None:
            return None
        steps, seconds = self.done - (self.phase_from or 0), self.updated - self.phase_began
        return steps / seconds if steps > 0 and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds left of the phase at its rate so far; None without a rate."""
        return None if not self.rate or self.total is None else (self.total - (self.done or 0)) / self.rate


@contextmanager
def connect(folder: Path) -> Generator[sqlite3.Connection]:
    """A connection to the records of a folder, created when there are none; one transaction, durable when it ends.

    Errors: InputError when the folder cannot be written or the file is not a database.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / FILE, timeout=30, isolation_level="IMMEDIATE")) as connection:
            connection.row_factory = sqlite3.Row
            connection.text_factory = lambda content: content.decode(errors="replace")
            # A commit is on disk when it returns: no job is lost when the power fails.
            connection.execute("PRAGMA synchronous = FULL")
            if connection.execute("PRAGMA user_version").fetchone()[0] < VERSION:
                _create(folder, connection)
            with connection:
                yield connection
    except (sqlite3.DatabaseError, OSError) as error:
        raise InputError(
            f"The job records in {folder / FILE} cannot be used ({error}): free some space, make the folder writable, "
            "or move the file away."
        ) from error


def _create(folder: Path, connection: sqlite3.Connection) -> None:
    """Create the tables, or migrate older ones.

    One process at a time: SQLite does not wait when two switch to its write-ahead log.
    """
    with lock(folder / "jobs.lock"):
        connection.execute("PRAGMA journal_mode = WAL")
        old = connection.execute("PRAGMA user_version").fetchone()[0] == 1
        connection.executescript(f"BEGIN; {_FROM_1 if old else ''} {SQL} PRAGMA user_version = {VERSION}; COMMIT;")


def add(
    folder: Path,
    kind: str,
    spec: str,
    title: str,
    options: Mapping[str, Any],
    person: str = "",
    most: int | None = None,
) -> tuple[int, bool]:
    """Add a job unless an open one has the same kind and specification; returns its number and whether it is new.

    Errors: InputError when the person has `most` open jobs already.
    """
    with connect(folder) as connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute(
            "SELECT id FROM jobs WHERE kind = ? AND spec = ? AND state IN ('queued', 'running', 'interrupted')",
            (kind, spec),
        ).fetchone()
        if row:
            return int(row["id"]), False
        if most is not None:
            _check_room(connection, person, most)
        inserted = connection.execute(
            "INSERT INTO jobs (kind, spec, title, options, submitted, person) VALUES (?, ?, ?, ?, ?, ?)",
            (kind, spec, title, json.dumps(options, sort_keys=True), time.time(), person),
        )
        return int(inserted.lastrowid or 0), True


def _check_room(connection: sqlite3.Connection, person: str, most: int) -> None:
    query = "SELECT count(*) FROM jobs WHERE person = ? AND state IN ('queued', 'running', 'interrupted')"
    if (have := connection.execute(query, (person,)).fetchone()[0]) >= most:
        raise InputError(
            f"You have {have} open jobs; expected at most {most} at a time: wait until one ends, or cancel one."
        )


def rows(folder: Path, states: tuple[str, ...] = (*OPEN, *ENDED), limit: int = -1) -> list[Job]:
    """Jobs in some states: running ones first, then waiting ones in their order, then ended ones, latest first.

    limit: most jobs; negative for all.
    """
    marks = ", ".join("?" * len(states))
    with connect(folder) as connection:
        selected = connection.execute(
            f"SELECT {_COLUMNS}, CASE WHEN state IN ('queued', 'interrupted') THEN row_number() OVER ("
            f"PARTITION BY state IN ('queued', 'interrupted') ORDER BY {_FIRST}) END AS place FROM jobs "
            f"WHERE state IN ({marks}) ORDER BY state != 'running', place IS NULL, place, ended DESC, id DESC LIMIT ?",
            (*states, limit),
        ).fetchall()
    return [Job(**row) for row in selected]


def count(folder: Path, states: tuple[str, ...]) -> int:
    """How many jobs are in some states."""
    marks = ", ".join("?" * len(states))
    with connect(folder) as connection:
        return connection.execute(f"SELECT count(*) FROM jobs WHERE state IN ({marks})", states).fetchone()[0]


def one(folder: Path, number: int) -> Job:
    """The job of a number. Errors: InputError when there is none."""
    with connect(folder) as connection:
        row = connection.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise InputError(f"No job has the number {number}: choose one that `python -m softh jobs` shows.")
    return Job(**row)


def claim_next(folder: Path) -> int | None:
    """Set the first waiting job running, in one transaction, and return its number; None when none waits."""
    with connect(folder) as connection:
        row = connection.execute(
            "UPDATE jobs SET state = 'running', started = :now, updated = :now, phase = 'starting', done = NULL, "
            "total = NULL, phase_from = NULL, phase_began = NULL, message = NULL WHERE id = ("
            f"SELECT id FROM jobs WHERE state IN ('queued', 'interrupted') ORDER BY {_FIRST} LIMIT 1) RETURNING id",
            {"now": time.time()},
        ).fetchone()
    return None if row is None else int(row["id"])


def end(folder: Path, number: int, state: str, *, result: str | None = None, message: str | None = None) -> bool:
    """End a running job, once; False when it does not run."""
    return _change(
        folder,
        "state = :state, ended = :now, updated = :now, result = :result, message = :message",
        "id = :id AND state = 'running'",
        id=number,
        state=state,
        result=result,
        message=message,
    )


def interrupt(folder: Path, number: int, message: str, *, died: bool) -> bool:
    """Queue a running job again; `died` when its own process was killed, which counts towards MAX_CRASHES."""
    return _change(
        folder,
        "state = 'interrupted', updated = :now, message = :message, deaths = deaths + :died",
        "id = :id AND state = 'running'",
        id=number,
        message=message,
        died=int(died),
    )


def recover(folder: Path) -> None:
    """Queue jobs again that ran when the last worker ended, or cancel them where that was requested."""
    stopped = "Its worker ended before it did; it will run again."
    _change(folder, "state = 'cancelled', ended = :now", "state = 'running' AND asked_to_stop")
    _change(folder, "state = 'interrupted', message = :m", "state = 'running'", m=stopped)


def stop(folder: Path, number: int) -> bool:
    """Cancel a waiting job at once, or ask a running one to stop; False when it has ended."""
    waited = _change(
        folder, "state = 'cancelled', ended = :now", "id = :id AND state IN ('queued', 'interrupted')", id=number
    )
    return waited or _change(folder, "asked_to_stop = 1", "id = :id AND state = 'running'", id=number)


def drop(folder: Path, number: int) -> None:
    """Cancel a job that was asked to stop and that no worker runs any more."""
    _change(folder, "state = 'cancelled', ended = :now", "id = :id AND state = 'running' AND asked_to_stop", id=number)


def asked_to_stop(folder: Path, number: int) -> bool:
    """Whether a running job was cancelled."""
    with connect(folder) as connection:
        row = connection.execute("SELECT asked_to_stop FROM jobs WHERE id = ?", (number,)).fetchone()
    return row is None or bool(row["asked_to_stop"])


def advance(folder: Path, number: int, phase: str, done: int, total: int, note: str | None = None) -> None:
    """Record the progress of a running job, and in `note` which part of it runs."""
    new = "phase IS NOT :phase OR phase_began IS NULL"
    _change(
        folder,
        f"phase_from = CASE WHEN {new} THEN :done ELSE phase_from END, "
        f"phase_began = CASE WHEN {new} THEN :now ELSE phase_began END, "
        "phase = :phase, done = :done, total = :total, message = :note, updated = :now",
        "id = :id AND state = 'running'",
        id=number,
        phase=phase,
        done=done,
        total=total,
        note=note,
    )


def delete(folder: Path, number: int) -> bool:
    """Delete the record of an ended job; False when it has not ended."""
    with connect(folder) as connection:
        deleted = connection.execute(
            "DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed', 'cancelled')", (number,)
        )
    return bool(deleted.rowcount)


def events(folder: Path) -> list[tuple[int, float, str]]:
    """Every change of state in order: job, time in seconds since 1970, new state."""
    with connect(folder) as connection:
        return [tuple(row) for row in connection.execute("SELECT job, at, state FROM events ORDER BY rowid")]


def _change(folder: Path, changes: str, where: str, **values: object) -> bool:
    """Update the rows that match, in one transaction; True when there was one."""
    with connect(folder) as connection:
        changed = connection.execute(f"UPDATE jobs SET {changes} WHERE {where}", {"now": time.time(), **values})
    return changed.rowcount > 0


def waiting_and_running(folder: Path) -> dict[str, int]:
    """Number of open jobs by state."""
    counts: dict[str, int] = {}
    if (folder / FILE).exists():
        with connect(folder) as connection:
            counts = dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
    return {state: counts.get(state, 0) for state in OPEN}


def ended(folder: Path) -> dict[str, tuple[int, float]]:
    """Number of jobs that ever ended and their seconds in all, by state; deleted ones included."""
    totals: list[tuple[str, int, float]] = []
    if (folder / FILE).exists():
        with connect(folder) as connection:
            totals = connection.execute("SELECT state, jobs, seconds FROM ended_jobs").fetchall()
    return dict.fromkeys(ENDED, (0, 0.0)) | {state: (jobs, seconds) for state, jobs, seconds in totals}

"""Writing the store: one immutable file a run, and now and then all of them folded into the database."""

import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from softh import access
from softh.errors import InputError
from softh.locks import lock
from softh.store import atomic, plane, run_files, schema, score_files
from softh.store import connection as opening
from softh.store import share as shared

ORDER = {
    "models": "model",
    "checkpoints": "model, step, revision",
    "estimates": "model, created_at",
    "measures": "layer IS NOT NULL, estimate_id, layer, quantity, variable, ngram, correction",
    "benchmarks": "model, revision, task",
}
"""Table → the order its rows lie in: means over layers together, since most pages read nothing else."""


NEWER_SCORES = "FROM benchmarks ANTI JOIN scores USING (model, source) UNION ALL BY NAME FROM scores"


@dataclass(frozen=True)
class Packed:
    """What a pack did."""

    folded: int
    """Run files folded into the database and removed."""
    left_out: list[str]
    """One sentence for each run file that was left where it is."""


def save(record: dict[str, Any], data: Path) -> Path:
    """Store one estimate as data/runs/<estimate_id>.parquet, or on the share of SOFTH_RUNS, and return where it is.

    The record has the keys model, checkpoint, estimate (one row each of their tables; the estimate may leave out the
    digest, which is its checkpoint's) and measures (a list of rows without estimate_id). The file appears whole or not
    at all, and replaces an older one of the same id. Raises InputError when the disk is full or the folder cannot be
    written, ValueError for a record that breaks the rules of the tables.
    """
    digest = record["checkpoint"]["digest"]
    content = run_files.encode({**record, "estimate": {"digest": digest, **record["estimate"]}})
    target = data / schema.RUNS / f"{record['estimate']['estimate_id']}.parquet"
    with _in_words("The estimate could not be stored", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(target, content)
    hand_over(data, target.stem)
    return opening.run_file(data, target.stem) or target


def hand_over(data: Path, estimate_id: str) -> None:
    """Put an estimate that is in data/runs on the share of SOFTH_RUNS, if there is one; else it waits there."""
    target = data / schema.RUNS / f"{estimate_id}.parquet"
    if (share := shared.here()) and target.exists():
        share.offer([target])


def save_scores(rows: Sequence[Mapping[str, Any]], data: Path) -> Path:
    """Store rows of the table benchmarks as one file in data/scores and return its path.

    The same rows again are the same file. Raises InputError as :func:`save` does, ValueError for rows that break the
    rules of the table.
    """
    name, content = score_files.encode(rows)
    target = data / schema.SCORES / f"{name}.parquet"
    with (
        access.audited("take in scores", data, rows=len(rows)),
        _in_words("The scores could not be stored", target.parent),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(target, content)
    return target


def remove(data: Path, estimate_id: str) -> None:
    """Delete one's own estimate, the id in full; what is packed stays. Raises InputError when there is no such run."""
    target = opening.run_file(data, estimate_id)
    with access.audited("delete estimate", data, estimate=estimate_id):
        if target not in opening.sound_runs(data):
            raise InputError(
                f"{estimate_id} is no run in {data / schema.RUNS}; expected one of your own: it may be packed or gone."
            )
        with _in_words("The estimate could not be deleted", target.parent):
            if (share := shared.here()) and target.parent == share.folder:
                share.remove(target.name)
            target.unlink(missing_ok=True)
            atomic.sync(target.parent)


def remove_orphans(data: Path, older: float = 60) -> int:
    """Remove temporary files that killed writers left, older than so many seconds; returns how many.

    Those beside the database, which takes long to write, must be an hour old.
    """
    removed = 0
    for folder, age in ((data / schema.RUNS, older), (data / "decks", older), (data, max(older, 3600))):
        for path in folder.glob("*.tmp*"):
            with suppress(OSError):  # its writer ended in the meantime, or another process removed it
                if time.time() - path.stat().st_mtime >= age:
                    path.unlink()
                    removed += 1
    return removed


def check_writable(data: Path) -> None:
    """Raise InputError unless a run could be stored in data now; asked before long work starts."""
    folder = data / schema.RUNS
    with _in_words("No estimate could be stored", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"softh")


def pack(data: Path, scores: Sequence[Mapping[str, Any]] = ()) -> Packed:
    """Fold all sound runs and scores into a new database beside the old one, swap it in, and remove their files.

    scores are rows of the table benchmarks; they take the place of all rows of the same model and source. Readers go
    on reading what they opened, and runs saved meanwhile stay for the next pack. Raises InputError when another pack is
    at work, or when the disk is full or the folder cannot be written.

    With SOFTH_RUNS what waits in data/runs is put on the share first; the runs there are folded, and stay for others.
    """
    if share := shared.here():
        share.put(opening.waiting(data))
        share.fetch()
    with _in_words("The runs could not be packed", data):
        data.mkdir(parents=True, exist_ok=True)
        with _alone(data):
            folded = opening.sound_runs(data)
            files = {path: path.stat() for path in [*folded, *opening.sound_scores(data)]}
            if files or scores:
                _swap_in(data, data / schema.DATABASE, scores)
            for path, state in files.items():
                if not opening.on_share(path):
                    atomic.remove(path, state)
    return Packed(len(folded), opening.problems(data))


def publish(data: Path, target: str) -> int:
    """Write all tables, a share's runs among them, as one database to a file or a URL; how many bytes it has.

    Nothing here changes. A file, and an object of an object store, appears whole or not at all, in the place of an
    older one. Raises InputError.
    """
    opening.refresh()
    if place := shared.local(target):
        with _in_words("The tables could not be packed", place.parent):
            _swap_in(data, place, ())
        return place.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / schema.DATABASE
        _build(data, new, ())
        shared.publish(new, target)
        return new.stat().st_size


def _swap_in(data: Path, target: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    """Write all tables to a new database and give it the name of the old one."""
    with atomic.replacing(target) as new:
        try:
            _build(data, new, scores)
        finally:
            new.with_name(f"{new.name}.wal").unlink(missing_ok=True)  # DuckDB's, where the build failed


def _build(data: Path, new: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    with opening.connect(data) as connection:
        connection.register("scores", pl.DataFrame(scores, schema=schema.table("benchmarks").types))
        connection.execute(f"ATTACH {opening.quoted(new)} AS new; USE new; {schema.SQL} USE memory")
        for table, order in ORDER.items():
            rows = f"FROM {table}" if table != "benchmarks" else NEWER_SCORES
            connection.execute(f"INSERT INTO new.{table} BY NAME {rows} ORDER BY {order}")
        connection.execute(f"CREATE TABLE new.{plane.MEANS} AS FROM means ORDER BY estimate_id, ngram, correction")
        connection.execute("DETACH new")


@contextmanager
def _alone(data: Path) -> Generator[None]:
    """Hold the only pack of this folder; the system lets go when the process ends, however it ends."""
    with lock(data, wait=0) as taken:
        if not taken:
            raise InputError(f"Another pack is running in {data}; expected to be the only one: wait for it to end.")
        yield


@contextmanager
def _in_words(failure: str, folder: Path) -> Generator[None]:
    """Say what the system refused, and what helps. Nobody writes here who may not."""
    access.require_write()
    try:
        yield
    except (OSError, duckdb.IOException) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InputError(
            f"{failure} in {folder} ({reason}): free some space there or make it writable, "
            "or choose another folder with --data or SOFTH_DATA."
        ) from error

"""Writing the store: one immutable file for each run, and packing them into the database."""

import shutil
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
from softh.store import atomic, backup, connection, model_names, packed, plane, run_files, schema, score_files, share

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
    """Result of :func:`pack`."""

    folded: int
    """Run files whose rows are in the database now; they are removed."""
    invalid_files: list[str]
    """One sentence for each file that is invalid and stays where it is."""


def save(record: dict[str, Any], data: Path) -> Path:
    """Store one estimate as data/runs/<estimate_id>.parquet, or on the share of SOFTH_RUNS, and return where it is.

    The record has the keys model, checkpoint, estimate (one row each of their tables; the estimate may leave out the
    digest, which is its checkpoint's) and measures (a list of rows without estimate_id). The file appears whole or not
    at all, and replaces an older one of the same id. Where another model of this machine has the name of this one, this
    one gets a longer name. Raises InputError when the disk is full or the folder cannot be
    written, ValueError for a record that breaks the rules of the tables.
    """
    record = _with_own_name(record, data)
    content = run_files.encode(record)
    target = data / schema.RUNS / f"{record['estimate']['estimate_id']}.parquet"
    with _disk_errors("The estimate could not be stored", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(target, content)
    put_on_share(data, target.stem)
    return connection.run_file(data, target.stem) or target


def _with_own_name(record: dict[str, Any], data: Path) -> dict[str, Any]:
    names = model_names.candidates(record)
    if len(names) == 1:
        return record
    with suppress(InputError):  # tables that cannot be read keep no estimate from being stored
        stored = connection.query(data, model_names.STORED, names=list(names))
        return model_names.rename(record, model_names.choose(record, names, stored))
    return record


def put_on_share(data: Path, estimate_id: str) -> None:
    """Move an estimate of data/runs to the share of SOFTH_RUNS, if there is one and it answers."""
    target = data / schema.RUNS / f"{estimate_id}.parquet"
    if (remote := share.configured_share()) and target.exists():
        remote.put_briefly([target])


def save_scores(rows: Sequence[Mapping[str, Any]], data: Path) -> Path:
    """Store rows of the table benchmarks as one file in data/scores and return its path.

    The same rows again are the same file. Raises InputError as :func:`save` does, ValueError for rows that break the
    rules of the table.
    """
    name, content = score_files.encode(rows)
    target = data / schema.SCORES / f"{name}.parquet"
    with (
        access.audited("take in scores", data, rows=len(rows)),
        _disk_errors("The scores could not be stored", target.parent),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(target, content)
    return target


def remove(data: Path, estimate_id: str) -> None:
    """Delete the run file of an estimate, the id in full; packed rows stay. Raises InputError when there is none."""
    target = connection.run_file(data, estimate_id)
    with access.audited("delete estimate", data, estimate=estimate_id):
        if target not in connection.valid_runs(data):
            raise InputError(
                f"{estimate_id} is not a run in {data / schema.RUNS}; expected one of your own: it may be packed or "
                "deleted."
            )
        with _disk_errors("The estimate could not be deleted", target.parent):
            if (remote := share.configured_share()) and target.parent == remote.folder:
                remote.remove(target.name)
            target.unlink(missing_ok=True)
            atomic.sync(target.parent)


def remove_orphans(data: Path, older: float = 60) -> int:
    """Remove temporary files that killed writers left, older than so many seconds; returns how many.

    Those beside the database, which takes long to write, must be an hour old.
    """
    removed = 0
    for folder, age in ((data / schema.RUNS, older), (data / "decks", older), (data, max(older, 3600))):
        for path in (*folder.glob("*.tmp"), *folder.glob("*.tmp.wal")):
            with suppress(OSError):  # its writer ended in the meantime, or another process removed it
                if time.time() - path.stat().st_mtime >= age:
                    path.unlink()
                    removed += 1
    return removed + backup.remove_leftovers(data, max(older, 3600))


def check_writable(data: Path) -> None:
    """Raise InputError unless a run could be stored in data now; called before long work starts."""
    folder = data / schema.RUNS
    with _disk_errors("No estimate could be stored", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"softh")


def pack(data: Path, scores: Sequence[Mapping[str, Any]] = ()) -> Packed:
    """Write all valid runs and scores into a new database, put it in the place of the old one, and remove their files.

    scores are rows of the table benchmarks; they replace all rows of the same model and source. Readers go on reading
    what they opened, and runs saved meanwhile stay for the next pack. Raises InputError when another pack is running,
    or when the disk is full or the folder cannot be written.

    With SOFTH_RUNS the runs of data/runs are moved to the share first; the runs there are packed, and stay for others.
    """
    if remote := share.configured_share():
        remote.put(connection.pending_uploads(data))
        remote.fetch()
    with _disk_errors("The runs could not be packed", data):
        data.mkdir(parents=True, exist_ok=True)
        with _exclusive_pack(data):
            folded = connection.valid_runs(data)
            files = {path: path.stat() for path in [*folded, *connection.valid_scores(data)]}
            if files or scores:
                _replace_database(data, data / schema.DATABASE, scores)
            for path, state in files.items():
                if not connection.on_share(path):
                    atomic.remove(path, state)
    return Packed(len(folded), connection.warnings(data))


def publish(data: Path, target: str) -> int:
    """Write all tables, a share's runs included, as one database to a file or a URL; returns its bytes.

    The store does not change. A file, and an object of an object store, appears whole or not at all, in the place of an
    older one. Raises InputError.
    """
    connection.refresh()
    if place := share.local_path(target):
        with _disk_errors("The tables could not be packed", place.parent):
            _replace_database(data, place, ())
        return place.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / schema.DATABASE
        _build(data, new, ())
        share.upload(new, target)
        return new.stat().st_size


def _replace_database(data: Path, target: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    """Write all tables to a new database and put it in the place of the old one."""
    with atomic.replacing(target) as new:
        try:
            if "?" in str(new.absolute()):  # DuckDB takes the rest of such a path for options, and loses its log there
                _build_elsewhere(data, new, scores)
            else:
                _build(data, new, scores)
        finally:
            new.with_name(f"{new.name}.wal").unlink(missing_ok=True)  # DuckDB's, where the build failed


def _build_elsewhere(data: Path, new: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _build(data, Path(folder) / schema.DATABASE, scores)
        shutil.copyfile(Path(folder) / schema.DATABASE, new)


def _build(data: Path, new: Path, scores: Sequence[Mapping[str, Any]]) -> None:
    with connection.cursor(data) as tables, duckdb.connect() as writer:
        tables.register("scores", pl.DataFrame(scores, schema=schema.table("benchmarks").types))
        writer.execute(f"ATTACH {packed.quoted(new)} AS new; USE new; {schema.SQL} USE memory")
        for table, order in ORDER.items():
            rows = f"FROM {table}" if table != "benchmarks" else NEWER_SCORES
            _copy(tables, writer, f"{rows} ORDER BY {order}", f"INSERT INTO new.{table} BY NAME FROM arriving")
        means = "FROM means ORDER BY estimate_id, ngram, correction"
        _copy(tables, writer, means, f"CREATE TABLE new.{plane.MEANS} AS FROM arriving")
        models = "FROM estimate_models ORDER BY estimate_id"
        _copy(tables, writer, models, f"CREATE TABLE new.{packed.ESTIMATE_MODELS} AS FROM arriving")
        writer.execute("DETACH new")


def _copy(tables: duckdb.DuckDBPyConnection, writer: duckdb.DuckDBPyConnection, query: str, statement: str) -> None:
    """Stream the rows of a query into a statement that reads them as ``arriving``."""
    writer.register("arriving", tables.sql(query).to_arrow_reader(100_000))
    writer.execute(statement)
    writer.unregister("arriving")


@contextmanager
def _exclusive_pack(data: Path) -> Generator[None]:
    """Let one pack run at a time. Errors: InputError when another is running."""
    with lock(data, wait=0) as taken:
        if not taken:
            raise InputError(f"Another pack is running in {data}; expected to be the only one: wait for it to end.")
        yield


@contextmanager
def _disk_errors(failure: str, folder: Path) -> Generator[None]:
    """Check permission to write, and turn errors of the disk into an InputError with a remedy."""
    access.require_write()
    try:
        yield
    except (OSError, duckdb.OperationalError, duckdb.FatalException, duckdb.InternalException) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InputError(
            f"{failure} in {folder} ({reason}): free some space there or make it writable, "
            "or choose another folder with --data or SOFTH_DATA."
        ) from error

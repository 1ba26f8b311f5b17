"""Opening the store: the packed database read-only and the valid run files beside it, open until a file changes."""

import os
import re
import shutil
import tempfile
import weakref
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

import duckdb
import polars as pl

from softh import settings
from softh.errors import InputError
from softh.store import migrations, plane, run_files, schema, score_files
from softh.store.share import configured_share

VIEWS = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")
ESTIMATE_MODELS = "estimate_models"
"""Table of a packed database: the model of each estimate as its run described it. The table `models` has one row a
name; where a database has no such table, or a column later than it, that row is read."""
ATTEMPTS = 5
"""Attempts to open a store whose files change at the same time."""
_PATTERN = re.compile(r"[*?\[\\]|[\ud800-\udfff]")
"""Characters of a path that DuckDB takes for a pattern or a separator, and bytes that are not UTF-8."""
_FOLDERS = 4
"""Data folders whose stores stay open in a process."""
_open_stores: dict[Path, tuple[str, duckdb.DuckDBPyConnection]] = {}
"""Folder → its version and its connection, the last used at the end. Opening costs as much as several queries, so a
process keeps the stores of a few folders open; :func:`_cursor` alone reads and changes this."""
_opening = Lock()


def version(data: Path, *, runs: bool = True) -> str:
    """Digest of the names and states of the files of the store: it changes whenever a table does, and opens none.

    Without `runs` one that changes whenever a benchmark score does.
    """
    files = [database(data), *(_files(data) if runs else _scores(data))]
    states = [(path.name, *state) for path in files if (state := _state(path))]
    return sha256(repr(states).encode()).hexdigest()[:16]


def database(data: Path) -> Path:
    """The packed database of a folder: its own, or the shipped one where the user's default folder has none yet.

    The shipped one is only read. The first pack writes its rows into the user's own, which is read from then on.
    """
    own, shipped = data / schema.DATABASE, settings.shipped()
    if shipped is None or own.exists() or data.absolute() != settings.data().absolute():
        return own
    return shipped / schema.DATABASE


def warnings(data: Path) -> list[str]:
    """:func:`invalid_files`, and one sentence for each thing that is wrong with the share of SOFTH_RUNS."""
    return invalid_files(data) + _share_warnings(data)


def invalid_files(data: Path) -> list[str]:
    """One sentence for each file of a run or of scores that is invalid and left out of the tables."""
    return [defect for defect in _defects(data).values() if defect]


def valid_runs(data: Path) -> list[Path]:
    """Run files that hold one complete estimate each."""
    return _valid(data, schema.RUNS)


def valid_scores(data: Path) -> list[Path]:
    """Files of imported scores that can be read."""
    return _valid(data, schema.SCORES)


def list_runs(data: Path) -> list[Path]:
    """Every run file, in data/runs or a copy of the share's, valid or not."""
    return [path for path in _files(data) if path.parent.name == schema.RUNS]


def pending_uploads(data: Path) -> list[Path]:
    """The run files of data/runs: with a share, those that are not on it yet."""
    return sorted((data / schema.RUNS).glob("*.parquet"))


def run_file(data: Path, estimate_id: str) -> Path | None:
    """The file of a run, in data/runs or a copy of the share's; None where there is none."""
    return next((path for path in list_runs(data) if path.name == f"{estimate_id}.parquet"), None)


def on_share(path: Path) -> bool:
    """Whether a run is the copy of one on a share."""
    share = configured_share()
    return share is not None and path.parent == share.folder


def refresh() -> None:
    """Fetch all runs of the share, if there is one. Raises InputError when it cannot be used."""
    if share := configured_share():
        share.fetch()


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """A new connection in memory, with the views of views.sql over the database and the valid runs of data.

    Nothing is locked and nothing can be changed through it; later changes of the files are not seen. Raises
    InputError when a file is of a newer schema or the database is damaged.
    """
    for _ in range(ATTEMPTS - 1):
        # A pack may remove a run between listing and reading it: try again.
        with suppress(duckdb.IOException):
            return _connect(data)
    return _connect(data)


def query(data: Path, sql: str, **parameters: object) -> pl.DataFrame:
    """Result of one statement over the views of views.sql; its parameters are written ``$name``.

    Raises InputError as :func:`connect` does, and when what it reads of the database is damaged.
    """
    with _cursor(data) as cursor:
        try:
            return cursor.sql(sql, params=parameters).pl()
        except duckdb.Error as error:
            if "Corrupt database" not in str(error):
                raise
            raise InputError(
                f"{database(data)} is damaged ({str(error).splitlines()[0]}): restore a backup."
            ) from error


def quoted(path: Path) -> str:
    """The path as a literal of SQL, through a link where DuckDB would read another path than this."""
    folder = path.absolute().parent
    plain = _link_to(folder) / path.name if _PATTERN.search(str(folder)) else path
    return "'" + str(plain).replace("'", "''") + "'"


@cache
def _link_to(folder: Path) -> Path:
    """A link of a plain name to a folder; it is removed when this process ends."""
    place = Path(tempfile.mkdtemp(prefix="softh-"))
    link = place / "folder"
    link.symlink_to(folder, target_is_directory=True)
    weakref.finalize(_link_to, _remove_link, place, os.getpid())
    return link


def _remove_link(place: Path, process: int) -> None:
    if os.getpid() == process:  # a forked process ends without taking the link from the one that made it
        shutil.rmtree(place, ignore_errors=True)


def _cursor(data: Path) -> duckdb.DuckDBPyConnection:
    """A cursor on the store as it is now."""
    folder, now = data.absolute(), version(data)
    with _opening:
        known, connection = _open_stores.pop(folder, ("", None))
        if connection is None or known != now:
            connection = connect(data)  # queries that still run have cursors of the one before
        _open_stores[folder] = now, connection
        if len(_open_stores) > _FOLDERS:
            del _open_stores[next(iter(_open_stores))]
        return connection.cursor()


def _connect(data: Path) -> duckdb.DuckDBPyConnection:
    # Runs are listed before the database is opened. A pack swaps the database before it removes the runs, so in this
    # order every estimate is seen at least once, and the views let no estimate be seen twice.
    paths = {"run": valid_runs(data), "score": valid_scores(data)}
    connection = duckdb.connect()
    try:
        _attach(connection, database(data))
        connection.register("no_run", pl.DataFrame(schema=run_files.types()))
        connection.register("no_score", pl.DataFrame(schema=score_files.types()))
        connection.execute("SET enable_progress_bar = false")
        for table, files in paths.items():
            connection.execute(f"CREATE TABLE {table} AS FROM no_{table}")
            if files:
                listed = f"[{', '.join(map(quoted, files))}]"
                # A folder called lr=3e-4 is no column of the tables.
                options = "union_by_name = true, hive_partitioning = false"
                connection.execute(f"INSERT INTO {table} BY NAME FROM read_parquet({listed}, {options})")
        migrations.loaded(connection)
        connection.execute(f"{_packed_models(connection)}; {VIEWS}; {plane.SQL}; {_means(connection)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _packed_models(connection: duckdb.DuckDBPyConnection) -> str:
    """The view `packed_estimate_models`: of each packed estimate its model, in an older pack the one of its name."""
    own = _columns(connection, ESTIMATE_MODELS)
    columns = [name for name in schema.table("models").types if name != "model"]
    kept = [name for name in (*columns, "step", "tokens") if name in own]
    replaced = f"REPLACE ({', '.join(f'own.{name} AS {name}' for name in kept)})" if kept else ""
    joined = f"JOIN stored.{ESTIMATE_MODELS} AS own USING (estimate_id)" if kept else ""
    return (
        f"CREATE VIEW packed_estimate_models AS SELECT named.* {replaced} FROM ("
        "SELECT estimates.estimate_id, models.*, checkpoints.step, checkpoints.tokens FROM packed.estimates "
        "JOIN packed.models USING (model) JOIN packed.checkpoints USING (model, revision, digest)"
        f") AS named {joined}"
    )


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Names of the columns of a table of the packed database; none where it has no such table."""
    names = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'stored' AND table_name = $name",
        {"name": table},
    ).fetchall()
    return {name for (name,) in names}


def _means(connection: duckdb.DuckDBPyConnection) -> str:
    """The view `means`: computed from all measures, or taken from the packed means as far as they go."""
    missing = set(plane.COLUMNS) - _columns(connection, plane.MEANS)
    [(stored_version,)] = connection.execute("FROM stored.schema_version").fetchall()
    later = set(plane.FOLDS) if stored_version == 1 else set()  # the first schema kept none
    if missing - later:
        return "CREATE VIEW means AS FROM on_plane('measures') WHERE layer IS NULL"
    columns = (f"NULL::FLOAT[] AS {name}" if name in missing else name for name in plane.COLUMNS)
    return (
        "CREATE VIEW means AS FROM on_plane('run_measures') WHERE layer IS NULL UNION ALL BY NAME "
        f"SELECT {', '.join(columns)} FROM stored.{plane.MEANS} "
        "ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id)"
    )


def _attach(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Open the packed database, and its tables as ``packed``; without rows where there is none."""
    if not database.exists():
        connection.execute(f"ATTACH ':memory:' AS stored; USE stored; {schema.SQL} USE memory")
        connection.execute(migrations.packed(schema.version()))
        return
    try:
        connection.execute(f"ATTACH {quoted(database)} AS stored (READ_ONLY)")
        [(stored_version,)] = connection.execute("FROM stored.schema_version").fetchall()
    except (duckdb.Error, ValueError) as error:
        raise InputError(
            f"{database} is not a database of softh ({str(error).splitlines()[0]}): restore it, or move it away."
        ) from error
    run_files.refuse_newer(stored_version, "The table")
    connection.execute(migrations.packed(stored_version))


def _files(data: Path) -> list[Path]:
    """Files of runs and of scores; of a run that waits for the share and of its copy, the first, which is newer."""
    share = configured_share()
    runs = {path.name: path for path in [*(share.copies() if share else []), *pending_uploads(data)]}
    return [*(runs[name] for name in sorted(runs)), *_scores(data)]


def _scores(data: Path) -> list[Path]:
    return sorted((data / schema.SCORES).glob("*.parquet"))


def _share_warnings(data: Path) -> list[str]:
    """One sentence when the share, if there is one, cannot be used, and one when it lacks runs of data/runs."""
    share, pending = configured_share(), pending_uploads(data)
    if share is None:
        return []
    sentences = [share.warning()]
    if pending:
        folder = data / schema.RUNS
        sentences.append(f"Not on the share yet: {len(pending)} run files in {folder}; run `python -m softh pack`.")
    return [*filter(None, sentences)]


def _valid(data: Path, folder: str) -> list[Path]:
    return [path for path, defect in _defects(data).items() if defect is None and path.parent.name == folder]


def _state(path: Path) -> tuple[int, int, int] | None:
    """Inode, time of change and size of a file, or None when there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _defects(data: Path) -> dict[Path, str | None]:
    """File → None when it is valid, else one sentence that says why not."""
    return {path: _defect(path, state) for path in _files(data) if (state := _state(path))}


@cache
def _defect(path: Path, state: tuple[int, int, int]) -> str | None:
    """The defect of one state of one file; cached, since such a file never changes."""
    return (score_files if path.parent.name == schema.SCORES else run_files).find_defect(path)

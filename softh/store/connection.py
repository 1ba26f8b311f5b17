"""Opening the store: the packed database read-only and the sound runs beside it, held open until a file changes."""

from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock

import duckdb
import polars as pl

from softh import settings
from softh.errors import InputError
from softh.store import migrations, plane, schema, score_files
from softh.store import run_files as runs
from softh.store import share as shared

VIEWS = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")
ATTEMPTS = 5
_held: dict[Path, tuple[str, duckdb.DuckDBPyConnection]] = {}
_opening = Lock()


def version(data: Path, *, runs: bool = True) -> str:
    """A key that changes whenever a table does; costs one look at the folder, opens nothing.

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


def problems(data: Path) -> list[str]:
    """One sentence for each run and file of scores that is left out of the tables, and for a share that is away."""
    return left_out(data) + _of_the_share(data)


def left_out(data: Path) -> list[str]:
    """One sentence for each run and file of scores that is left out of the tables."""
    return [verdict for verdict in _verdicts(data).values() if verdict]


def sound_runs(data: Path) -> list[Path]:
    """Run files that hold one whole estimate each."""
    return _sound(data, schema.RUNS)


def sound_scores(data: Path) -> list[Path]:
    """Files of imported scores that can be read."""
    return _sound(data, schema.SCORES)


def run_files(data: Path) -> list[Path]:
    """Every run file, in data/runs or a copy of the share's, whether it is sound or not."""
    return [path for path in _files(data) if path.parent.name == schema.RUNS]


def waiting(data: Path) -> list[Path]:
    """The run files of data/runs; with a share, those that it has not got yet."""
    return sorted((data / schema.RUNS).glob("*.parquet"))


def run_file(data: Path, estimate_id: str) -> Path | None:
    """The file of a run, in data/runs or a copy of the share's; None where there is none."""
    return next((path for path in run_files(data) if path.name == f"{estimate_id}.parquet"), None)


def on_share(path: Path) -> bool:
    """Whether a run is the copy of one on a share."""
    share = shared.here()
    return share is not None and path.parent == share.folder


def refresh() -> None:
    """Wait until all runs of the share, if there is one, are here. Raises InputError when it cannot be used."""
    if share := shared.here():
        share.fetch()


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """A connection of its own in memory, with the views of views.sql over the database and the sound runs of data.

    Nothing is locked and nothing can be changed through it; what happens to the files later is not seen. Raises
    InputError when a file is of a newer schema or the database is damaged.
    """
    for _ in range(ATTEMPTS - 1):
        # A pack removes a run between listing and reading it: look again.
        with suppress(duckdb.IOException):
            return _connect(data)
    return _connect(data)


def query(data: Path, sql: str, **parameters: object) -> pl.DataFrame:
    """Answer of one statement over the views of views.sql; parameters are written ``$name`` in it.

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
    """The path as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _cursor(data: Path) -> duckdb.DuckDBPyConnection:
    """A cursor on the store as it is now. Opening costs as much as several questions, so the last store stays open."""
    key, now = data.absolute(), version(data)
    with _opening:
        if _held.get(key, ("", None))[0] != now:
            opened = connect(data)
            _held.clear()  # whoever still reads the one before holds a cursor of it
            _held[key] = now, opened
        return _held[key][1].cursor()


def _connect(data: Path) -> duckdb.DuckDBPyConnection:
    # Runs are listed before the database is opened. A pack swaps the database before it removes the runs, so in this
    # order every estimate is seen at least once, and the views let no estimate be seen twice.
    found = {"run": sound_runs(data), "score": sound_scores(data)}
    connection = duckdb.connect()
    try:
        _attach(connection, database(data))
        connection.register("no_run", pl.DataFrame(schema=runs.types()))
        connection.register("no_score", pl.DataFrame(schema=score_files.types()))
        connection.execute("SET enable_progress_bar = false")
        for table, files in found.items():
            connection.execute(f"CREATE TABLE {table} AS FROM no_{table}")
            if files:
                listed = f"[{', '.join(map(quoted, files))}]"
                connection.execute(f"INSERT INTO {table} BY NAME FROM read_parquet({listed}, union_by_name = true)")
        migrations.loaded(connection)
        connection.execute(f"{VIEWS}; {plane.SQL}; {_means(connection)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _means(connection: duckdb.DuckDBPyConnection) -> str:
    """The view `means`: computed from all measures, or taken from the packed means as far as they go."""
    packed = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'stored' AND table_name = $name",
        {"name": plane.MEANS},
    ).fetchall()
    if not {name for (name,) in packed} >= set(plane.COLUMNS):
        return "CREATE VIEW means AS FROM on_plane('measures') WHERE layer IS NULL"
    return (
        "CREATE VIEW means AS FROM on_plane('run_measures') WHERE layer IS NULL UNION ALL BY NAME "
        f"SELECT {', '.join(plane.COLUMNS)} FROM stored.{plane.MEANS} "
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
        [(found,)] = connection.execute("FROM stored.schema_version").fetchall()
    except (duckdb.Error, ValueError) as error:
        raise InputError(
            f"{database} is not a database of softh ({str(error).splitlines()[0]}): restore it, or move it away."
        ) from error
    runs.refuse_newer(found, "The table")
    connection.execute(migrations.packed(found))


def _files(data: Path) -> list[Path]:
    """Runs and scores; of a run that waits for the share and of its copy, the one that waits, which is newer."""
    share = shared.here()
    found = {path.name: path for path in [*(share.copies() if share else []), *waiting(data)]}
    return [*(found[name] for name in sorted(found)), *_scores(data)]


def _scores(data: Path) -> list[Path]:
    return sorted((data / schema.SCORES).glob("*.parquet"))


def _of_the_share(data: Path) -> list[str]:
    """What is to be said of the share, if there is one: that it is away, what it has not got yet."""
    share, found = shared.here(), waiting(data)
    if share is None:
        return []
    told = f"Not on the share yet: {len(found)} run files in {data / schema.RUNS}; say `python -m softh pack`."
    return [*filter(None, [share.problem()]), *([told] if found else [])]


def _sound(data: Path, folder: str) -> list[Path]:
    return [path for path, verdict in _verdicts(data).items() if verdict is None and path.parent.name == folder]


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does, or None when it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _verdicts(data: Path) -> dict[Path, str | None]:
    """File → None when it is sound, else what is wrong, in one sentence."""
    return {path: _verdict(path, state) for path in _files(data) if (state := _state(path))}


@cache
def _verdict(path: Path, state: tuple[int, int, int]) -> str | None:
    """The verdict on one state of one file; remembered, since such a file never changes."""
    return (score_files if path.parent.name == schema.SCORES else runs).verdict(path)

"""The packed database: attached read-only, and believed only as far as it is what a pack of softh writes."""

import os
import re
import shutil
import tempfile
import weakref
from contextlib import suppress
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

from softh.errors import InputError
from softh.store import migrations, plane, rules, schema

ESTIMATE_MODELS = "estimate_models"
"""Table of a packed database: the model of each estimate as its run described it. The table `models` has one row a
name; where a database has no such table, or a column later than it, that row is read."""
_OF_ESTIMATES = ("estimates", "measures")
_PATTERN = re.compile(r"[*?\[\\]|[\ud800-\udfff]")
"""Characters of a path that DuckDB takes for a pattern or a separator, and bytes that are not UTF-8."""


def attach(connection: duckdb.DuckDBPyConnection, database: Path) -> list[str]:
    """Open the packed database as ``stored``, and its tables as ``packed``; without rows where there is none.

    From then on the connection opens no other file. Returns one sentence for each reason why rows are left out. Raises
    InputError for a database that is damaged, of a newer schema, or holds anything else than the tables of softh.
    """
    with suppress(duckdb.InvalidInputException):  # a notebook without ipywidgets has no bar, and no setting of it
        connection.execute("SET enable_progress_bar = false")
    connection.execute('CREATE TABLE packed_left_out ("table" VARCHAR, key VARCHAR, reason VARCHAR)')
    if not database.exists():
        connection.execute(f"ATTACH ':memory:' AS stored; USE stored; {schema.SQL} USE memory")
        connection.execute(migrations.packed(schema.version()))
        return []
    try:
        version = _open(connection, database)
        if version <= schema.version():
            _refuse_foreign(connection, version)
    except (duckdb.Error, ValueError, pl.exceptions.PanicException) as error:
        raise InputError(
            f"{database} is not a database of softh ({str(error).splitlines()[0]}): restore it, or move it away."
        ) from error
    if version > schema.version():
        raise InputError(
            f"The table is from schema {version}, this softh reads up to {schema.version()}: upgrade softh."
        )
    try:
        return _leave_out(connection, database, version)
    except (duckdb.Error, pl.exceptions.PanicException) as error:
        raise InputError(f"{database} is damaged ({str(error).splitlines()[0]}): restore a backup.") from error


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Let nothing that is asked through the connection read a file or change its settings."""
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")


def means(connection: duckdb.DuckDBPyConnection) -> str:
    """SQL of the view `means`: computed from all measures, or taken from the packed means as far as they go."""
    stored = _columns(connection, plane.MEANS)
    wanted = {name: kind for name, kind, *_ in connection.execute("DESCRIBE plane").fetchall()}
    [(version,)] = connection.execute("FROM stored.schema_version").fetchall()
    later = set(plane.FOLDS) - set(stored) if version == 1 else set()  # the first schema kept none
    kept = {name: kind for name, kind in wanted.items() if name not in later}
    if not kept.items() <= stored.items() or _means_broken(connection, kept):
        return "CREATE VIEW means AS FROM on_plane('measures') WHERE layer IS NULL"
    columns = (f"NULL::FLOAT[] AS {name}" if name in later else name for name in plane.COLUMNS)
    return (
        "CREATE VIEW means AS FROM on_plane('run_measures') WHERE layer IS NULL UNION ALL BY NAME "
        f"SELECT {', '.join(columns)} FROM stored.{plane.MEANS} "
        "ANTI JOIN (SELECT estimate.estimate_id FROM run) USING (estimate_id)"
    )


def _means_broken(connection: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> bool:
    """Whether rows of the packed means cannot be those of a pack, or some of what they summarise is left out."""
    infinite = [f"abs({name}) > {rules.LARGEST}" for name, kind in columns.items() if kind == "DOUBLE"]
    wrong = " OR ".join([*infinite, f"correction NOT IN {rules.CORRECTIONS}", f"ngram NOT IN {tuple(rules.NGRAMS)}"])
    left_out = "EXISTS (FROM packed_left_out)"
    return bool(
        connection.execute(f"SELECT {left_out} OR EXISTS (FROM stored.{plane.MEANS} WHERE {wrong})").fetchall()[0][0]
    )


def _open(connection: duckdb.DuckDBPyConnection, database: Path) -> int:
    """Attach the database, with no other file within reach; returns the version of its schema."""
    real = str(database.resolve())
    head, question, tail = real.partition("?")  # where there is one, DuckDB looks for the log of changes of such a name
    logs = [f"{real}.wal", f"{head}.wal{question}{tail}"]
    paths = ", ".join([quoted(database), quoted(Path(f"{database}.wal")), *map(_literal, [real, *logs])])
    if real.isascii() or real.encode(errors="replace").decode() == real:  # DuckDB takes no list of other names
        connection.execute(f"SET allowed_paths = [{paths}]; SET enable_external_access = false")
    connection.execute(f"ATTACH {quoted(database)} AS stored (READ_ONLY)")
    tables = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'stored' AND table_name = 'schema_version'"
    if not connection.execute(tables).fetchall()[0][0]:
        raise ValueError("it has no table schema_version")
    [(version,)] = connection.execute("FROM stored.schema_version").fetchall()
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"its schema is {version!r}")
    return version


def _refuse_foreign(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Raise ValueError unless the database has the tables of a version with their columns, and no view or function."""
    for kind in ("views", "functions", "types", "sequences", "schemas"):
        inner = "NOT internal" if kind != "sequences" else "true"
        found = connection.execute(
            f"SELECT * FROM duckdb_{kind}() WHERE database_name = 'stored' AND {inner} "
            + ("AND schema_name <> 'main'" if kind == "schemas" else "")
        ).fetchall()
        if found:
            raise ValueError(f"it has {kind}, where tables alone are expected")
    tables = dict(
        connection.execute("SELECT table_name, sql FROM duckdb_tables() WHERE database_name = 'stored'").fetchall()
    )
    if any("GENERATED ALWAYS" in sql.upper() for sql in tables.values()):
        raise ValueError("it has columns that are computed while they are read")
    known = {"schema_version", ESTIMATE_MODELS, *schema.names()}
    if foreign := sorted(name for name in tables.keys() - known if not name.startswith("means_")):
        raise ValueError(f"it has a table {foreign[0][:100]!r}")
    for table in schema.names():
        if table not in tables:
            raise ValueError(f"it has no table {table}")
        found = connection.sql(f"FROM stored.{table} LIMIT 0").pl().schema
        if dict(found) != dict(schema.table(table, version).types):
            raise ValueError(f"its table {table} has other columns")
    if ESTIMATE_MODELS in tables:
        found = connection.sql(f"FROM stored.{ESTIMATE_MODELS} LIMIT 0").pl().schema
        kinds = {"estimate_id": pl.String(), "step": pl.Int64(), "tokens": pl.Int64(), **schema.table("models").types}
        if not dict(found).items() <= kinds.items() or "estimate_id" not in found:
            raise ValueError(f"its table {ESTIMATE_MODELS} has other columns")


def _leave_out(connection: duckdb.DuckDBPyConnection, database: Path, version: int) -> list[str]:
    """Create the views in ``packed`` without the rows that break a rule; returns one sentence for each rule."""
    rows = {table: migrations.rows(table, version) for table in schema.names()}
    for table in schema.names():
        broken = _broken_rows(connection, table, f"SELECT *, {_key(table)} AS key FROM ({rows[table]})")
        if broken:
            connection.executemany("INSERT INTO packed_left_out VALUES (?, ?, ?)", [(table, *row) for row in broken])
    sources = {table: f"({sql})" for table, sql in rows.items()}
    models = f"SELECT *, estimate_id AS key FROM ({_models_of_estimates(connection, sources)})"
    if broken := _broken_rows(connection, "models", models):
        connection.executemany("INSERT INTO packed_left_out VALUES ('estimates', ?, ?)", broken)
    groups = connection.execute(
        'SELECT "table", reason, count(*), min(key) FROM packed_left_out GROUP BY ALL ORDER BY ALL'
    ).fetchall()
    connection.execute("CREATE SCHEMA packed")
    for table in schema.names():
        connection.execute(f"CREATE VIEW packed.{table} AS {_sound(table, rows[table]) if groups else rows[table]}")
    return [
        f"{database.name} has {number} keys of {table} that are left out, because {reason} (the first is {key!r}): "
        "`softh pack` removes them, or restore a backup."
        for table, reason, number, key in groups
    ]


def _broken_rows(connection: duckdb.DuckDBPyConnection, table: str, rows: str) -> list[tuple[str, str]]:
    """Key and reason of the rows of a table, SQL with a column ``key``, that break a rule."""
    broken = f"SELECT DISTINCT key, reason FROM (SELECT key, {rules.broken(table)} AS reason FROM ({rows}))"
    found = connection.execute(f"{broken} WHERE reason IS NOT NULL").fetchall()
    known = {key for key, _ in found}
    return [*found, *(row for row in rules.rows_with_wrong_json(connection, table, rows) if row[0] not in known)]


def _sound(table: str, rows: str) -> str:
    """SQL of the rows of a table that are shown: whole estimates only."""
    if table not in _OF_ESTIMATES:
        return f"FROM ({rows}) WHERE ({rules.broken(table)}) IS NULL"
    left_out = f'SELECT key FROM packed_left_out WHERE "table" IN {_OF_ESTIMATES} AND key IS NOT NULL'
    return f"FROM ({rows}) WHERE estimate_id NOT IN ({left_out})"


def _key(table: str) -> str:
    return "estimate_id" if table in _OF_ESTIMATES else "model"


def estimate_models(connection: duckdb.DuckDBPyConnection) -> str:
    """SQL of the view `packed_estimate_models`: of each packed estimate its model, in older packs that of its name."""
    tables = {table: f"packed.{table}" for table in ("estimates", "models", "checkpoints")}
    return f"CREATE VIEW packed_estimate_models AS {_models_of_estimates(connection, tables)}"


def _models_of_estimates(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> str:
    """SQL of the rows of that view over tables by name."""
    own = _columns(connection, ESTIMATE_MODELS)
    columns = [name for name in schema.table("models").types if name != "model"]
    kept = [name for name in (*columns, "step", "tokens") if name in own]
    replaced = f"REPLACE ({', '.join(f'own.{name} AS {name}' for name in kept)})" if kept else ""
    joined = f"JOIN stored.{ESTIMATE_MODELS} AS own USING (estimate_id)" if kept else ""
    return (
        f"SELECT named.* {replaced} FROM ("
        f"SELECT estimates.estimate_id, models.*, checkpoints.step, checkpoints.tokens "
        f"FROM {tables['estimates']} AS estimates JOIN {tables['models']} AS models USING (model) "
        f"JOIN {tables['checkpoints']} AS checkpoints USING (model, revision, digest)) AS named {joined}"
    )


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Columns of a table of the packed database with their types; none where it has no such table."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'stored' AND table_name = $name",
        {"name": table},
    ).fetchall()
    return dict(columns)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted(path: Path) -> str:
    """The path as a literal of SQL, through a link where DuckDB would read another path than this."""
    folder = path.absolute().parent
    plain = _link_to(folder) / path.name if _PATTERN.search(str(folder)) else path
    return _literal(os.fspath(plain))


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

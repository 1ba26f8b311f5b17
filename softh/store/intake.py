"""Run files and files of scores as tables in memory: each is judged before anybody else reads a row of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import duckdb
import polars as pl
import pyarrow as pa

from softh.store import migrations, run_files, schema, score_files
from softh.store.parquet import DamagedError

KINDS: dict[str, ModuleType] = {"run": run_files, "score": score_files}
"""Table → the module that reads its files."""
TABLES = ("run", "run_measures", "score")
"""Tables of what was taken in: the measures of runs have one of their own; see :func:`create_tables`."""
_FOLDERS = {schema.RUNS: "run", schema.SCORES: "score"}
_BATCH = 256
"""Files that are judged at a time."""
_READERS = 4


def kind(path: Path) -> str:
    """The table that a file belongs to: 'run' or 'score'."""
    return _FOLDERS.get(path.parent.name, "run")


def key(path: Path) -> str:
    """What the column ``file`` says of a file: its path, bytes that are not UTF-8 escaped."""
    return str(path).encode(errors="backslashreplace").decode()


def find_defect(path: Path) -> str | None:
    """None for a file that is taken, else one sentence that says why not."""
    [(_, defects)] = judge([path])
    return defects[path]


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the empty tables ``run``, ``run_measures`` and ``score``.

    The column ``file`` of the first and the last says where each row is from. Measures are rows of a table of their
    own, as they are in the packed database: a query that reads one estimate, or one quantity, leaves the others alone,
    where a list in a row would be unpacked whole for every run, at each query.
    """
    _create_as_read(connection)
    connection.execute(f"CREATE TABLE run_measures AS {_measures('run')}; ALTER TABLE run DROP COLUMN measures")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Add rows of :func:`judge` to the tables, in one transaction: a query sees all of them or none."""
    with connection.cursor() as cursor:
        cursor.register("arriving", rows)
        cursor.begin()
        if table == "run":
            cursor.execute("INSERT INTO run BY NAME SELECT * EXCLUDE measures FROM arriving")
            cursor.execute(f"INSERT INTO run_measures BY NAME {_measures('arriving')}")
        else:
            cursor.execute(f"INSERT INTO {table} BY NAME FROM arriving")
        cursor.commit()


def delete(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> None:
    """Remove the rows of some files, in one transaction: a query sees all of them or none."""
    names = {"names": [key(path) for path in paths]}
    if not names["names"]:
        return
    with connection.cursor() as cursor:
        cursor.begin()
        ids = "SELECT estimate.estimate_id FROM run WHERE list_contains($names, file)"
        cursor.execute(f"DELETE FROM run_measures WHERE estimate_id IN ({ids})", names)
        for table in KINDS:
            cursor.execute(f"DELETE FROM {table} WHERE list_contains($names, file)", names)
        cursor.commit()


def copy(source: duckdb.DuckDBPyConnection, target: duckdb.DuckDBPyConnection) -> None:
    """Add all rows of the tables of one connection to those of another."""
    for table in TABLES:
        with source.cursor() as reader, target.cursor() as writer:
            writer.register("arriving", reader.sql(f"FROM {table}").to_arrow_table())
            writer.execute(f"INSERT INTO {table} BY NAME FROM arriving")


def _create_as_read(connection: duckdb.DuckDBPyConnection) -> None:
    """Create an empty table for each kind of file, with the columns of its rows as they are read."""
    for table, files in KINDS.items():
        connection.register("empty", pl.DataFrame(schema={"file": pl.String(), **files.types()}))
        connection.execute(f"CREATE TABLE {table} AS FROM empty")
        connection.unregister("empty")


def _measures(runs: str) -> str:
    """SQL of the measures of some runs as rows."""
    listed = f"SELECT estimate.estimate_id, unnest(measures) AS measure FROM {runs}"
    return f"SELECT estimate_id, unnest(measure) FROM ({listed})"


def judge(paths: Sequence[Path]) -> Iterator[tuple[dict[str, pa.Table], dict[Path, str | None]]]:
    """Read and judge files, a batch at a time.

    Yields the rows of the valid ones by table, with the columns of the newest schema and ``file``, and for each file
    None or one sentence that says why it is left out.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            read = dict(zip(batch, pool.map(_read, batch), strict=True))
            defects = {path: _sentence(path, found) for path, found in read.items() if isinstance(found, str)}
            accepted: dict[str, pa.Table] = {}
            for table in KINDS:
                files = {
                    path: found for path, found in read.items() if kind(path) == table and not isinstance(found, str)
                }
                if files:
                    accepted[table], reasons = _taken(table, files)
                    defects |= {path: _sentence(path, reason) for path, reason in reasons.items()}
            yield accepted, {path: defects.get(path) for path in batch}


def _read(path: Path) -> pa.Table | str:
    """The rows of a file with a column ``file``, or why it is left out."""
    try:
        table = KINDS[kind(path)].read(path)
    except DamagedError as error:
        return str(error)
    return table.append_column("file", pa.array([key(path)] * table.num_rows, pa.string()))


def _taken(table: str, files: Mapping[Path, pa.Table]) -> tuple[pa.Table, dict[Path, str]]:
    """Rows of those files that keep the rules, and why the others are left out."""
    try:
        return _apply_rules(table, files)
    except duckdb.Error as error:
        if len(files) == 1:
            reason = f"it cannot be read ({str(error).splitlines()[0][:200]})"
            return _apply_rules(table, {})[0], dict.fromkeys(files, reason)
    each, middle = [*files.items()], len(files) // 2
    halves = [_taken(table, dict(half)) for half in (each[:middle], each[middle:])]
    return pa.concat_tables(rows for rows, _ in halves), {path: why for _, some in halves for path, why in some.items()}


def _apply_rules(table: str, files: Mapping[Path, pa.Table]) -> tuple[pa.Table, dict[Path, str]]:
    """As :func:`_taken`, in a database of their own, which an error may end. Errors: duckdb.Error."""
    with duckdb.connect() as scratch:
        _create_as_read(scratch)
        by_columns: dict[tuple[str, ...], list[pa.Table]] = {}
        for rows in files.values():
            by_columns.setdefault((str(rows.schema.types), *rows.schema.names), []).append(rows)
        for same in by_columns.values():
            scratch.register("arriving", pa.concat_tables(same))
            scratch.execute(f"INSERT INTO {table} BY NAME FROM arriving")
        migrations.loaded(scratch)
        reasons = KINDS[table].reasons(scratch, table)
        scratch.register("refused", pa.table({"file": pa.array(list(reasons), pa.string())}))
        rows = scratch.sql(f"FROM {table} ANTI JOIN refused USING (file)").to_arrow_table()
    return rows, {path: reasons[key(path)] for path in files if key(path) in reasons}


def _sentence(path: Path, reason: str) -> str:
    name = path.name.encode(errors="backslashreplace").decode()
    return " ".join(f"{name} is left out, because {reason}: remove it or restore it.".split())

"""The tables, as schema.sql gives them: the one place where their columns and types are written."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import polars as pl

SQL = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
DATABASE = "softh.duckdb"
RUNS = "runs"
SCORES = "scores"


@dataclass(frozen=True)
class Added:
    """A column that a later schema added at the end of a table."""

    version: int
    """The first schema that has it."""
    table: str
    column: str
    value: str
    """Its value in rows that were written before: SQL over such a row, which is called ``old``."""


ADDED: tuple[Added, ...] = (
    Added(2, "estimates", "labels", "coalesce(TRY(old.spec ->> 'labels'), 'tokens')"),
    Added(2, "estimates", "estimator", "'plug-in'"),
    Added(2, "measures", "folds", "NULL::FLOAT[]"),
    Added(3, "models", "size", "NULL::VARCHAR"),
    Added(3, "models", "training_seed", "NULL::BIGINT"),
    Added(3, "models", "parent", "NULL::VARCHAR"),
    Added(3, "models", "ablation", "NULL::VARCHAR"),
    Added(3, "models", "former", "NULL::VARCHAR"),
)
"""Every column that is not of the first schema, in order. This is all that a migration is: a schema grows by columns,
and none is ever renamed, dropped or given another meaning, so that what was written once can be read for ever."""


@dataclass(frozen=True)
class Table:
    """Columns of one table."""

    types: pl.Schema
    required: tuple[str, ...]
    """Columns that may not be NULL."""

    def without(self, column: str) -> "Table":
        """The same table less one column."""
        types = pl.Schema({name: kind for name, kind in self.types.items() if name != column})
        return Table(types, tuple(name for name in self.required if name != column))


@cache
def version() -> int:
    """Version of the schema that this program writes, and the newest it reads."""
    with duckdb.connect() as connection:
        connection.execute(SQL)
        return connection.execute("SELECT version FROM schema_version").fetchall()[0][0]


@cache
def names() -> tuple[str, ...]:
    """Names of the tables of estimates and scores."""
    with duckdb.connect() as connection:
        connection.execute(SQL)
        rows = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_oid").fetchall()
    return tuple(name for (name,) in rows if name != "schema_version")


@cache
def checks(name: str) -> tuple[str, ...]:
    """The conditions that CHECK says of every row of a table, as DuckDB writes them."""
    with duckdb.connect() as connection:
        connection.execute(SQL)
        rows = connection.execute(
            "SELECT expression FROM duckdb_constraints() WHERE constraint_type = 'CHECK' AND table_name = ?", [name]
        ).fetchall()
    return tuple(expression for (expression,) in rows)


def table(name: str, schema: int | None = None) -> Table:
    """Columns of the table of this name, in the newest schema or in that of a version."""
    columns = _newest(name)
    for added in ADDED:
        if added.table == name and schema is not None and added.version > schema:
            columns = columns.without(added.column)
    return columns


@cache
def _newest(name: str) -> Table:
    with duckdb.connect() as connection:
        connection.execute(SQL)
        required = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND NOT is_nullable", [name]
        ).fetchall()
        return Table(connection.sql(f"FROM {name}").pl().schema, tuple(column for (column,) in required))

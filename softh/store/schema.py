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
def table(name: str) -> Table:
    """Columns of the table of this name."""
    with duckdb.connect() as connection:
        connection.execute(SQL)
        required = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND NOT is_nullable", [name]
        ).fetchall()
        return Table(connection.sql(f"FROM {name}").pl().schema, tuple(column for (column,) in required))

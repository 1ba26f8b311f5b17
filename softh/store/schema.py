"""The types of the tables, read from schema.sql: the one place where they are written."""

from functools import cache
from pathlib import Path

import duckdb
import polars as pl

SQL = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
DATABASE = "softh.duckdb"
RUNS = "runs"
PARTS = {"model": "models", "checkpoint": "checkpoints", "estimate": "estimates", "measures": "measures"}
"""Part of a run file → the table its rows belong to."""


@cache
def version() -> int:
    """Version of the schema that this program writes, and the newest it reads."""
    return _empty().execute("SELECT version FROM schema_version").fetchall()[0][0]


@cache
def columns(part: str) -> pl.Schema:
    """Names and types of one part of a run; a measure leaves out the estimate_id that its run gives it."""
    schema = _empty().sql(f"FROM {PARTS[part]}").pl().schema
    return pl.Schema({name: kind for name, kind in schema.items() if (part, name) != ("measures", "estimate_id")})


@cache
def required(part: str) -> tuple[str, ...]:
    """Columns of one part that may not be NULL."""
    rows = _empty().execute(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = ? AND NOT is_nullable", [PARTS[part]]
    )
    return tuple(name for (name,) in rows.fetchall() if name in columns(part))


@cache
def run() -> pl.Schema:
    """Types of a run file: one row, a struct for each of model, checkpoint and estimate, a list of measures."""
    structs = {part: pl.Struct(columns(part)) for part in PARTS}
    return pl.Schema({"schema_version": pl.Int32(), **structs, "measures": pl.List(structs["measures"])})


def violation(frame: pl.DataFrame) -> str | None:
    """The first rule of the tables that a frame of one run breaks, in words, or None for a sound run."""
    if frame.schema != run():
        return "its columns are not those of a run"
    if frame.height != 1:
        return f"it has {frame.height} rows where a run has one"
    for part in PARTS:
        rows = frame.select(part).explode(part) if part == "measures" else frame.select(part)
        empty = rows.unnest(part).select(required(part)).null_count().row(0, named=True)
        if missing := [name for name, count in empty.items() if count]:
            return f"{part} has no value for {', '.join(missing)}"
    return None


@cache
def _empty() -> duckdb.DuckDBPyConnection:
    """The tables in memory, with no rows."""
    connection = duckdb.connect()
    connection.execute(SQL)
    return connection

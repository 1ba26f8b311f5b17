"""One file of imported scores: rows of the table `benchmarks`, with checksums."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh.store import parquet, rules, schema, seal
from softh.store.parquet import DamagedError

MOST_ROWS = 200_000
"""Scores in one file."""


@cache
def types(version: int | None = None) -> pl.Schema:
    """Types of the columns of files of scores, in the newest schema or in that of a version."""
    about = {"schema_version": pl.Int32(), "imported_at": pl.Datetime("us")}
    return pl.Schema({**about, **schema.table("benchmarks", version).types})


def encode(rows: Sequence[Mapping[str, Any]], imported_at: datetime | None = None) -> tuple[str, bytes]:
    """Name, a digest of the rows, and content of the file of some rows. Errors: ValueError when they break the rules.

    imported_at is in UTC, now by default.
    """
    table = schema.table("benchmarks")
    for row in rows:
        if wrong := set(row) ^ set(table.types):
            raise ValueError(f"A score has missing or unknown columns: {', '.join(sorted(wrong))}.")
    about = {
        "schema_version": schema.version(),
        "imported_at": (imported_at or datetime.now(UTC)).replace(tzinfo=None),
    }
    frame = pl.DataFrame([{**about, **row} for row in rows], schema=types())
    if frame.height > MOST_ROWS:
        raise ValueError(f"A file of scores has {frame.height:,} rows; expected at most {MOST_ROWS:,}.")
    content = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    with duckdb.connect() as connection:
        connection.register("scores", content)
        if broken := reasons(connection, "(SELECT 'scores' AS file, * FROM scores)") or frame.is_empty():
            raise ValueError(
                f"The rows are not scores: {broken['scores'] if broken is not True else 'there are none'}."
            )
    return _name(frame), seal.encode(content)


def read(path: Path) -> pa.Table:
    """The rows of a file of scores, with the columns of its own schema. Errors: DamagedError."""
    table = parquet.read(path, arrow_schema, "scores", rows=MOST_ROWS)
    if table.num_rows == 0:
        raise DamagedError("it has no rows")
    return table


def reasons(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, str]:
    """Why scores are not taken: file → the first rule that it breaks; rows: of the newest schema, with file."""
    broken = (
        f"CASE WHEN imported_at IS NULL THEN 'it has no value for imported_at' ELSE {rules.broken('benchmarks')} END"
    )
    found = connection.execute(
        f"SELECT file, {broken} AS reason FROM {rows} AS score WHERE reason IS NOT NULL ORDER BY ALL DESC"
    ).fetchall()
    return dict(found)


def _name(frame: pl.DataFrame) -> str:
    return sha256(frame.drop("imported_at").write_json().encode()).hexdigest()[:16]


@cache
def arrow_schema(version: int) -> pa.Schema:
    """Columns of files of scores of a schema as Parquet gives them back."""
    empty = pl.DataFrame(schema=types(version)).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pq.read_schema(pa.BufferReader(seal.encode(empty)))

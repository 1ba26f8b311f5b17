"""Run files: one Parquet row with one complete estimate each, and checksums."""

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh.store import migrations, parquet, rules, schema, seal
from softh.store.parquet import DamagedError


def parts(version: int | None = None) -> dict[str, schema.Table]:
    """Part of a run → the table its rows belong to, in the newest schema or in that of a version.

    The measures are a list; they have no estimate_id, since that is their run's.
    """
    tables = {part: schema.table(table, version) for table, part in migrations.PARTS.items()}
    return {**tables, "measures": tables["measures"].without("estimate_id")}


@cache
def types(version: int | None = None) -> pl.Schema:
    """Types of the columns of run files of a schema."""
    structs = {part: pl.Struct(table.types) for part, table in parts(version).items()}
    return pl.Schema({"schema_version": pl.Int32(), **structs, "measures": pl.List(structs["measures"])})


def encode(record: dict[str, Any]) -> bytes:
    """Content of the run file of a record. Errors: ValueError when it breaks the rules of the tables.

    The estimate may leave out the digest, which is its checkpoint's.
    """
    record = {**record, "estimate": {"digest": record["checkpoint"]["digest"], **record["estimate"]}}
    for part, table in parts().items():
        for row in record[part] if part == "measures" else [record[part]]:
            if wrong := set(row) ^ set(table.types):
                raise ValueError(f"{part} of the record has missing or unknown columns: {', '.join(sorted(wrong))}.")
    table = _arrow(pl.DataFrame([{"schema_version": schema.version(), **record}], schema=types()))
    with duckdb.connect() as connection:
        connection.register("record", table)
        if broken := reasons(connection, "(SELECT 'record' AS file, * FROM record)"):
            raise ValueError(f"The record is not a run: {broken['record']}.")
    return seal.encode(table)


def read(path: Path) -> pa.Table:
    """The one row of a run file, with the columns of its own schema. Errors: DamagedError."""
    table = parquet.read(path, arrow_schema, "a run", rows=1)
    if table.num_rows != 1:
        raise DamagedError(f"it has {table.num_rows} rows where a run has one")
    estimate = table["estimate"][0].as_py() or {}
    if estimate.get("estimate_id") != path.stem:
        raise DamagedError("it holds another estimate than its name says")
    return table


def reasons(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, str]:
    """Why runs are not taken: file → the first rule that it breaks, of rows of the newest schema with a column file."""
    listed = [f"SELECT file, {_INCOHERENT} AS reason FROM {rows} AS run"]
    for table, part in migrations.PARTS.items():
        each = f"SELECT file, unnest({part}) FROM {rows} AS run"
        if part == "measures":
            each = (
                f"SELECT file, estimate_id, unnest(row) FROM "
                f"(SELECT file, estimate.estimate_id, unnest(measures) AS row FROM {rows} AS run)"
            )
        listed.append(f"SELECT file, {rules.broken(table)} AS reason FROM ({each})")
    found = connection.execute(
        f"SELECT DISTINCT file, reason FROM ({' UNION ALL '.join(listed)}) WHERE reason IS NOT NULL ORDER BY ALL"
    ).fetchall()
    estimates = f"SELECT file AS key, unnest(estimate) FROM {rows} AS run"
    return dict(reversed([*found, *rules.rows_with_wrong_json(connection, "estimates", estimates)]))


_INCOHERENT = """CASE
    WHEN coalesce(len(measures), 0) = 0 THEN 'it has no measures'
    WHEN NOT coalesce(regexp_full_match(estimate.estimate_id, '[0-9A-Za-z_-]{1,64}'), false) THEN 'its id is not one'
    WHEN estimate.model IS DISTINCT FROM model.model
        OR (estimate.model, estimate.revision, estimate.digest)
        IS DISTINCT FROM (checkpoint.model, checkpoint.revision, checkpoint.digest)
        THEN 'its parts are of different checkpoints'
    END"""
"""Why the parts of a run do not belong together."""


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


@cache
def arrow_schema(version: int) -> pa.Schema:
    """Columns of run files of a schema as Parquet gives them back."""
    return pq.read_schema(pa.BufferReader(seal.encode(_arrow(pl.DataFrame(schema=types(version))))))

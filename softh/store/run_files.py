"""One run file: a Parquet row that holds one whole estimate, with a checksum on every page."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh.errors import InputError
from softh.store import migrations, schema


def parts(of: int | None = None) -> dict[str, schema.Table]:
    """Part of a run → the table its rows belong to, in the newest schema or in that of the number `of`.

    The measures are a list; their run says which estimate they are of.
    """
    tables = {part: schema.table(table, of) for table, part in migrations.PARTS.items()}
    return {**tables, "measures": tables["measures"].without("estimate_id")}


@cache
def types(of: int | None = None) -> pl.Schema:
    """Types of every run file of a schema, whatever it holds."""
    structs = {part: pl.Struct(table.types) for part, table in parts(of).items()}
    return pl.Schema({"schema_version": pl.Int32(), **structs, "measures": pl.List(structs["measures"])})


def encode(record: dict[str, Any]) -> bytes:
    """Content of the run file of a record; ValueError when it breaks the rules of the tables."""
    for part, table in parts().items():
        for row in record[part] if part == "measures" else [record[part]]:
            if wrong := set(row) ^ set(table.types):
                raise ValueError(f"{part} of the record has missing or unknown columns: {', '.join(sorted(wrong))}.")
    frame = pl.DataFrame([{"schema_version": schema.version(), **record}], schema=types())
    if broken := _violation(frame, schema.version()):
        raise ValueError(f"The record is not a run: {broken}.")
    return _parquet(frame)


def verdict(path: Path) -> str | None:
    """None for a sound run file, else one sentence that says what is wrong with it.

    Raises InputError when a later program wrote it.
    """
    try:
        found = pq.read_table(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
        of = newest(found)
        refuse_newer(of, f"The run {path.name}")
        expected = found.schema.equals(_arrow_schema(of))  # asked before polars sees it, which panics at damaged types
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        return left_out(path, f"it cannot be read as Parquet ({str(error).splitlines()[0]})")
    if not expected:
        return left_out(path, "its columns are not those of a run")
    frame = pl.DataFrame(found)
    if broken := _violation(frame, of):
        return left_out(path, broken)
    if frame["estimate"].struct.field("estimate_id").item() != path.stem:
        return left_out(path, "it holds another estimate than its name says")
    return None


def refuse_newer(found: int, name: str) -> None:
    """Raise InputError for a table that a later program wrote."""
    if found > schema.version():
        raise InputError(f"{name} is from schema {found}, this softh reads up to {schema.version()}: upgrade softh.")


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(arrow, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


@cache
def _arrow_schema(of: int) -> pa.Schema:
    return pq.read_schema(pa.BufferReader(_parquet(pl.DataFrame(schema=types(of)))))


def newest(found: pa.Table) -> int:
    """The highest schema_version in a file, 0 where there is none."""
    if "schema_version" not in found.column_names or found.schema.field("schema_version").type != pa.int32():
        return 0
    return max((value for value in found["schema_version"].to_pylist() if value is not None), default=0)


def _violation(frame: pl.DataFrame, of: int) -> str | None:
    """The first rule of the tables that a frame in the types of a run of some schema breaks, in words."""
    if frame.height != 1:
        return f"it has {frame.height} rows where a run has one"
    for part, table in parts(of).items():
        rows = frame.select(part).explode(part) if part == "measures" else frame.select(part)
        counts = rows.drop_nulls().unnest(part).select(table.required).null_count().row(0, named=True)
        if missing := [name for name, count in counts.items() if count]:
            return f"{part} has no value for {', '.join(missing)}"
    return None


def left_out(path: Path, reason: str) -> str:
    """The sentence that names a file that is left out of the tables."""
    return f"{path.name} is left out, because {reason}: remove it or restore it."

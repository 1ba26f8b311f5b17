"""Run files: one Parquet row with one complete estimate each, and a checksum on every page."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh.errors import InputError
from softh.store import migrations, schema


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
    """Content of the run file of a record. Errors: ValueError when it breaks the rules of the tables."""
    for part, table in parts().items():
        for row in record[part] if part == "measures" else [record[part]]:
            if wrong := set(row) ^ set(table.types):
                raise ValueError(f"{part} of the record has missing or unknown columns: {', '.join(sorted(wrong))}.")
    frame = pl.DataFrame([{"schema_version": schema.version(), **record}], schema=types())
    if violation := _violation(frame, schema.version()):
        raise ValueError(f"The record is not a run: {violation}.")
    return _parquet(frame)


def find_defect(path: Path) -> str | None:
    """None for a valid run file, else one sentence that says what is wrong. Errors: InputError for a later schema."""
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
        version = newest(table)
        refuse_newer(version, f"The run {path.name}")
        # Compared before polars sees it, which panics at damaged types.
        # The name of the elements of a list is not compared, and may hold damaged characters.
        expected = table.schema.equals(_arrow_schema(version)) and "\ufffd" not in str(table.schema)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        return defect_sentence(path, f"it cannot be read as Parquet ({str(error).splitlines()[0]})")
    if not expected:
        return defect_sentence(path, "its columns are not those of a run")
    frame = pl.DataFrame(table)
    if violation := _violation(frame, version):
        return defect_sentence(path, violation)
    if frame["estimate"].struct.field("estimate_id").item() != path.stem:
        return defect_sentence(path, "it holds another estimate than its name says")
    return None


def refuse_newer(version: int, name: str) -> None:
    """Raise InputError for a table that a later softh wrote."""
    if version > schema.version():
        raise InputError(f"{name} is from schema {version}, this softh reads up to {schema.version()}: upgrade softh.")


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(arrow, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


@cache
def _arrow_schema(version: int) -> pa.Schema:
    return pq.read_schema(pa.BufferReader(_parquet(pl.DataFrame(schema=types(version)))))


def newest(table: pa.Table) -> int:
    """The highest schema_version in a file, 0 where there is none."""
    if "schema_version" not in table.column_names or table.schema.field("schema_version").type != pa.int32():
        return 0
    return max((value for value in table["schema_version"].to_pylist() if value is not None), default=0)


def _violation(frame: pl.DataFrame, version: int) -> str | None:
    """The first rule of the tables that a frame with the types of a run breaks, in words."""
    if frame.height != 1:
        return f"it has {frame.height} rows where a run has one"
    for part, table in parts(version).items():
        rows = frame.select(part).explode(part) if part == "measures" else frame.select(part)
        counts = rows.drop_nulls().unnest(part).select(table.required).null_count().row(0, named=True)
        if missing := [name for name, count in counts.items() if count]:
            return f"{part} has no value for {', '.join(missing)}"
    return None


def defect_sentence(path: Path, reason: str) -> str:
    """The sentence that names a file that is left out of the tables."""
    return f"{path.name} is left out, because {reason}: remove it or restore it."

"""One file of imported scores: rows of the table `benchmarks`, with a checksum on every page."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from softh.errors import InputError
from softh.store import run_files, schema


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
    if violation := _violation(frame, schema.version()):
        raise ValueError(f"The rows are not scores: {violation}.")
    buffer = io.BytesIO()
    pq.write_table(
        frame.to_arrow(compat_level=pl.CompatLevel.oldest()), buffer, compression="zstd", write_page_checksum=True
    )
    name = sha256(frame.drop("imported_at").write_json().encode()).hexdigest()[:16]
    return name, buffer.getvalue()


def find_defect(path: Path) -> str | None:
    """None for a valid file, else one sentence that says what is wrong. Errors: InputError for a later schema."""
    try:
        table = pq.read_table(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
        version = run_files.newest(table)
        run_files.refuse_newer(version, f"The scores {path.name}")
        expected = table.schema.equals(_arrow_schema(version))
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        return run_files.defect_sentence(path, f"it cannot be read as Parquet ({str(error).splitlines()[0]})")
    if not expected:
        return run_files.defect_sentence(path, "its columns are not those of scores")
    if violation := _violation(pl.DataFrame(table), version):
        return run_files.defect_sentence(path, violation)
    return None


@cache
def _arrow_schema(version: int) -> pa.Schema:
    buffer = io.BytesIO()
    pq.write_table(pl.DataFrame(schema=types(version)).to_arrow(compat_level=pl.CompatLevel.oldest()), buffer)
    return pq.read_schema(pa.BufferReader(buffer.getvalue()))


def _violation(frame: pl.DataFrame, version: int) -> str | None:
    """The first rule of the table that some rows break, in words."""
    if frame.is_empty():
        return "it has no rows"
    required = ["imported_at", *schema.table("benchmarks", version).required]
    if missing := [name for name in required if frame[name].null_count()]:
        return f"a score has no value for {', '.join(missing)}"
    if not frame["score"].is_finite().all():
        return "a score is not a finite number"
    return None

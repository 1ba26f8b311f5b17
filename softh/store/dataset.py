"""The tables as a data set: one Parquet file a table with a manifest of checksums, and back into a store."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from softh.errors import InputError, disk_errors
from softh.store import connection, read, schema, write

MANIFEST = "softh.json"
_ORDER = {**write.ORDER, "measures": "estimate_id, layer NULLS FIRST, quantity, variable, ngram, correction"}
_AT_ONCE = 50
"""Estimates whose measures are in memory together."""


@dataclass(frozen=True)
class File:
    """One table of a data set."""

    table: str
    rows: int
    size: int
    """Bytes."""
    sha256: str

    @property
    def name(self) -> str:
        """Of the file in the folder."""
        return f"{self.table}.parquet"


@dataclass(frozen=True)
class TakenIn:
    """What :func:`take_in` did."""

    stored: int
    known: int
    """Estimates that the store has already; they stay as they are."""
    refused: list[str]
    """A sentence for each estimate that breaks the rules of the tables."""
    scores: int


def save(data: Path, folder: Path, models: Sequence[str] = ()) -> list[File]:
    """Write all tables, or the rows of some models, into a folder; tables without a row are left out.

    Raises:
        InputError: for a model that the tables do not have, and when the folder cannot be written.
    """
    known = set(read.models(data)["model"])
    if unknown := sorted(set(models) - known):
        raise InputError(f"{unknown[0]!r} is not a model of the tables; expected one that `softh list` shows.")
    with disk_errors("The data set could not be written", folder), closing(connection.cursor(data)) as tables:
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for table, order in _ORDER.items():
            rows = f"FROM {table}" if table != "measures" else "FROM measures SEMI JOIN chosen USING (estimate_id)"
            if table == "estimates" or (models and table != "measures"):
                rows += " WHERE $models IS NULL OR list_contains($models, model)"
            if table == "measures":
                rows = "WITH chosen AS (FROM estimates WHERE $models IS NULL OR list_contains($models, model)) " + rows
            asked = {"models": list(models) or None} if "$models" in rows else {}
            reader = tables.sql(f"{rows} ORDER BY {order}", params=asked).to_arrow_reader(100_000)
            path, count = folder / f"{table}.parquet", 0
            with pq.ParquetWriter(path, reader.schema, compression="zstd", write_page_checksum=True) as file:
                for batch in reader:
                    file.write_batch(batch)
                    count += batch.num_rows
            if count == 0:
                path.unlink()
                continue
            found.append(File(table, count, path.stat().st_size, _digest(path)))
        manifest = {"schema_version": schema.version(), "files": {
            each.name: {"rows": each.rows, "bytes": each.size, "sha256": each.sha256} for each in found
        }}  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return found


def take_in(folder: Path, data: Path) -> TakenIn:
    """Store the estimates and scores of a data set, each estimate as a run of its own.

    Raises:
        InputError: for a folder without a manifest, a file that differs from it, and a newer schema.
    """
    tables = _checked(folder)
    write.check_writable(data)
    known = set(read.estimates(data)["estimate_id"]) | set(read.probes(data)["estimate_id"])
    stored, refused, new = 0, [], []
    if {"estimates", "models", "checkpoints", "measures"} <= tables.keys():
        new = [row for row in _rows(tables["estimates"]) if row["estimate_id"] not in known]
        for record in _records(tables, new):
            try:
                write.save(record, data)
                stored += 1
            except ValueError as error:  # of a record that breaks the rules; those of the disk are InputErrors
                if isinstance(error, InputError):
                    raise
                refused.append(f"{record['estimate']['estimate_id']}: {error}")
    scores = _rows(tables["benchmarks"]) if "benchmarks" in tables else []
    if scores:
        write.save_scores(scores, data)
    whole = len(_rows(tables["estimates"])) if "estimates" in tables else 0
    return TakenIn(stored, whole - len(new), refused, len(scores))


def _records(tables: dict[str, Path], estimates: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    models = {row["model"]: row for row in _rows(tables["models"])}
    checkpoints = {(row["model"], row["revision"], row["digest"]): row for row in _rows(tables["checkpoints"])}
    for start in range(0, len(estimates), _AT_ONCE):
        some = estimates[start : start + _AT_ONCE]
        ids = [row["estimate_id"] for row in some]
        measures = _frame("measures", tables["measures"]).filter(pl.col("estimate_id").is_in(ids)).collect()
        by_id = measures.partition_by("estimate_id", as_dict=True, include_key=False)
        for row in some:
            key = (row["model"], row["revision"], row["digest"])
            if row["model"] in models and key in checkpoints and (row["estimate_id"],) in by_id:
                yield {
                    "model": models[row["model"]], "checkpoint": checkpoints[key], "estimate": row,
                    "measures": by_id[row["estimate_id"],].to_dicts(),
                }  # fmt: skip


def _checked(folder: Path) -> dict[str, Path]:
    """Table → its file, after a look at the manifest and at every checksum."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, files = int(manifest["schema_version"]), dict(manifest["files"])
        digests = {str(name): str(about["sha256"]) for name, about in files.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is not a data set of softh ({MANIFEST}: {type(error).__name__}: {error}); expected a folder "
            "that `softh publish` wrote: name that."
        ) from None
    if version > schema.version():
        raise InputError(
            f"{folder} is from schema {version}, and this softh reads up to {schema.version()}: upgrade softh."
        )
    found = {}
    for table in schema.names():
        path = folder / f"{table}.parquet"
        if path.name not in digests:
            continue
        if not path.is_file() or _digest(path) != digests[path.name]:
            raise InputError(f"{path} is missing or differs from its checksum: fetch the data set again.")
        found[table] = path
    return found


def _frame(table: str, path: Path) -> pl.LazyFrame:
    types = schema.table(table).types
    return pl.scan_parquet(path, glob=False).select(
        pl.col(name).cast(kind) if name in pl.read_parquet_schema(path) else pl.lit(None, kind).alias(name)
        for name, kind in types.items()
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return _frame(path.stem, path).collect().to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read ({reason}): fetch the data set again.") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

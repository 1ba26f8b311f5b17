"""Reading a Parquet file of somebody else: by one reader, and its sizes before its contents."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from softh.store import schema, seal

LARGEST_FILE = 64 << 20
"""Bytes of a file; a run of a model of a hundred layers takes less than one million."""
LARGEST_CONTENT = 512 << 20
"""Bytes that the columns may take in memory, at most, by what the footer says of them."""
_LARGEST_FOOTER = 8 << 20


class DamagedError(ValueError):
    """A file that is not taken; its text is the reason."""


def read(path: Path, columns: Callable[[int], pa.Schema], what: str, rows: int) -> pa.Table:
    """Table in a file, with the columns of its schema. Errors: DamagedError.

    columns: version → the columns that a file of it has; what: what the file is, for the reason; rows: at most.
    """
    content = _content(path)
    if not seal.is_intact(content):
        raise DamagedError("its checksum differs from its content")
    try:
        file = pq.ParquetFile(
            pa.BufferReader(content), page_checksum_verification=True,
            thrift_string_size_limit=_LARGEST_FOOTER, thrift_container_size_limit=100_000,
        )  # fmt: skip
        _check_sizes(file.metadata, rows)
        version = _version(file)
        found = file.schema_arrow
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _unreadable(error) from error
    if version > schema.version():
        raise DamagedError(
            f"it is from schema {version}, this softh reads up to {schema.version()} (upgrade softh to see it)"
        )
    if version < 1 or not found.equals(columns(version)):
        raise DamagedError(f"its columns are not those of {what}")
    try:
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise _unreadable(error) from error
    return table


def _content(path: Path) -> bytes:
    try:
        # A pipe would wait for ever for somebody to write.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise DamagedError(f"it cannot be opened ({error.strerror})") from error
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise DamagedError("it is not a file")
    with os.fdopen(handle, "rb") as file:
        if state.st_size > LARGEST_FILE:
            raise DamagedError(f"it has {state.st_size:,} bytes where {LARGEST_FILE:,} are taken")
        try:
            return file.read(LARGEST_FILE)
        except OSError as error:
            raise DamagedError(f"it cannot be read ({error.strerror})") from error


def _check_sizes(footer: pq.FileMetaData, rows: int) -> None:
    """Refuse more rows than a file may have, or columns that may take more memory than there is for one."""
    if footer.num_rows > rows:
        raise DamagedError(f"it has {footer.num_rows:,} rows where {rows:,} are taken")
    bytes_at_most = 0
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            # One text may be named by every value.
            each = column.total_uncompressed_size if column.physical_type == "BYTE_ARRAY" else 8
            bytes_at_most += column.num_values * each
    if bytes_at_most > LARGEST_CONTENT:
        raise DamagedError(f"its columns may take {bytes_at_most:,} bytes where {LARGEST_CONTENT:,} are taken")


def _version(file: pq.ParquetFile) -> int:
    """The highest schema_version in a file, 0 where there is none."""
    name = "schema_version"
    if name not in file.schema_arrow.names or file.schema_arrow.field(name).type != pa.int32():
        return 0
    return max(filter(None, file.read([name], use_threads=False)[name].to_pylist()), default=0)


def _unreadable(error: Exception) -> DamagedError:
    if isinstance(error, DamagedError):
        return error
    first = (str(error) or type(error).__name__).splitlines()[0]
    return DamagedError(f"it cannot be read as Parquet ({first[:200]})")

"""Streams over uploaded archives that bound each read and the total, whatever the tables in the archive say."""

import io
import tarfile
import zipfile
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from softh.errors import InputError
from softh.format import format_size

_AT_ONCE = 1 << 20
"""Largest read, in bytes, and so the largest table of an archive; a thousand entries need a tenth of it."""


@dataclass(frozen=True)
class Limits:
    """Limits of an upload."""

    entries: int = 1_000
    total: int = 20 * 10**9
    """Bytes, unpacked."""
    ratio: int = 100
    """Unpacked bytes per packed byte; trained weights hardly compress."""


class Reader(Protocol):
    """Something to read bytes from."""

    def read(self, count: int = -1, /) -> bytes:
        """At most so many of the next bytes."""
        ...


def check_amount(count: int, total: int, packed: int, source: str, limits: Limits) -> None:
    """Errors: InputError for more files, bytes, or bytes for each packed one than an upload may have."""
    if count > limits.entries:
        raise InputError(f"{source} holds more than {limits.entries:,} files; expected those of one model: pack fewer.")
    if total > limits.total:
        raise InputError(
            f"{source} unpacks to more than {format_size(limits.total)}, the most that is taken; "
            "expected a smaller model: put it in a folder of the server and name the folder."
        )
    if total > limits.ratio * packed + _AT_ONCE:
        raise InputError(
            f"{source} unpacks to more than {limits.ratio} times its size; expected weights, which hardly shrink: "
            "pack the model's folder again."
        )


class Guarded(io.RawIOBase):
    """A file with bounded reads, whatever its tables say."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """To any place."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """Where it stands."""
        return self.file.tell()

    def read(self, count: int = -1, /) -> bytes:
        """Some bytes; BadZipFile when too many are asked for at once."""
        if count > _AT_ONCE:
            raise zipfile.BadZipFile("its tables are too long")
        return self.file.read(_AT_ONCE if count < 0 else count)


class Forward(io.RawIOBase):
    """A stream that is read forwards only, with bounded reads and a bounded total."""

    def __init__(self, file: Reader, source: str, limits: Limits, packed: int) -> None:
        self.file, self.source, self.limits, self.packed = file, source, limits, packed
        self.at = 0

    def tell(self) -> int:
        """Bytes read so far."""
        return self.at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Onwards only; ReadError for a step back."""
        if whence or offset < self.at:
            raise tarfile.ReadError("it must be read from end to end")
        while self.at < offset and self.read(min(offset - self.at, 1 << 16)):
            pass
        return self.at

    def read(self, count: int = -1, /) -> bytes:
        """Some bytes; ReadError when too many are asked for at once, InputError past the limits."""
        if not 0 <= count <= _AT_ONCE:
            raise tarfile.ReadError("its headers are too long")
        content = self.file.read(count)
        self.at += len(content)
        check_amount(0, self.at, self.packed, self.source, self.limits)
        return content

"""Uploaded zip and tar files, read entry by entry: every name, type and size is checked before a byte is written."""

import gzip
import io
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from softh.checkpoints.safetensors_header import short
from softh.errors import InputError
from softh.uploads.streams import Forward, Guarded, Limits, Reader, check_amount

NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar", ".jar", ".whl", ".lz4")
"""Endings of archives, which are not opened inside an archive."""
_LONGEST_NAME, _DEEPEST = 255, 8
_PLAIN_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, struct.error, UnicodeError,
    OverflowError, RecursionError, NotImplementedError, ValueError, KeyError, IndexError,
)  # fmt: skip


class ArchiveMember(NamedTuple):
    """A regular file of an archive, its name already checked."""

    path: PurePosixPath
    size: int
    """Bytes as the archive declares them; no more are read."""
    content: Reader


def entries(file: BinaryIO, source: str, limits: Limits) -> Iterator[ArchiveMember]:
    """Yield the files of an archive; each is read before the next is requested, or not at all.

    Errors: InputError for whatever is not a plain file inside the archive (links, devices, paths that lead out of it or
    can be read in two ways, archives, encryption), for a name given twice, for more than the limits, and for damage.
    """
    kind = _kind(file)
    if kind is None:
        raise InputError(
            f"{source} is not a known archive, or its beginning is damaged; expected a complete .zip, .tar or .tar.gz: "
            "pack it as one, or upload it again."
        )
    packed = file.seek(0, io.SEEK_END)
    file.seek(0)
    walk = _zip if kind == "zip" else _tar
    seen: set[str] = set()
    total = 0
    with _archive_errors(source):
        for entry in walk(file, kind, source, limits, packed):
            total += entry.size
            check_amount(len(seen) + 1, total, packed, source, limits)
            plain = str(entry.path).casefold()
            if plain in seen:
                raise InputError(f"{source} holds {short(str(entry.path))} twice; expected every file once: pack it "
                                 "again.")  # fmt: skip
            seen.add(plain)
            yield entry._replace(content=_Content(entry.content, source))


def check_name(name: str, source: str) -> PurePosixPath:
    """The path of an entry inside its archive.

    Errors: InputError for an absolute path, one that leads out, one that another system would read in another way,
    and for the name of an archive.
    """
    parts = name.removeprefix("./").rstrip("/").split("/")
    plain = (
        unicodedata.normalize("NFKC", name) == name
        and name.isprintable()
        and not any(letter in name for letter in '\\:*?"<>|')
        and all(part not in {"", ".", ".."} and len(part.encode()) <= _LONGEST_NAME for part in parts)
        and len(parts) <= _DEEPEST
    )
    if not plain:
        raise InputError(f"{source} holds a file named {short(name)}; expected plain relative names: pack the model's "
                         "folder again.")  # fmt: skip
    if name.lower().endswith(NESTED):
        raise InputError(f"{source} holds another archive, {short(name)}; expected the model's files themselves: "
                         "unpack it first.")  # fmt: skip
    return PurePosixPath(*parts)


def _kind(file: BinaryIO) -> str | None:
    file.seek(0)
    start = file.read(512)
    file.seek(0)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start.startswith(b"\x1f\x8b"):
        return "gzip"
    return "tar" if start[257:262] == b"ustar" else None


@contextmanager
def _archive_errors(source: str) -> Generator[None]:
    try:
        yield
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{source} cannot be unpacked ({short(str(error) or type(error).__name__)}); "
            "expected a complete .zip, .tar or .tar.gz: pack or upload it again."
        ) from error


def _zip(file: BinaryIO, _: str, source: str, limits: Limits, packed: int) -> Iterator[ArchiveMember]:
    with zipfile.ZipFile(Guarded(file)) as archive:
        infos = archive.infolist()
        check_amount(len(infos), sum(info.file_size for info in infos), packed, source, limits)
        _check_apart(infos, packed)
        for info in infos:
            path = check_name(info.orig_filename, source)
            if info.flag_bits & 1 or info.compress_type not in _PLAIN_METHODS:
                raise InputError(f"{source} is encrypted or packed in an uncommon way; expected a plain .zip: pack it "
                                 "again.")  # fmt: skip
            _check_kind(stat.S_IFMT(info.external_attr >> 16), str(path), source)
            if not info.is_dir():
                with archive.open(info) as content:
                    yield ArchiveMember(path, info.file_size, content)


def _check_apart(infos: list[zipfile.ZipInfo], packed: int) -> None:
    """Refuse entries that overlap: shared bytes let a small file unpack to a huge one."""
    end = 0
    for start, stop in sorted((info.header_offset, info.header_offset + 30 + info.compress_size) for info in infos):
        if start < end or stop > packed:
            raise zipfile.BadZipFile("its entries overlap")
        end = stop


def _check_kind(kind: int, path: str, source: str) -> None:
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise InputError(f"{source} holds {short(path)}, which is a link or a device; expected plain files: pack the "
                         "files themselves.")  # fmt: skip


def _tar(file: BinaryIO, kind: str, source: str, limits: Limits, packed: int) -> Iterator[ArchiveMember]:
    stream = Forward(gzip.GzipFile(fileobj=file) if kind == "gzip" else file, source, limits, packed)
    with tarfile.TarFile(fileobj=stream, mode="r") as archive:
        count = 0
        while (info := archive.next()) is not None:
            count += 1
            check_amount(count, info.size, packed, source, limits)
            if info.isdir() and info.name in {".", "./"}:
                continue
            path = check_name(info.name, source)
            if not (info.isdir() or info.type in {tarfile.REGTYPE, tarfile.AREGTYPE}) or info.issparse():
                _check_kind(stat.S_IFLNK, str(path), source)
            if info.size < 0:
                raise tarfile.ReadError("negative size")
            content = archive.extractfile(info) if info.isfile() else None
            if content is not None:
                yield ArchiveMember(path, info.size, content)


class _Content:
    """The bytes of an entry; damage found while reading raises an InputError too."""

    def __init__(self, content: Reader, source: str) -> None:
        self.content, self.source = content, source

    def read(self, count: int = -1, /) -> bytes:
        with _archive_errors(self.source):
            return self.content.read(count)

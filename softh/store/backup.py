"""Backups: tables, runs, scores and decks in one file with a digest of each, and their restoration."""

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from softh.errors import InputError, disk_errors
from softh.locks import lock
from softh.store import atomic, connection, packed, schema

MANIFEST = "softh-backup.json"
CONTENTS = (schema.DATABASE, "runs/*.parquet", "scores/*.parquet", "decks/*.json")
"""Files of the data folder in a backup; demo models and job records are not results."""
_NAME = re.compile(
    rf"{re.escape(schema.DATABASE)}|(?:runs|scores)/[0-9A-Za-z_-]{{1,64}}\.parquet|decks/(?!\.)[^/\\\x00-\x1f]{{1,200}}\.json"
)
_BLOCK = 1 << 20
_LARGEST_MANIFEST = 64 << 20
_RATIO = 200
"""Bytes that a byte of a backup may unpack to: results are compressed already."""
_LEFT_OVER = ".restore-"
"""Beginning of the name of the folder that a restore unpacks to."""


def write(data: Path, target: Path) -> int:
    """Write a backup and return how many files it holds.

    Errors: InputError when there is nothing to keep, and when the disk is full or the folder cannot be written.
    """
    connection.refresh()
    files = {path.relative_to(data).as_posix(): path for pattern in CONTENTS for path in sorted(data.glob(pattern))}
    files |= {f"{schema.RUNS}/{path.name}": path for path in connection.list_runs(data)}
    files = {name: path for name, path in files.items() if path.is_file()}
    if not files:
        raise InputError(f"{data} holds no tables, runs or decks; expected some to back up: check --data.")
    with disk_errors("The backup could not be written", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with atomic.replacing(target) as new, tarfile.open(new, mode="w:gz", compresslevel=1) as archive:
            digests = {name: _add(archive, name, path) for name, path in files.items()}
            manifest = {"schema_version": schema.version(), "files": digests}
            _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
    return len(files)


def read(source: Path, data: Path, *, replace: bool = False) -> tuple[int, int, list[str]]:
    """Restore a backup: files written, files that were the same, and names of those that differ and stay.

    Everything is unpacked beside the folder and checked before anything of it is touched. Errors: InputError for a
    file that is not a backup, is damaged, or was written by a later version, and when the folder cannot be written.
    """
    digests = _manifest(source)
    failure = f"{source} could not be restored"
    with disk_errors(failure, data):
        data.mkdir(parents=True, exist_ok=True)
        with lock(data, wait=0) as alone:
            if not alone:
                raise InputError(f"A pack or another restore is running in {data}; expected none: wait for it to end.")
            remove_leftovers(data)
            with tempfile.TemporaryDirectory(dir=data, prefix=_LEFT_OVER) as folder:
                _unpack(source, Path(folder), digests)
                return _publish(Path(folder), data, digests, replace=replace)


def remove_leftovers(data: Path, older: float = 0) -> int:
    """Remove what killed restores left in a folder, older than so many seconds; returns how many there were."""
    left = [path for path in data.glob(f"{_LEFT_OVER}*") if time.time() - path.stat().st_mtime >= older]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def _publish(folder: Path, data: Path, digests: dict[str, str], *, replace: bool) -> tuple[int, int, list[str]]:
    """Move checked files into the data folder; see :func:`read`."""
    written, same, different = 0, 0, []
    for name, digest in digests.items():
        target = data / name
        if target.is_file() and _digest(target) == digest:
            same += 1
        elif target.exists() and not replace:
            different.append(name)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic.publish(folder / name, target)
            written += 1
    return written, same, different


def _manifest(source: Path) -> dict[str, str]:
    """The digest of each file of a backup, whose members are exactly those; nothing is written for it."""
    content, names = b"", []
    most = _RATIO * source.stat().st_size + _LARGEST_MANIFEST if source.is_file() else 0
    with _Archive(source) as archive:
        for member in archive:
            most -= member.size
            if most < 0 or not member.isfile():
                raise InputError(
                    f"{source} holds {member.name[:200]!r}, which no backup of softh does; choose another."
                )
            if member.name == MANIFEST and member.size <= _LARGEST_MANIFEST:
                content = b"".join(archive.read(member))
            elif not _NAME.fullmatch(member.name):
                raise InputError(
                    f"The backup holds {member.name[:200]!r}; expected tables, runs, scores and decks alone."
                )
            else:
                names.append(member.name)
    digests = _parsed(content, source)
    if sorted(names) != sorted(digests):
        raise InputError(f"{source} is damaged: its files are not those of its manifest; restore another backup.")
    return digests


def _parsed(content: bytes, source: Path) -> dict[str, str]:
    """The files of a manifest. Errors: InputError for anything but a whole one."""
    if not content:
        raise InputError(f"{source} has no {MANIFEST}; expected a file of `softh backup`: check it.")
    try:
        manifest = json.loads(content)
        version, digests = manifest["schema_version"], manifest["files"]
        whole = type(version) is int and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise InputError(f"{source} is damaged: its {MANIFEST} cannot be read; restore another backup.")
    if version > schema.version():
        raise InputError(
            f"{source} was written with schema {version}, this softh reads up to {schema.version()}: "
            "upgrade softh first."
        )
    return digests


def _unpack(source: Path, folder: Path, digests: dict[str, str]) -> None:
    """Unpack a backup into a folder and check every file of it."""
    for name, digest in _members(source, folder):
        if name != MANIFEST and digests.get(name) != digest:
            raise InputError(
                f"{source} is damaged: the digest of {name} differs from its manifest; restore another backup."
            )
    if missing := [name for name in digests if not (folder / name).is_file()]:
        raise InputError(f"{source} is damaged: it lacks {missing[0]}; restore another backup.")
    if schema.DATABASE in digests:
        with duckdb.connect() as tables:
            packed.attach(tables, folder / schema.DATABASE)


def _members(source: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Unpack the files of a backup; yields name and digest of each."""
    with _Archive(source) as archive:
        for member in archive:
            if member.name == MANIFEST:
                continue
            place = folder / member.name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                file.writelines(archive.read(member))
            yield member.name, _digest(place)


class _BoundedReads(gzip.GzipFile):
    """A packed file that unpacks a bounded part at a time: tarfile takes some headers into memory whole."""

    def read(self, size: int | None = -1) -> bytes:
        """As gzip does. Errors: tarfile.ReadError for more than a header or a block can have."""
        if size is None or not 0 <= size <= _LARGEST_MANIFEST:
            raise tarfile.ReadError("a part of it has no end")
        return super().read(size)


class _Archive:
    """A tar file whose every read ends in a block, or an InputError that names the file."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def __enter__(self) -> "_Archive":
        with _read_errors(self.source):
            self.file = _BoundedReads(self.source)
            self.tar = tarfile.open(fileobj=self.file, mode="r:")
        return self

    def __exit__(self, *_: object) -> None:
        self.tar.close()
        self.file.close()

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while True:
            with _read_errors(self.source):
                member = self.tar.next()
            if member is None:
                return
            yield member

    def read(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of a file, a block at a time."""
        with _read_errors(self.source):
            stream = self.tar.extractfile(member)
        while stream is not None:
            with _read_errors(self.source):
                block = stream.read(_BLOCK)
            if not block:
                return
            yield block


@contextmanager
def _read_errors(source: Path) -> Generator[None]:
    """Turn whatever reading a damaged archive raises into an InputError."""
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise InputError(
            f"{source} is not a backup, or is damaged ({error}); expected a file of `softh backup`: check it."
        ) from None


def _sweep(target: Path) -> None:
    """Remove what killed backups left beside it; one that is being written is younger."""
    for path in target.parent.glob("*.tmp"):
        left = re.fullmatch(r"softh-[0-9a-f]{32}\.tmp", path.name)
        if left and time.time() - path.stat().st_mtime > 600:
            path.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file as it stands now, whole: runs never change, and a pack swaps the database by its name."""
    content = path.read_bytes()
    _add_bytes(archive, name, content)
    return hashlib.sha256(content).hexdigest()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

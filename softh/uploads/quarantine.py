"""Quarantine: each upload is written to a folder of its own until it is accepted, and nowhere else."""

import errno
import shutil
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from softh.errors import InputError
from softh.format import format_size
from softh.locks import lock
from softh.store import atomic
from softh.uploads.streams import Reader

_WAITING = ".quarantine-"
_CHUNK = 1 << 20
"""Bytes that are read at a time."""
_RESERVE = 256 * 2**20
"""Bytes of the disk that an upload leaves free."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def quarantine(uploads: Path) -> Generator[Path]:
    """An empty folder inside ``uploads``, deleted with its content when the block ends, however it ends.

    A folder that a killed process left is deleted at the next upload, because its lock was released with the process.
    Errors: InputError when the disk is full or the folder cannot be written.
    """
    with disk_errors():
        uploads.mkdir(parents=True, exist_ok=True)
        with lock(uploads / ".lock"):
            _remove_abandoned(uploads)
            folder = uploads / f"{_WAITING}{uuid.uuid4().hex}"
            folder.mkdir(mode=0o700)
            held = ExitStack()
            held.enter_context(lock(folder))
    with held:
        try:
            yield folder
        finally:
            with lock(uploads / ".lock"):  # otherwise the next upload could lock a path that is being deleted
                shutil.rmtree(folder, ignore_errors=True)


def write_stream(content: Reader, path: Path, most: int, what: str) -> int:
    """Write a stream to a new file; returns its bytes. Errors: InputError beyond `most` bytes, or on a full disk."""
    written = 0
    with disk_errors(), path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise InputError(f"{what} has more than {most:,} bytes; expected at most these: check the file.")
            file.write(chunk)
    return written


def check_room(folder: Path, needed: int) -> None:
    """Errors: InputError when the disk has less space than needed, in bytes."""
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE > free:
        raise InputError(
            f"The upload needs {format_size(needed)} and the disk has {format_size(free)} free; "
            "expected room for it: delete something, or set SOFTH_DATA to a larger disk."
        )


def publish(folder: Path, home: Path) -> bool:
    """Move an accepted folder to its place in one step; False when the same content is there already.

    Errors: InputError when the disk is full.
    """
    with disk_errors():
        for path in (*folder.iterdir(), folder):
            atomic.sync(path)
        try:
            folder.rename(home)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        atomic.sync(home.parent)
    return True


def remove(home: Path) -> None:
    """Delete an accepted folder: moved into quarantine in one step, then deleted file by file."""
    with quarantine(home.parent) as folder:
        home.rename(folder / home.name)


@contextmanager
def disk_errors() -> Generator[None]:
    """Turn errors of a full or read-only disk into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL | {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise
        why = "is full" if error.errno in _FULL else "cannot be written"
        raise InputError(
            f"The disk {why} ({error.strerror}) and nothing of the upload was kept; expected room for it: "
            "delete something, or set SOFTH_DATA to another folder."
        ) from error


def _remove_abandoned(uploads: Path) -> None:
    """Remove the folders of uploads whose process was killed: nobody holds their locks."""
    for folder in uploads.glob(f"{_WAITING}*"):
        with lock(folder, wait=0) as taken:
            if taken:
                shutil.rmtree(folder, ignore_errors=True)

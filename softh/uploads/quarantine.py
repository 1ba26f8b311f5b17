"""A folder of its own for every upload until it is accepted; whatever happens, nothing else is ever written."""

import errno
import os
import shutil
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from softh.errors import InputError
from softh.format import format_size
from softh.locks import lock
from softh.uploads.streams import Reader

_WAITING = ".quarantine-"
_PIECE = 1 << 20
_RESERVE = 256 * 2**20
"""Bytes of the disk that an upload leaves to everybody else."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def quarantine(uploads: Path) -> Generator[Path]:
    """An empty folder inside ``uploads``, gone with all it holds when the block ends, however it ends.

    A folder that a killed process left behind goes when the next upload comes: its lock has died with its owner.
    Errors: InputError when the disk is full or the folder cannot be written.
    """
    with disk_in_sentences():
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
            shutil.rmtree(folder, ignore_errors=True)


def keep(content: Reader, path: Path, most: int, what: str) -> int:
    """Write a stream to a new file, piece by piece; its bytes. Errors: InputError past ``most``, or on a full disk."""
    written = 0
    with disk_in_sentences(), path.open("xb") as file:
        while piece := content.read(_PIECE):
            written += len(piece)
            if written > most:
                raise InputError(f"{what} has more than {most:,} bytes; expected at most these: check the file.")
            file.write(piece)
    return written


def check_room(folder: Path, needed: int) -> None:
    """Errors: InputError when the disk has not so many bytes to give."""
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
    with disk_in_sentences():
        for path in (*folder.iterdir(), folder):
            _sync(path)
        try:
            folder.rename(home)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        _sync(home.parent)
    return True


def remove(home: Path) -> None:
    """Take an accepted folder away: out of sight in one step, then file by file."""
    with quarantine(home.parent) as folder:
        home.rename(folder / home.name)


@contextmanager
def disk_in_sentences() -> Generator[None]:
    """A full disk is something a person can mend. Errors: InputError."""
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


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

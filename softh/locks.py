"""Locks between processes, on files or folders; the system releases them when their process ends, however it ends."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.1
"""Seconds between two attempts to take a lock."""

if sys.platform == "win32":
    import msvcrt

    def _open(path: Path) -> int:
        # A folder cannot be opened there, and a region of a file has no shared lock: readers exclude each other too.
        return os.open(path / ".lock" if path.is_dir() else path, os.O_RDWR | os.O_CREAT)

    def _try(handle: int, *, shared: bool) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _open(path: Path) -> int:
        return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o644)

    def _try(handle: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def lock(path: Path, *, shared: bool = False, wait: float | None = None) -> Generator[bool]:
    """Hold the lock of a file (made when there is none) or of a folder; whether it was taken.

    Args:
        path: what is locked.
        shared: others may hold it shared as well, nobody exclusively.
        wait: seconds to go on trying; None for as long as it takes, 0 for a single attempt.

    Raises:
        OSError: the file cannot be opened or made.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with lock(folder / "a.lock") as first, lock(folder / "a.lock", wait=0) as second:
    ...     first, second
    (True, False)
    """
    handle = _open(path)
    try:
        until = None if wait is None else time.monotonic() + wait
        while not (taken := _try(handle, shared=shared)) and (until is None or time.monotonic() < until):
            time.sleep(_POLL)
        yield taken
    finally:
        os.close(handle)

"""Files that appear whole or not at all, and survive a power cut."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(target: Path) -> Generator[Path]:
    """A temporary path beside `target`, which takes its name once the block has ended without an error.

    What the block wrote is on disk before the name changes, so that nobody ever sees a part of it; after an error
    nothing is left behind.
    """
    new = target.with_name(f"softh-{uuid4().hex}.tmp")  # plain and short, whatever the target is called
    try:
        yield new
        publish(new, target)
    finally:
        new.unlink(missing_ok=True)


def publish(new: Path, target: Path) -> None:
    """Give a complete file of the same disk its final name, once its content is on disk."""
    sync(new)
    new.replace(target)
    sync(target.parent)


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file of these bytes; see :func:`replacing`."""
    with replacing(target) as new:
        new.write_bytes(content)


def remove(path: Path, state: os.stat_result) -> None:
    """Remove a file, unless it was written again since it had this state."""
    now = path.stat()
    if (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
        path.unlink()


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    if path.is_dir() and sys.platform == "win32":
        return  # a folder cannot be opened there
    handle = os.open(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

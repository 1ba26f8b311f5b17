"""Files that appear whole or not at all, and outlast a power cut."""

import os
from pathlib import Path
from uuid import uuid4


def replace(target: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees a part of it, and so that a power cut does not lose it."""
    new = target.with_name(f"{target.stem}.{uuid4().hex}.tmp")
    try:
        new.write_bytes(content)
        sync(new)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    sync(target.parent)


def remove(path: Path, state: os.stat_result) -> None:
    """Remove a file, unless it was written again since it had this state."""
    now = path.stat()
    if (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
        path.unlink()


def sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""A bounded cache of tensors on disk, in safetensors format with a checksum; no pickle is written or read."""

import logging
import os
import sqlite3
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import diskcache
import torch
from diskcache import Cache
from diskcache.core import MODE_PICKLE, UNKNOWN
from safetensors.torch import load, save

from softh import settings
from softh.errors import InputError

_PLAIN = (str, bytes, int)
_CHECKSUM = 4
"""Bytes of the CRC-32 before every tensor; its key is part of it, so that none is taken for another."""
_DAMAGED = "damaged"
"""Entry that counts the values that were found damaged."""
_ERRORS = (OSError, sqlite3.Error, diskcache.Timeout)
"""Disk full, folder not writable, database damaged, or locked for a minute."""


class SafeDisk(diskcache.Disk):
    """Text, bytes and whole numbers only: anything that diskcache would pickle is refused, both in and out."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """Key as the table stores it; TypeError for a key that would be pickled."""
        _refuse_unless_plain(key)
        return super().put(key)

    def get(self, key: Any, raw: bool) -> Any:
        """Key from the table; TypeError for one that was pickled."""
        if not raw:
            raise TypeError("The cache has a pickled key, which is never opened.")
        return super().get(key, raw)

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, Any]:
        """Value as the table stores it; TypeError for a value that would be pickled."""
        if not read:
            _refuse_unless_plain(value)
        return super().store(value, read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Value from the table; TypeError for one that was pickled."""
        if mode == MODE_PICKLE:
            raise TypeError("The cache has a pickled value, which is never opened.")
        return super().fetch(mode, filename, value, read)

    def _write(self, full_path: str, iterator: Any, mode: str, encoding: str | None = None) -> int:
        try:
            return super()._write(full_path, iterator, mode, encoding)
        except OSError:
            # A partial file without a row would take disk space that nothing counts.
            self.remove(os.path.relpath(full_path, self._directory))
            raise


def open_cache(folder: Path) -> Cache:
    """Open the cache in a folder, of at most SOFTH_CACHE_GB GiB; the least recently used entries go first.

    Raises:
        InputError: when SOFTH_CACHE_GB is not a positive number, or the folder cannot be used.
    """
    size = int(settings.number("SOFTH_CACHE_GB") * 2**30)
    try:
        return Cache(folder, disk=SafeDisk, size_limit=size, eviction_policy="least-recently-used")
    except _ERRORS as error:
        raise _unusable(folder, error) from error


def remove_orphans(folder: Path, older: float = 3600) -> int:
    """Delete files older than `older` seconds that a killed process left without a row; returns how many."""
    table = folder / diskcache.core.DBNAME
    if not table.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{table.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
            # Listed before the table is read: a file that is written meanwhile has its row by then.
            files = [path for path in folder.glob("*/*/*.val") if time.time() - path.stat().st_mtime >= older]
            names = {name for (name,) in connection.execute("SELECT filename FROM Cache WHERE filename IS NOT NULL")}
        orphans = [path for path in files if str(path.relative_to(folder)) not in names]
        for path in orphans:
            path.unlink(missing_ok=True)
    except _ERRORS as error:
        raise _unusable(folder, error) from error
    return len(orphans)


def set_tensor(cache: Cache, key: str, tensor: torch.Tensor) -> None:
    """Store one tensor.

    Raises:
        InputError: when the disk is full or cannot be written.
    """
    try:
        content = save({"": tensor.contiguous().cpu()})
        cache.set(key, _checksum(key, content) + content)
    except _ERRORS as error:
        raise _unusable(cache.directory, error) from error


def get_tensor(cache: Cache, key: str) -> torch.Tensor | None:
    """Return the tensor stored under `key`; None when it was evicted, or damaged on disk, which is counted."""
    try:
        stored = cache.get(key)
        if stored is None or (tensor := _decoded(key, stored)) is not None:
            return None if stored is None else tensor
        cache.delete(key)
        count = cache.incr(_DAMAGED)
    except _ERRORS as error:
        raise _unusable(cache.directory, error) from error
    logging.getLogger(__name__).warning(
        "A value of the cache in %s was damaged and is computed again; %d were so far.", cache.directory, count
    )
    return None


def count_damaged(folder: Path) -> int:
    """How many values of the cache in a folder were found damaged and computed again.

    Raises:
        InputError: when the cache cannot be used.
    """
    if not (folder / diskcache.core.DBNAME).exists():
        return 0
    with open_cache(folder) as cache:
        try:
            return int(cache.get(_DAMAGED) or 0)
        except (*_ERRORS, TypeError, ValueError) as error:
            raise _unusable(folder, error) from error


def _checksum(key: str, content: bytes) -> bytes:
    return zlib.crc32(content, zlib.crc32(key.encode())).to_bytes(_CHECKSUM)


def _decoded(key: str, stored: object) -> torch.Tensor | None:
    """The tensor stored under a key; None where its checksum, or what it is, is another."""
    if not isinstance(stored, bytes):
        return None
    checksum, content = stored[:_CHECKSUM], stored[_CHECKSUM:]
    return load(content)[""] if _checksum(key, content) == checksum else None


def _unusable(folder: Path | str, error: Exception) -> InputError:
    reason = str(error) or "another process holds it"
    return InputError(
        f"The cache in {folder} cannot be used ({reason}); expected a folder with free space to write to: "
        "delete it, which is always safe, or set SOFTH_CACHE_GB lower."
    )


def _refuse_unless_plain(value: Any) -> None:
    # diskcache pickles whole numbers of more than 64 bits.
    if type(value) not in _PLAIN or (type(value) is int and not -(2**63) <= value < 2**63):
        raise TypeError(f"The cache takes text, bytes and 64-bit integers, not {type(value).__name__}.")

"""A bounded cache on disk that holds tensors in safetensors form and can never run a pickle."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import diskcache
import torch
from diskcache import Cache
from diskcache.core import MODE_PICKLE, UNKNOWN
from safetensors import SafetensorError
from safetensors.torch import load, save

from softh import settings
from softh.errors import InputError

_PLAIN = (str, bytes, int)
_TROUBLE = (OSError, sqlite3.Error, diskcache.Timeout)
"""Disk full, folder not ours, database damaged, or locked for a minute. Retrying for ever would hang instead."""


class SafeDisk(diskcache.Disk):
    """Text, bytes and whole numbers only: anything that diskcache would pickle is refused, both in and out."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """Key as the table holds it; TypeError for a key that would be pickled."""
        _refuse_unless_plain(key)
        return super().put(key)

    def get(self, key: Any, raw: bool) -> Any:
        """Key from the table; TypeError for one that was pickled."""
        if not raw:
            raise TypeError("The cache holds a pickled key, which is never opened.")
        return super().get(key, raw)

    def store(self, value: Any, read: bool, key: Any = UNKNOWN) -> tuple[int, int, str | None, Any]:
        """Value as the table holds it; TypeError for a value that would be pickled."""
        if not read:
            _refuse_unless_plain(value)
        return super().store(value, read, key=key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Value from the table; TypeError for one that was pickled."""
        if mode == MODE_PICKLE:
            raise TypeError("The cache holds a pickled value, which is never opened.")
        return super().fetch(mode, filename, value, read)

    def _write(self, full_path: str, iterator: Any, mode: str, encoding: str | None = None) -> int:
        try:
            return super()._write(full_path, iterator, mode, encoding)
        except OSError:
            # Half a file that no row points to would fill the disk unseen.
            self.remove(os.path.relpath(full_path, self._directory))
            raise


def open_cache(folder: Path) -> Cache:
    """The cache in ``folder``, at most SOFTH_CACHE_GB GiB, least recently used entries leave first.

    Errors: InputError when SOFTH_CACHE_GB is not a positive number or the folder cannot be used.
    """
    size = int(settings.number("SOFTH_CACHE_GB") * 2**30)
    try:
        return Cache(folder, disk=SafeDisk, size_limit=size, eviction_policy="least-recently-used")
    except _TROUBLE as error:
        raise _unusable(folder, error) from error


def sweep(folder: Path, older: float = 3600) -> int:
    """Remove values that a killed process left without a row of the table, older than so many seconds; how many."""
    table = folder / diskcache.core.DBNAME
    if not table.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{table.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
            # Listed before the table is read: a value that is written meanwhile has a row when it is looked up.
            values = [path for path in folder.glob("*/*/*.val") if time.time() - path.stat().st_mtime >= older]
            known = {name for (name,) in connection.execute("SELECT filename FROM Cache WHERE filename IS NOT NULL")}
        orphans = [path for path in values if str(path.relative_to(folder)) not in known]
        for path in orphans:
            path.unlink(missing_ok=True)
    except _TROUBLE as error:
        raise _unusable(folder, error) from error
    return len(orphans)


def remember(cache: Cache, key: str, tensor: torch.Tensor) -> None:
    """Store one tensor. Errors: InputError when the disk is full or cannot be written."""
    try:
        cache.set(key, save({"": tensor.contiguous().cpu()}))
    except _TROUBLE as error:
        raise _unusable(cache.directory, error) from error


def recall(cache: Cache, key: str) -> torch.Tensor | None:
    """The tensor stored under ``key``; None when it has left the cache or was damaged on disk."""
    try:
        content = cache.get(key)
        return None if content is None else load(content)[""]
    except (SafetensorError, KeyError):
        return None
    except _TROUBLE as error:
        raise _unusable(cache.directory, error) from error


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

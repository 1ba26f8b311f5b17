"""A bounded cache on disk that holds tensors in safetensors form and can never run a pickle."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import diskcache
import torch
from diskcache import Cache
from diskcache.core import MODE_PICKLE, UNKNOWN
from safetensors import SafetensorError
from safetensors.torch import load, save

from softh.errors import InputError

DEFAULT_GB = 16.0
_PLAIN = (str, bytes, int)


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


def open_cache(folder: Path) -> Cache:
    """The cache in ``folder``, at most SOFTH_CACHE_GB (16) gigabytes, least recently used entries leave first.

    Errors: InputError when the bound is no positive number or the folder cannot be used.
    """
    bound = os.environ.get("SOFTH_CACHE_GB", str(DEFAULT_GB))
    try:
        size = int(float(bound) * 2**30)
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise InputError(f"SOFTH_CACHE_GB was {bound!r}; expected gigabytes above zero: set it to 16, say.")
    try:
        return Cache(folder, disk=SafeDisk, size_limit=size, eviction_policy="least-recently-used")
    except (OSError, sqlite3.Error, diskcache.Timeout) as error:
        raise InputError(
            f"The cache in {folder} cannot be used ({error}); expected a folder to write to: delete or move it."
        ) from error


def remember(cache: Cache, key: str, tensor: torch.Tensor) -> None:
    """Store one tensor. Errors: InputError when the disk is full or cannot be written."""
    try:
        cache.set(key, save({"": tensor.contiguous().cpu()}), retry=True)
    except (OSError, sqlite3.OperationalError) as error:
        raise InputError(
            f"The cache in {cache.directory} cannot be written ({error}); expected free space: "
            "delete the folder, which is always safe, or set SOFTH_CACHE_GB lower."
        ) from error


def recall(cache: Cache, key: str) -> torch.Tensor | None:
    """The tensor stored under ``key``; None when it has left the cache or was damaged on disk."""
    content = cache.get(key, retry=True)
    try:
        return None if content is None else load(content)[""]
    except (SafetensorError, KeyError):
        return None


def _refuse_unless_plain(value: Any) -> None:
    # diskcache pickles whole numbers of more than 64 bits.
    if type(value) not in _PLAIN or (type(value) is int and not -(2**63) <= value < 2**63):
        raise TypeError(f"The cache takes text, bytes and 64-bit integers, not {type(value).__name__}.")

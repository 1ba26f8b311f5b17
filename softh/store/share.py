"""Runs on a share, any fsspec URL (SOFTH_RUNS): written there, and read from local copies, each fetched once."""

import json
import os
import re
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from softh import settings
from softh.errors import InputError
from softh.store import atomic
from softh.store.parquet import LARGEST_FILE

POLL_INTERVAL = 5.0
"""Seconds between two polls of a share."""
QUERY_WAIT = 3.0
"""Seconds that a query waits for a poll, unless the last one failed; then it is answered from the copies."""
PUT_WAIT = 30.0
"""Seconds to wait until a new estimate is on the share; it stays in data/runs until it is."""
_BATCH = 64
"""Files that are fetched at a time."""
_STATE = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")
"""What backends report of a file that changes when it is written again."""


def configured_share() -> "Share | None":
    """The share that SOFTH_RUNS names, or None where runs are stored in the folder of the tables."""
    url = settings.runs()
    return _share_of(url, settings.cache()) if url else None


def local_path(url: str) -> Path | None:
    """The path that a URL or a path of this machine stands for; None for anything else."""
    fs, root = _filesystem(url)
    return Path(root) if isinstance(fs, LocalFileSystem) else None


def upload(file: Path, url: str) -> None:
    """Write one file to a URL. Raises InputError, whatever the backend says."""
    with _backend_errors(url, "check the address and what you may write there"):
        fs, root = _filesystem(url)
        fs.put_file(str(file), root)


class Share:
    """One share and the local copies of its runs."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.error: str | None = None
        """Why the share could not be used, in one sentence."""
        self._left_out: dict[str, str] = {}
        """Name of an entry that is no file of a run → why it is not fetched."""
        self._unreachable = False
        self._poll_started, self._poll = -POLL_INTERVAL, Thread()
        self._starting, self._syncing = Lock(), Lock()

    def poll(self) -> Path:
        """The folder of copies of its runs; starts a poll when the last is a while ago, and waits a bit for it."""
        with self._starting:
            wait = 0.0 if self._unreachable else QUERY_WAIT
            if not self._poll.is_alive() and time.monotonic() >= self._poll_started + POLL_INTERVAL:
                self._poll_started, self._poll = time.monotonic(), Thread(target=self._try_fetch, daemon=True)
                self._poll.start()
        if self._poll.is_alive():
            self._poll.join(max(0.0, self._poll_started + wait - time.monotonic()))
        return self.folder

    def warnings(self) -> list[str]:
        """One sentence where the share cannot be used or is slow, and one for each entry that is left out."""
        left_out = [
            f"{without_password(self.url)}/{name} is left out, because {reason}: remove it."
            for name, reason in sorted(self._left_out.items())
        ]
        if self.error is None and self._poll.is_alive():
            slow = "is slow to answer: what was fetched before is shown, the rest as it comes."
            return [f"{without_password(self.url)} {slow}", *left_out]
        return [*filter(None, [self.error]), *left_out]

    def fetch(self) -> None:
        """Fetch the runs of the share, however long that takes. Raises InputError when it cannot be reached."""
        remedy = "what was fetched before is shown; check SOFTH_RUNS and the network"
        with self._syncing, _backend_errors(self.url, remedy):
            fs, root = _filesystem(self.url)
            self.folder.mkdir(parents=True, exist_ok=True)
            known = self._read_index()
            remote, self._left_out = _list(fs, root, known)
            for name in known.keys() - remote.keys():
                self._copy(name).unlink(missing_ok=True)
            index = {
                name: state for name, state in remote.items() if known.get(name) == state and self._copy(name).exists()
            }
            missing = [name for name in remote if name not in index]
            for start in range(0, len(missing), _BATCH):
                index |= {name: remote[name] for name in self._download(fs, root, missing[start : start + _BATCH])}
                self._write_index(index)
            if known.keys() - remote.keys():
                self._write_index(index)
        self.error, self._unreachable = None, False

    def put_briefly(self, runs: Sequence[Path]) -> None:
        """:meth:`put`, but wait PUT_WAIT seconds at most and report errors as a warning only."""
        work = Thread(target=self._try_put, args=(runs,), daemon=True)
        work.start()
        work.join(PUT_WAIT)

    def put(self, runs: Sequence[Path]) -> None:
        """Move run files to the share, however long that takes. Raises InputError when it refuses them."""
        remedy = "new estimates wait in data/runs; `python -m softh pack` tries again"
        with self._syncing, _backend_errors(self.url, remedy):
            fs, root = _filesystem(self.url)
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in runs:
                state, content = path.stat(), path.read_bytes()
                _write(fs, f"{root}/{path.name}", content)
                atomic.write_bytes(self._copy(path.name), content)
                atomic.remove(path, state)
        self._poll_started = -POLL_INTERVAL  # the next query polls again

    def remove(self, name: str) -> None:
        """Delete a run from the share. Raises InputError when that cannot be done."""
        with self._syncing, _backend_errors(self.url, "nothing was deleted; check what you may do there"):
            fs, root = _filesystem(self.url)
            fs.rm_file(f"{root}/{name}")
            self._copy(name).unlink(missing_ok=True)
            self._write_index({other: state for other, state in self._read_index().items() if other != name})

    @property
    def _index(self) -> Path:
        return self.folder.with_name("listing.json")

    def _copy(self, name: str) -> Path:
        return self.folder / name

    def _try_fetch(self) -> None:
        try:
            self.fetch()
        except InputError as error:
            self.error, self._unreachable = str(error), True

    def _try_put(self, runs: Sequence[Path]) -> None:
        try:
            self.put(runs)
        except InputError as error:
            self.error = str(error)

    def _download(self, fs: AbstractFileSystem, root: str, names: Sequence[str]) -> Iterator[str]:
        """Fetch some files; yields the names of those that were still there."""
        for path, content in _contents(fs, [f"{root}/{name}" for name in names]).items():
            if isinstance(content, FileNotFoundError):
                continue
            if isinstance(content, Exception):
                raise content
            name = path.rpartition("/")[2]
            atomic.write_bytes(self._copy(name), content)
            yield name

    def _write_index(self, index: Mapping[str, str]) -> None:
        atomic.write_bytes(self._index, json.dumps(index).encode())

    def _read_index(self) -> dict[str, str]:
        """File → its state when it was fetched."""
        try:
            return json.loads(self._index.read_bytes())
        except (OSError, ValueError):  # nothing was fetched yet, or the cache was emptied
            return {}


@cache
def _share_of(url: str, folder: Path) -> Share:
    return Share(url, folder.absolute() / "shared" / sha256(os.fsencode(url)).hexdigest()[:16] / "runs")


def _filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the path in it. What is no URL is a path, whatever signs are in it."""
    return url_to_fs(url) if "://" in url else (LocalFileSystem(), str(Path(url).expanduser().absolute()))


def _contents(fs: AbstractFileSystem, paths: Sequence[str]) -> dict[str, Any]:
    """Path → content of its file, or the exception that reading it raised."""
    if isinstance(fs, LocalFileSystem):  # fsspec would take a path with * or ? for a pattern
        return {path: _read(path) for path in paths}
    return fs.cat(list(paths), on_error="return")


def _read(path: str) -> bytes | OSError:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        return error


def _list(fs: AbstractFileSystem, root: str, known: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Run file on the share → its state, and entry → why it is left out.

    Errors: FileNotFoundError when all known ones are gone: it is not mounted.
    """
    fs.invalidate_cache()
    try:
        entries: list[dict[str, Any]] = fs.ls(root, detail=True)
    except FileNotFoundError:
        if isinstance(fs, LocalFileSystem):
            raise
        entries = []  # a prefix of an object store exists from its first object on
    named = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
    runs = {name: entry for name, entry in named.items() if name.endswith(".parquet")}
    left_out = {name: reason for name, entry in runs.items() if (reason := _no_run(entry))}
    states = {name: repr([entry.get(key) for key in _STATE]) for name, entry in runs.items() if name not in left_out}
    if known and not states:
        raise FileNotFoundError("no run is there any more; is it mounted?")
    return states, left_out


def _no_run(entry: Mapping[str, Any]) -> str | None:
    """Why an entry of a folder cannot be a run, without a look into it."""
    if entry.get("type", "file") != "file" or entry.get("islink"):
        return "it is not a file"
    size = entry.get("size") or 0
    return f"it has {size:,} bytes where {LARGEST_FILE:,} are taken" if size > LARGEST_FILE else None


def _write(fs: AbstractFileSystem, path: str, content: bytes) -> None:
    """Write a file on the share, whole or not at all: in a folder by its name, in object stores by their nature."""
    if isinstance(fs, LocalFileSystem):
        atomic.write_bytes(Path(path), content)
    else:
        fs.pipe_file(path, content)


@contextmanager
def _backend_errors(url: str, remedy: str) -> Generator[None]:
    """Turn errors of a backend into an InputError with a remedy."""
    try:
        yield
    except Exception as error:  # each backend's library has exceptions of its own
        message = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip()
        reason = (message or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"{without_password(url)} cannot be used ({reason}): {remedy}.") from error


def without_password(url: str) -> str:
    """A URL without the user and the password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", url)

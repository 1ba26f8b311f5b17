"""Runs on a share, any fsspec URL (SOFTH_RUNS): written there, and read through copies that are fetched once."""

import json
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

EVERY = 5.0
"""Seconds between two looks at a share."""
PATIENCE = 3.0
"""Seconds that a question waits for a look, unless the one before failed; it is answered from the copies then."""
HANDING = 30.0
"""Seconds that whoever stored an estimate waits for the share to take it; after them it waits in data/runs."""
_TOGETHER = 64
"""Files that are fetched at a time."""
_STATE = ("size", "ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")
"""What backends tell of a file that changes when it is written again."""


def here() -> "Share | None":
    """The share that SOFTH_RUNS names, or None where runs are kept in the folder of the tables."""
    url = settings.runs()
    return _of(url, settings.cache()) if url else None


def local(url: str) -> Path | None:
    """The path that a URL or a path of this machine stands for; None for anything else."""
    fs, root = url_to_fs(url)
    return Path(root) if isinstance(fs, LocalFileSystem) else None


def publish(file: Path, url: str) -> None:
    """Put one file at a URL. Raises InputError, whatever the backend says."""
    with _in_words(url, "check the address and what you may write there"):
        fs, root = url_to_fs(url)
        fs.put_file(str(file), root)


class Share:
    """One share as this process knows it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.trouble: str | None = None
        """Why the share could not be used, in one sentence."""
        self._away = False
        self._began, self._look = -EVERY, Thread()
        self._starting, self._syncing = Lock(), Lock()

    def copies(self) -> list[Path]:
        """Copies of its runs; looks at it again when the last look is a while ago, and waits a moment for that."""
        with self._starting:
            patience = 0.0 if self._away else PATIENCE
            if not self._look.is_alive() and time.monotonic() >= self._began + EVERY:
                self._began, self._look = time.monotonic(), Thread(target=self._try_fetch, daemon=True)
                self._look.start()
        if self._look.is_alive():
            self._look.join(max(0.0, self._began + patience - time.monotonic()))
        return sorted(self.folder.glob("*.parquet"))

    def problem(self) -> str | None:
        """What is to be said of it on a page, in one sentence, or None."""
        if self.trouble is None and self._look.is_alive():
            return f"{shown(self.url)} is slow to answer: what was fetched before is shown, the rest as it comes."
        return self.trouble

    def fetch(self) -> None:
        """Make the copies those of the share, however long that takes. Raises InputError when it cannot be reached."""
        with self._syncing, _in_words(self.url, "what was fetched before is shown; check SOFTH_RUNS and the network"):
            fs, root = url_to_fs(self.url)
            self.folder.mkdir(parents=True, exist_ok=True)
            known = self._known()
            there = _listed(fs, root, known)
            for name in known.keys() - there.keys():
                self._copy(name).unlink(missing_ok=True)
            held = {name: there[name] for name in known if there.get(name) == known[name] and self._copy(name).exists()}
            missing = [name for name in there if name not in held]
            for start in range(0, len(missing), _TOGETHER):
                names = self._take(fs, root, missing[start : start + _TOGETHER])
                held |= {name: there[name] for name in names}
                self._note(held)
            if known.keys() - there.keys():
                self._note(held)
        self.trouble, self._away = None, False

    def offer(self, runs: Sequence[Path]) -> None:
        """Put run files on the share, and take them away here; what it does not take in time waits where it is."""
        work = Thread(target=self._try_put, args=(runs,), daemon=True)
        work.start()
        work.join(HANDING)

    def put(self, runs: Sequence[Path]) -> None:
        """The same, however long that takes. Raises InputError when the share does not take them."""
        with self._syncing, _in_words(self.url, "new estimates wait in data/runs; `python -m softh pack` tries again"):
            fs, root = url_to_fs(self.url)
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in runs:
                state, content = path.stat(), path.read_bytes()
                _write(fs, f"{root}/{path.name}", content)
                atomic.write_bytes(self._copy(path.name), content)
                atomic.remove(path, state)
        self._began = -EVERY  # the next question sees what else is there by now

    def remove(self, name: str) -> None:
        """Delete a run from the share. Raises InputError when that cannot be done."""
        with self._syncing, _in_words(self.url, "nothing was deleted; check what you may do there"):
            fs, root = url_to_fs(self.url)
            fs.rm_file(f"{root}/{name}")
            self._copy(name).unlink(missing_ok=True)
            self._note({other: state for other, state in self._known().items() if other != name})

    @property
    def _listing(self) -> Path:
        return self.folder.with_name("listing.json")

    def _copy(self, name: str) -> Path:
        return self.folder / name

    def _try_fetch(self) -> None:
        try:
            self.fetch()
        except InputError as error:
            self.trouble, self._away = str(error), True

    def _try_put(self, runs: Sequence[Path]) -> None:
        try:
            self.put(runs)
        except InputError as error:
            self.trouble = str(error)

    def _take(self, fs: AbstractFileSystem, root: str, names: Sequence[str]) -> Iterator[str]:
        """Fetch some files and name those that were still there."""
        for path, content in fs.cat([f"{root}/{name}" for name in names], on_error="return").items():
            if isinstance(content, FileNotFoundError):
                continue
            if isinstance(content, Exception):
                raise content
            name = path.rpartition("/")[2]
            atomic.write_bytes(self._copy(name), content)
            yield name

    def _note(self, held: Mapping[str, str]) -> None:
        atomic.write_bytes(self._listing, json.dumps(held).encode())

    def _known(self) -> dict[str, str]:
        """File → its state when it was fetched."""
        try:
            return json.loads(self._listing.read_bytes())
        except (OSError, ValueError):  # nothing was fetched yet, or somebody emptied the cache
            return {}


@cache
def _of(url: str, folder: Path) -> Share:
    return Share(url, folder.absolute() / "shared" / sha256(url.encode()).hexdigest()[:16] / "runs")


def _listed(fs: AbstractFileSystem, root: str, known: Mapping[str, str]) -> dict[str, str]:
    """Run file on the share → its state. Without any where some were known, the share is taken to be away."""
    fs.invalidate_cache()
    try:
        entries: list[dict[str, Any]] = fs.ls(root, detail=True)
    except FileNotFoundError:
        if isinstance(fs, LocalFileSystem):
            raise
        entries = []  # a prefix of an object store comes into being with its first object
    found = {entry["name"].rpartition("/")[2]: repr([entry.get(key) for key in _STATE]) for entry in entries}
    runs = {name: state for name, state in found.items() if name.endswith(".parquet")}
    if known and not runs:
        raise FileNotFoundError("no run is there any more; is it mounted?")
    return runs


def _write(fs: AbstractFileSystem, path: str, content: bytes) -> None:
    """A file on the share: whole or not at all in a folder, and in object stores, whose writes are so."""
    if isinstance(fs, LocalFileSystem):
        atomic.write_bytes(Path(path), content)
    else:
        fs.pipe_file(path, content)


@contextmanager
def _in_words(url: str, remedy: str) -> Generator[None]:
    """Say that a share was not reached, and what helps."""
    try:
        yield
    except Exception as error:  # each backend's library has exceptions of its own
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip()
        reason = (said or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"{shown(url)} cannot be used ({reason}): {remedy}.") from error


def shown(url: str) -> str:
    """A URL without the password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", url)

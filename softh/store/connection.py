"""Opening the store: the packed database read-only and the valid run files beside it, open until a file changes."""

import os
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any

import duckdb
import polars as pl

from softh import settings
from softh.errors import InputError
from softh.store import intake, packed, plane, run_files, schema
from softh.store.share import configured_share

VIEWS = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")
_FOLDERS = 4
"""Data folders whose stores stay open in a process."""
State = tuple[int, int, int]
"""Inode, time of change and size of a file."""


def version(data: Path, *, runs: bool = True) -> str:
    """Digest of the names and states of the files of the store: it changes whenever a table does, and opens none.

    Without `runs` one that changes whenever a benchmark score does.
    """
    files = _states(data) if runs else _listing(data / schema.SCORES)
    states = [(path.name, *state) for path, state in files.items()]
    return sha256(repr([_state(database(data)), *states]).encode()).hexdigest()[:16]


def database(data: Path) -> Path:
    """The packed database of a folder: its own, or the shipped one where the user's default folder has none yet.

    The shipped one is only read. The first pack writes its rows into the user's own, which is read from then on.
    """
    own, shipped = data / schema.DATABASE, settings.shipped()
    if shipped is None or own.exists() or data.absolute() != settings.data().absolute():
        return own
    return shipped / schema.DATABASE


def warnings(data: Path) -> list[str]:
    """:func:`invalid_files`, and one sentence for each thing that is wrong with the share of SOFTH_RUNS."""
    return invalid_files(data) + _share_warnings(data)


def invalid_files(data: Path) -> list[str]:
    """One sentence for each file of a run or of scores that is left out of the tables, and for packed rows that are."""
    store = _updated(data)
    return [*filter(None, store.defects.values()), *store.left_out]


def valid_runs(data: Path) -> list[Path]:
    """Run files that hold one complete estimate each."""
    return _valid(data, "run")


def valid_scores(data: Path) -> list[Path]:
    """Files of imported scores that can be read."""
    return _valid(data, "score")


def list_runs(data: Path) -> list[Path]:
    """Every run file, in data/runs or a copy of the share's, valid or not."""
    return [*_runs(data)]


def pending_uploads(data: Path) -> list[Path]:
    """The run files of data/runs: with a share, those that are not on it yet."""
    return [*_listing(data / schema.RUNS)]


def run_file(data: Path, estimate_id: str) -> Path | None:
    """The file of a run, in data/runs or a copy of the share's; None where there is none."""
    return next((path for path in list_runs(data) if path.name == f"{estimate_id}.parquet"), None)


def on_share(path: Path) -> bool:
    """Whether a run is the copy of one on a share."""
    share = configured_share()
    return share is not None and path.parent == share.folder


def refresh() -> None:
    """Fetch all runs of the share, if there is one. Raises InputError when it cannot be used."""
    if share := configured_share():
        share.fetch()


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """A new database in memory, with the views of views.sql over the packed database and the valid runs of data.

    No file is locked, and none can be read or changed through it; later changes of the files are not seen. Raises
    InputError when the database is of a newer schema or damaged.
    """
    store = _Store(data)
    store.update(_states(data))
    return store.usable()


@contextmanager
def temporary(records: Iterable[dict[str, Any]]) -> Generator[Path]:
    """A folder whose only estimates are these records, gone at the end: for questions about what is not stored.

    Nothing is put on a share, and runs that a share has are in its tables too: ask by the ids of the records.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / schema.RUNS).mkdir()
        for record in records:
            target = folder / schema.RUNS / f"{record['estimate']['estimate_id']}.parquet"
            target.write_bytes(run_files.encode(record))
        try:
            yield folder
        finally:
            _forget(folder)


def cursor(data: Path) -> duckdb.DuckDBPyConnection:
    """A cursor on the tables as the files are now, which all queries share. Raises InputError as :func:`connect`."""
    return _updated(data).usable().cursor()


def query(data: Path, sql: str, **parameters: object) -> pl.DataFrame:
    """Result of one statement over the views of views.sql; its parameters are written ``$name``.

    Raises InputError as :func:`connect` does, and when what it reads of the database is damaged.
    """
    with cursor(data) as tables:
        try:
            return tables.sql(sql, params=parameters).pl()
        except duckdb.ProgrammingError:
            raise
        except (duckdb.Error, pl.exceptions.PanicException) as error:
            _forget(data)
            reason = str(error).splitlines()[0]
            raise InputError(f"{database(data)} is damaged ({reason}): restore a backup.") from error


class _Store:
    """The tables of one folder in memory, brought up to date by the files that changed alone."""

    def __init__(self, data: Path) -> None:
        self.database = database(data)
        self.database_state = _state(self.database)
        self.files: dict[Path, State] = {}
        self.defects: dict[Path, str | None] = {}
        """File → None when it is valid, else one sentence that says why not."""
        self.left_out: list[str] = []
        """One sentence for each kind of packed rows that are not shown."""
        self.failure = ""
        """Why the database cannot be opened, in one sentence."""
        # What queries no longer use goes back to the system while nobody asks anything.
        self.connection = duckdb.connect(config={"allocator_background_threads": True})
        intake.create_tables(self.connection)
        try:
            self.left_out = packed.attach(self.connection, self.database)
            self.connection.execute(f"{packed.estimate_models(self.connection)}; {VIEWS}; {plane.SQL}")
            self.connection.execute(packed.means(self.connection))
        except InputError as error:
            self.failure = str(error)
        except duckdb.Error as error:
            self.failure = f"{self.database} is damaged ({str(error).splitlines()[0]}): restore a backup."
        finally:
            packed.lock(self.connection)

    def usable(self) -> duckdb.DuckDBPyConnection:
        """The connection. Raises InputError when the database cannot be opened."""
        if self.failure:
            raise InputError(self.failure)
        return self.connection

    def update(self, files: Mapping[Path, State]) -> None:
        """Leave out files that are gone, and take in those that are new or changed."""
        gone = [path for path, state in self.files.items() if files.get(path) != state]
        self._remove(gone)
        new = [path for path in files if path not in self.files]
        for tables, defects in intake.judge(new):
            for table, rows in tables.items():
                if rows.num_rows:
                    intake.insert(self.connection, table, rows)
            self.defects |= defects
            self.files |= {path: files[path] for path in defects}
        self.defects = {path: self.defects[path] for path in files}

    def _remove(self, paths: Iterable[Path]) -> None:
        intake.delete(self.connection, [path for path in paths if self.defects[path] is None])
        for path in paths:
            del self.files[path], self.defects[path]

    def inherit(self, other: "_Store") -> None:
        """Take over what another store of the folder has read of files."""
        intake.copy(other.connection, self.connection)
        self.files, self.defects = other.files, other.defects


_open_stores: dict[Path, _Store] = {}
"""Folder → its tables, the last used at the end. Opening costs as much as many queries, so a process keeps the stores
of a few folders open; :func:`_updated` and :func:`_forget` alone read and change this."""
_opening = RLock()


def _updated(data: Path) -> _Store:
    """The tables of a folder as its files are now."""
    folder = data.absolute()
    with _opening:
        # Files are listed before the database is opened. A pack swaps the database before it removes the runs, so in
        # this order every estimate is seen at least once, and the views let no estimate be seen twice.
        files = _states(data)
        known = _open_stores.pop(folder, None)
        now = (database(data), _state(database(data)))
        store = known if known and (known.database, known.database_state) == now else _Store(data)
        if known and store is not known:
            store.inherit(known)
        if files != store.files:
            store.update(files)
        _open_stores[folder] = store
        if len(_open_stores) > _FOLDERS:
            del _open_stores[next(iter(_open_stores))]
        return store


def _forget(data: Path) -> None:
    """Open the tables of a folder anew when they are next asked for: an error may have ended them."""
    with _opening:
        _open_stores.pop(data.absolute(), None)


def _states(data: Path) -> dict[Path, State]:
    """Files of runs and of scores with their states."""
    return _runs(data) | _listing(data / schema.SCORES)


def _runs(data: Path) -> dict[Path, State]:
    """Run files with their states; of a run that waits for the share and of its copy, the first, which is newer."""
    share = configured_share()
    copies = _listing(share.poll()) if share else {}
    runs = {path.name: (path, state) for path, state in [*copies.items(), *_listing(data / schema.RUNS).items()]}
    return dict(runs[name] for name in sorted(runs))


def _listing(folder: Path) -> dict[Path, State]:
    """The Parquet files of a folder by name, with their states; those that can be looked at."""
    found = {}
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    for entry in entries:
        if entry.name.endswith(".parquet") and (state := _state(folder / entry.name)):
            found[folder / entry.name] = state
    return found


def _share_warnings(data: Path) -> list[str]:
    """One sentence when the share, if there is one, cannot be used, and one when it lacks runs of data/runs."""
    share, pending = configured_share(), pending_uploads(data)
    if share is None:
        return []
    sentences = share.warnings()
    if pending:
        folder = data / schema.RUNS
        sentences.append(f"Not on the share yet: {len(pending)} run files in {folder}; run `python -m softh pack`.")
    return sentences


def _valid(data: Path, table: str) -> list[Path]:
    return [path for path, defect in _updated(data).defects.items() if defect is None and intake.kind(path) == table]


def _state(path: Path) -> State | None:
    """Inode, time of change and size of a file, or None when there is none."""
    try:
        status = path.stat()
    except OSError:  # gone, or a link to nothing
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

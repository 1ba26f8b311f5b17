"""Questions to the tables, one function each; every one opens the store, asks, and closes it again."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from softh.errors import InputError
from softh.store import runs, schema

VIEWS = Path(__file__).with_name("views.sql").read_text(encoding="utf-8")
ATTEMPTS = 5


def version(data: Path) -> str:
    """A key that changes whenever a table does; costs one look at the folder, opens nothing."""
    files = [data / schema.DATABASE, *_run_files(data)]
    states = [(path.name, *state) for path in files if (state := _state(path))]
    return sha256(repr(states).encode()).hexdigest()[:16]


def problems(data: Path) -> list[str]:
    """One sentence for each file in data/runs that is left out of the tables."""
    return [verdict for verdict in _verdicts(data).values() if verdict]


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """A connection of its own in memory, with the views of views.sql over the database and the sound runs of data.

    Nothing is locked and nothing can be changed through it. Raises InputError when a file is of a newer schema or
    the database is damaged. Read what you need soon: a pack may remove a run file, and then a query raises
    duckdb.IOException; :func:`query` opens the store again in that case.
    """
    # Runs are listed before the database is opened. A pack swaps the database before it removes the runs, so in this
    # order every estimate is seen at least once, and the views let no estimate be seen twice.
    files = sound_runs(data)
    connection = duckdb.connect()
    _attach(connection, data / schema.DATABASE)
    if files:
        connection.execute(f"CREATE VIEW run AS FROM read_parquet([{', '.join(map(quoted, files))}])")
    else:
        connection.register("run", pl.DataFrame(schema=runs.types()))
    connection.execute(VIEWS)
    return connection


def query(data: Path, sql: str, **parameters: object) -> pl.DataFrame:
    """Answer of one statement over the views of views.sql; parameters are written ``$name`` in it."""
    for _ in range(ATTEMPTS - 1):
        with suppress(duckdb.IOException), connect(data) as connection:
            return connection.sql(sql, params=parameters).pl()
    with connect(data) as connection:
        return connection.sql(sql, params=parameters).pl()


def models(data: Path) -> pl.DataFrame:
    """One row a model, ordered by name."""
    return query(data, "FROM models ORDER BY model")


def benchmarks(data: Path) -> pl.DataFrame:
    """One row a score."""
    return query(data, "FROM benchmarks ORDER BY model, revision, task, metric, source")


def estimates(data: Path) -> pl.DataFrame:
    """One row an estimate with its model, its checkpoint, its settings and its bits per byte (NULL without a head)."""
    return query(data, "FROM overview ORDER BY model, step, revision, created_at, estimate_id")


def estimate(data: Path, estimate_id: str) -> pl.DataFrame:
    """The row of :func:`estimates` whose id begins with estimate_id; InputError when none or several do."""
    found = query(data, "FROM overview WHERE starts_with(estimate_id, $id) ORDER BY estimate_id", id=estimate_id)
    if found.height == 1:
        return found
    if found.is_empty():
        raise InputError(
            f"No stored estimate has the id {estimate_id!r}: choose one that `python -m softh list` shows."
        )
    raise InputError(
        f"The id {estimate_id!r} begins {found.height} stored estimates ({', '.join(found['estimate_id'][:3])} …): "
        "give more of its digits."
    )


def measures(data: Path, estimate_id: str) -> pl.DataFrame:
    """Every stored number of one estimate, mean over layers first, then by layer; the id in full."""
    return query(
        data,
        "FROM measures WHERE estimate_id = $id "
        "ORDER BY layer NULLS FIRST, quantity, variable, ngram, correction = 'corrected', correction = 'null'",
        id=estimate_id,
    )


def record(data: Path, estimate_id: str) -> dict[str, Any]:
    """One estimate as it was saved, for machines: model, checkpoint, estimate and measures; the id in full."""
    parts = query(
        data,
        "SELECT models AS model, checkpoints AS checkpoint, estimates AS estimate FROM estimates "
        "JOIN models USING (model) JOIN checkpoints USING (model, revision, digest) WHERE estimate_id = $id",
        id=estimate_id,
    )
    return {**parts.row(0, named=True), "measures": measures(data, estimate_id).drop("estimate_id").to_dicts()}


def trajectory(
    data: Path,
    models: Sequence[str] | None = None,
    corpus: str | None = None,
    order: int | None = None,
    correction: str | None = None,
) -> pl.DataFrame:
    """Means over layers on the information plane, one row an estimate, n-gram order and correction.

    Columns: those of :func:`estimates`, then ngram, correction and, for each of input I(X;Z), output I(Y;Z),
    optimality and entropy, the value, ``_se_draws``, ``_se_documents`` and ``_draws`` (value of every draw), and for
    the first two ``_labels``. Compare rows of equal ``settings`` only. None leaves a column unfiltered.
    """
    return query(
        data,
        "SELECT overview.*, plane.* EXCLUDE (estimate_id, layer, positions) "
        "FROM overview JOIN plane USING (estimate_id) "
        "WHERE layer IS NULL AND ($models IS NULL OR list_contains($models, model)) "
        "AND ($corpus IS NULL OR corpus = $corpus) "
        "AND ($order IS NULL OR ngram = $order) AND ($correction IS NULL OR correction = $correction) "
        "ORDER BY model, settings, tokens, step, created_at, estimate_id, ngram, correction",
        models=None if models is None else list(models),
        corpus=corpus,
        order=order,
        correction=correction,
    )


def layers(data: Path, estimate_id: str, order: int | None = None, correction: str | None = None) -> pl.DataFrame:
    """Path of one estimate (its id in full) through the depth of its model, embedding (layer 0) included.

    One row a layer, n-gram order and correction, with the columns that :func:`trajectory` adds to an estimate.
    """
    return query(
        data,
        "FROM plane WHERE layer IS NOT NULL AND estimate_id = $id "
        "AND ($order IS NULL OR ngram = $order) AND ($correction IS NULL OR correction = $correction) "
        "ORDER BY ngram, correction, layer",
        id=estimate_id,
        order=order,
        correction=correction,
    )


def sound_runs(data: Path) -> list[Path]:
    """Run files that hold one whole estimate each."""
    return [path for path, verdict in _verdicts(data).items() if verdict is None]


def quoted(path: Path) -> str:
    """The path as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def _attach(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Open the packed database as ``packed``, or the same tables without rows where there is none."""
    if not database.exists():
        connection.execute(f"ATTACH ':memory:' AS packed; USE packed; {schema.SQL} USE memory")
        return
    try:
        connection.execute(f"ATTACH {quoted(database)} AS packed (READ_ONLY)")
        [(found,)] = connection.execute("FROM packed.schema_version").fetchall()
    except (duckdb.Error, ValueError) as error:
        raise InputError(
            f"{database} is not a database of softh ({str(error).splitlines()[0]}): restore it, or move it away."
        ) from error
    runs.refuse_newer(found, "The table")


def _run_files(data: Path) -> list[Path]:
    return sorted((data / schema.RUNS).glob("*.parquet"))


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does, or None when it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _verdicts(data: Path) -> dict[Path, str | None]:
    """Run file → None when it is sound, else what is wrong, in one sentence."""
    return {path: _verdict(path, state) for path in _run_files(data) if (state := _state(path))}


@cache
def _verdict(path: Path, state: tuple[int, int, int]) -> str | None:
    """The verdict on one state of one file; remembered, since a run file never changes."""
    return runs.verdict(path)

"""Queries of the tables, one function each, on the store as it is when they are called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from softh.errors import InputError
from softh.quantities import BY_COLUMN, CORRECTIONS, FURTHER, OF_THE_MODEL, PLANE
from softh.store import plane, schema
from softh.store.connection import (
    connect,
    invalid_files,
    list_runs,
    pending_uploads,
    query,
    refresh,
    temporary,
    version,
    warnings,
)

__all__ = [
    "benchmarks", "check", "connect", "depths", "estimates", "find_estimate", "further", "invalid_files",
    "layers", "list_runs", "lowest", "measures", "models", "oldest", "pending_uploads", "preferences", "probes",
    "query", "record", "refresh", "replaced", "temporary", "trajectory", "version", "warnings",
]  # fmt: skip


def check(data: Path) -> None:
    """Read the whole database, whose blocks have checksums. Raises InputError when some of it is damaged."""
    tables = query(data, "SELECT table_name FROM duckdb_tables() WHERE database_name = 'stored'")["table_name"]
    for table in tables:
        query(data, f"SELECT bit_xor(hash(whole)) FROM stored.{table} AS whole")


def oldest(data: Path) -> int:
    """The lowest schema that wrote any of the tables."""
    versions = "SELECT version FROM stored.schema_version UNION ALL SELECT schema_version FROM run"
    return query(data, f"SELECT min(version) FROM ({versions})").item()


def models(data: Path) -> pl.DataFrame:
    """One row a model, ordered by name."""
    return query(data, "FROM models ORDER BY model")


def benchmarks(data: Path) -> pl.DataFrame:
    """One row a score."""
    return query(data, "FROM benchmarks ORDER BY model, revision, task, metric, source")


def replaced(rows: Sequence[Mapping[str, Any]], data: Path) -> list[str]:
    """One sentence for each kind of stored score that these rows take the place of with another value."""
    key = ["model", "revision", "task", "metric", "source"]
    stored = {tuple(row[part] for part in key): row["score"] for row in benchmarks(data).to_dicts()}
    changed = [(row, old) for row in rows if (old := stored.get(tuple(row[part] for part in key), row["score"])) !=
               row["score"]]  # fmt: skip
    if not changed:
        return []
    row, old = changed[0]
    return [
        f"{len(changed)} stored scores of the same model, task, metric and source are replaced, {row['task']} of "
        f"{row['model']} among them ({old:g} → {row['score']:g})."
    ]


def estimates(data: Path) -> pl.DataFrame:
    """One row an estimate with its model, its checkpoint, its settings and its bits per byte (NULL without a head)."""
    return query(data, "FROM overview ORDER BY model, step, revision, created_at, estimate_id")


def find_estimate(data: Path, estimate_id: str) -> pl.DataFrame:
    """The row of :func:`estimates` whose id begins with estimate_id. Errors: InputError when none or several do."""
    rows = query(data, "FROM described WHERE starts_with(estimate_id, $id) ORDER BY estimate_id", id=estimate_id)
    if rows.height == 1:
        return rows
    if rows.is_empty():
        raise InputError(
            f"No stored estimate has the id {estimate_id!r}: choose one that `python -m softh list` shows."
        )
    raise InputError(
        f"The id {estimate_id!r} begins {rows.height} stored estimates ({', '.join(rows['estimate_id'][:3])} …): "
        "give more of its digits."
    )


def probes(data: Path) -> pl.DataFrame:
    """One row a preference probe, with its model, its checkpoint and its settings."""
    return query(data, "FROM probes ORDER BY model, step, revision, created_at, estimate_id")


def preferences(data: Path, estimate_ids: Sequence[str] | None = None) -> pl.DataFrame:
    """Measures of preference probes (all when none are named), one row a layer, quantity and correction.

    Column `what` says of which rows of Z or by which other means (preference, preference last, preference mean,
    linear, length, words), `subset` of which pairs (all, matched, source …).
    """
    return query(
        data,
        "SELECT measures.*, split_part(variable, ' | ', 1) AS what, "
        "coalesce(nullif(split_part(variable, ' | ', 2), ''), 'all') AS subset "
        "FROM measures SEMI JOIN probes USING (estimate_id) "
        "WHERE $ids IS NULL OR list_contains($ids, estimate_id) "
        "ORDER BY estimate_id, what, subset, layer NULLS FIRST, quantity, correction",
        ids=None if estimate_ids is None else list(estimate_ids),
    )


def measures(data: Path, estimate_id: str) -> pl.DataFrame:
    """Every stored number of one estimate, mean over layers first, then by layer; the id in full."""
    return query(
        data,
        "FROM measures WHERE estimate_id = $id "
        "ORDER BY layer NULLS FIRST, quantity, variable, ngram, list_position($corrections, correction)",
        id=estimate_id,
        corrections=list(CORRECTIONS),
    )


def record(data: Path, estimate_id: str) -> dict[str, Any]:
    """One estimate as it was saved, for machines: model, checkpoint, estimate and measures; the id in full."""
    model = ", ".join(f"'{name}': own.{name}" for name in schema.table("models").types)
    own = {"step", "tokens"}
    checkpoint = ", ".join(
        f"'{name}': {'own' if name in own else 'checkpoints'}.{name}" for name in schema.table("checkpoints").types
    )
    parts = query(
        data,
        f"SELECT {{{model}}} AS model, {{{checkpoint}}} AS checkpoint, estimates AS estimate FROM estimates "
        "JOIN estimate_models AS own USING (estimate_id) JOIN checkpoints ON checkpoints.model = estimates.model "
        "AND checkpoints.revision = estimates.revision AND checkpoints.digest = estimates.digest "
        "WHERE estimate_id = $id",
        id=estimate_id,
    )
    return {**parts.row(0, named=True), "measures": measures(data, estimate_id).drop("estimate_id").to_dicts()}


def trajectory(
    data: Path,
    models: Sequence[str] | None = None,
    corpus: str | None = None,
    order: int | None = None,
    correction: str | None = None,
    draws: bool = True,
    layer: int | None = None,
    estimates: Sequence[str] | None = None,
) -> pl.DataFrame:
    """One layer (None: their mean) on the information plane, one row an estimate, n-gram order and correction.

    Columns: those of :func:`estimates`, then ngram, correction and, for each of :data:`softh.quantities.PLANE`, the
    value, ``_se_draws``, ``_se_documents``, ``_draws`` (value of every draw) and ``_folds`` (value without each fold of
    documents), and for those of one variable ``_labels`` (distinct labels). Compare rows of equal ``settings`` only.
    None leaves a column unfiltered; without draws the replicates are left out, which halves the time.
    """
    less = "" if draws else f", {', '.join(plane.replicates())}"
    return query(
        data,
        f"SELECT overview.*, place.* EXCLUDE (estimate_id, layer, positions{less}) "
        f"FROM overview JOIN {'means' if layer is None else 'plane'} AS place USING (estimate_id) "
        "WHERE place.layer IS NOT DISTINCT FROM $layer AND ($models IS NULL OR list_contains($models, model)) "
        "AND ($corpus IS NULL OR corpus = $corpus) "
        "AND ($order IS NULL OR ngram = $order) AND ($correction IS NULL OR correction = $correction) "
        "AND ($estimates IS NULL OR list_contains($estimates, estimate_id)) "
        "ORDER BY model, settings, tokens, step, created_at, estimate_id, ngram, correction",
        models=None if models is None else list(models),
        corpus=corpus,
        order=order,
        correction=correction,
        layer=layer,
        estimates=None if estimates is None else list(estimates),
    )


def lowest(data: Path) -> pl.DataFrame:
    """Rows of :func:`trajectory`, one an estimate, at its lowest order: debiased, or null-corrected without these."""
    rows, debiased = trajectory(data), pl.col("correction") == "debiased"
    rows = rows.filter((debiased & pl.col("input").is_not_null()) | (pl.col("correction") == "corrected"))
    first = rows.sort("ngram", ~debiased).unique("estimate_id", keep="first")
    return first.sort("model", "step", "revision", "created_at")


def further(
    data: Path, columns: Sequence[str], estimate_ids: Sequence[str], layer: int | None = None, *, layers: bool = False
) -> pl.DataFrame:
    """Stored quantities that are not on the plane (:data:`softh.quantities.FURTHER`) of one layer (None: their mean).

    One row an estimate, layer, n-gram order and correction, with the value, both standard errors and the replicates of
    each column; what does not depend on labels is the same in every row. With layers, every layer but not the mean.
    """
    wanted = [BY_COLUMN[column] for column in columns]
    names = [f"{column}{end}" for column in columns for end in ("", "_se_draws", "_se_documents")]
    names += plane.replicates(wanted)
    return query(
        data,
        f"WITH chosen AS (FROM measures WHERE ({plane.stored([*wanted, BY_COLUMN['input']])}) "
        "AND list_contains($ids, estimate_id) "
        "AND CASE WHEN $layers THEN layer IS NOT NULL ELSE layer IS NOT DISTINCT FROM $layer END) "
        f"SELECT {', '.join([*plane.KEYS, *names])} FROM {plane.joined(wanted, 'chosen')} "
        f"ORDER BY {', '.join(plane.KEYS)}",
        ids=list(estimate_ids),
        layer=layer,
        layers=layers,
    )


def further_columns(data: Path, estimate_ids: Sequence[str]) -> list[str]:
    """Columns of quantities that are not on the plane that some of these estimates have a value of.

    Estimates of earlier versions lack those that came later. Those of the model as a whole come last.
    """
    ids = list(estimate_ids)
    statement = "SELECT DISTINCT quantity FROM measures WHERE list_contains($ids, estimate_id) AND value IS NOT NULL"
    known = set(query(data, statement, ids=ids)["quantity"])
    return [each.column for each in (*FURTHER, *OF_THE_MODEL) if each.quantity in known]


def depths(data: Path, estimate_ids: Sequence[str], correction: str) -> pl.DataFrame:
    """Every transformer layer of many estimates on the plane, one row a layer and order, values alone."""
    return query(
        data,
        f"SELECT estimate_id, layer, ngram, {', '.join(each.column for each in PLANE)} FROM plane "
        "WHERE layer > 0 AND correction = $correction AND list_contains($ids, estimate_id) "
        "ORDER BY estimate_id, layer, ngram",
        ids=list(estimate_ids),
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

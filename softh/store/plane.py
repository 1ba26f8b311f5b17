"""The view `plane`, generated from the table of quantities: where every estimate lies on the information plane.

One row an estimate, layer (NULL: mean over layers), n-gram order and correction. A quantity without labels has neither
an order nor a null; it is repeated in every row.
"""

from collections.abc import Iterable

from softh.quantities import PLANE, Quantity

MEANS = "means_0dc7070c"
"""Table of a packed database: the plane of the means over layers, computed when it was packed. A database without it,
or without one of the columns, is read through the view; where the first schema wrote it, it has no folds, as all that
schema wrote. Rename it when a column keeps its name and changes its meaning."""
_REPLICATES = ("_draws", "_folds")
"""Ends of the columns of replicates: the value of every draw, and without each fold of documents."""


def columns(quantity: Quantity) -> list[str]:
    """Columns of one quantity: value, both standard errors, labels where it is of one variable, replicates."""
    ends = ("", "_se_draws", "_se_documents", *(("_labels",) if quantity.variable else ()), *_REPLICATES)
    return [f"{quantity.column}{end}" for end in ends]


KEYS = ("estimate_id", "layer", "ngram", "correction")
COLUMNS = (*KEYS, "positions", *(name for quantity in PLANE for name in columns(quantity)))
FOLDS = tuple(f"{quantity.column}_folds" for quantity in PLANE)


def replicates(quantities: Iterable[Quantity] = PLANE) -> list[str]:
    """Names of the columns of replicates."""
    return [f"{quantity.column}{end}" for quantity in quantities for end in _REPLICATES]


def pivot(quantities: Iterable[Quantity]) -> str:
    """SQL expressions of the columns of some quantities, from rows of the table `measures`."""
    return ", ".join(
        f"any_value({name.removeprefix(quantity.column).removeprefix('_') or 'value'}) "
        f"FILTER ({_stored(quantity)}) AS {name}"
        for quantity in quantities
        for name in columns(quantity)
    )


def stored(quantities: Iterable[Quantity]) -> str:
    """SQL condition that selects the rows of some quantities in the table `measures`."""
    return " OR ".join(f"({_stored(quantity)})" for quantity in quantities)


def joined(quantities: Iterable[Quantity], rows: str) -> str:
    """SQL of a table with the columns of some quantities, one row an estimate, layer, order and correction.

    rows: a table of measures, which has those of I(X;Z) too: what has no labels is repeated for each of its rows.
    """
    kinds = [[each for each in quantities if each.has_labels is labelled] for labelled in (True, False)]
    tables = [f"(SELECT DISTINCT {', '.join(KEYS)} FROM {rows} WHERE ngram IS NOT NULL)"]
    for keys, kind in zip((KEYS, KEYS[:2]), kinds, strict=True):
        if kind:
            values = f"SELECT {', '.join(keys)}, {pivot(kind)} FROM {rows} WHERE {stored(kind)} GROUP BY ALL"
            same = " AND ".join(f"one.{key} IS NOT DISTINCT FROM more.{key}" for key in keys)
            columns_only = f"more.* EXCLUDE ({', '.join(keys)})"
            tables.append(
                f"(SELECT one.*, {columns_only} FROM {tables[-1]} AS one LEFT JOIN ({values}) AS more ON {same})"
            )
    return tables[-1]


def _stored(quantity: Quantity) -> str:
    variable = f"= '{quantity.variable}'" if quantity.variable else "IS NULL"
    return f"quantity = '{quantity.quantity}' AND variable {variable}"


_LABELLED = [quantity for quantity in PLANE if quantity.has_labels]
_UNLABELLED = [quantity for quantity in PLANE if not quantity.has_labels]
SQL = f"""
CREATE MACRO on_plane(rows) AS TABLE
WITH point AS (
    SELECT {", ".join(KEYS)}, any_value(positions) AS positions, {pivot(_LABELLED)}
    FROM query_table(rows) WHERE {stored(_LABELLED)} GROUP BY ALL
), unlabelled AS (
    SELECT estimate_id, layer, {pivot(_UNLABELLED)}
    FROM query_table(rows) WHERE {stored(_UNLABELLED)} GROUP BY ALL
)
SELECT point.*, unlabelled.* EXCLUDE (estimate_id, layer)
FROM point
LEFT JOIN unlabelled
    ON point.estimate_id = unlabelled.estimate_id AND point.layer IS NOT DISTINCT FROM unlabelled.layer;

CREATE VIEW plane AS FROM on_plane('measures');
"""

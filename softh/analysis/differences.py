"""One run less another, checkpoint by checkpoint, with the error of the difference."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

Row = Mapping[str, Any]


def difference(rows: Sequence[Row], less: Sequence[Row], clock: str, quantities: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the first run with each quantity less that of the other at the same place of the clock.

    Both runs as rows of one order and correction; checkpoints that only one of them has are left out. The error is in
    `_se_draws` and `_se_documents`: of draws by pairs where both runs were measured in the same directions.
    """
    others = {row[clock]: row for row in less if row[clock] is not None}
    return [
        dict(row) | {key: value for name in quantities for key, value in _less(row, other, name).items()}
        for row in rows
        if (other := others.get(row[clock])) is not None
    ]


def paired(row: Row, other: Row) -> bool:
    """Whether two estimates were measured in the same reference directions: the same width, seed and frame."""
    same = ("width", "seed", "frame", "bins")
    alone = row.get("seeds") is None and other.get("seeds") is None
    return alone and all(row[name] == other[name] for name in same)


def _less(row: Row, other: Row, name: str) -> dict[str, float | None]:
    value = None if row[name] is None or other[name] is None else row[name] - other[name]
    pairs = paired(row, other)
    return {
        name: value,
        f"{name}_se_draws": _paired_error(row, other, name) if pairs else _apart(row, other, name, "draws"),
        f"{name}_se_documents": _apart(row, other, name, "documents"),
        f"{name}_sd_seeds": None,
    }


def _paired_error(row: Row, other: Row, name: str) -> float | None:
    """Standard error of the mean difference over the draws that both have; fewer draws are the first of more."""
    draws = [row.get(f"{name}_draws"), other.get(f"{name}_draws")]
    if draws[0] is None or draws[1] is None:
        return _apart(row, other, name, "draws")
    apart = pl.Series([a - b for a, b in zip(*draws, strict=False) if a is not None and b is not None])
    spread = apart.std() if len(apart) > 1 else None
    return spread / math.sqrt(len(apart)) if isinstance(spread, float) else None


def _apart(row: Row, other: Row, name: str, kind: str) -> float | None:
    """Root of the sum of squares: as if nothing were shared. Of a mean over seeds, the standard error of that mean."""
    errors = [_error(each, name, kind) for each in (row, other)]
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if len(known) == 2 else None


def _error(row: Row, name: str, kind: str) -> float | None:
    if row.get("seeds") is not None:
        deviation = row.get(f"{name}_sd_seeds")
        return deviation / math.sqrt(row["seeds"]) if kind == "draws" and deviation is not None else 0.0
    return row.get(f"{name}_se_{kind}")

"""Rows of the tables: which of them a view shows, which make one path, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from dashboard.format import checkpoint_name, labels_name

Row = Mapping[str, Any]
Against = Literal["tokens", "step", "order"]
CLOCKS = {"tokens": "training tokens", "step": "training step"}


@dataclass(frozen=True)
class Display:
    """What all figures of a page show: one n-gram order and correction, in the light or the dark theme."""

    order: int
    correction: str
    dark: bool = False

    @property
    def labels(self) -> str:
        """'order 1 (token), null-corrected'."""
        return labels_name(self.order, self.correction)

    def select(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of this order and correction that lie on the plane."""
        wanted = rows.filter(pl.col("ngram") == self.order, pl.col("correction") == self.correction)
        return wanted.drop_nulls(["input", "output"])


def clock(points: pl.DataFrame) -> Against | None:
    """What orders checkpoints: tokens where all have them, else steps; None where no model has several."""
    trained = points.filter(pl.col("step").is_not_null() | pl.col("tokens").is_not_null())
    if trained.group_by("model").agg(pl.col("estimate_id").n_unique()).filter(pl.col("estimate_id") > 1).is_empty():
        return None
    return "tokens" if trained["tokens"].null_count() == 0 else "step"


def runs(points: pl.DataFrame) -> list[list[dict[str, Any]]]:
    """Rows of one path each: all timed checkpoints of a model together, each other checkpoint alone."""
    paths: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in points.to_dicts():
        timed = row["step"] is not None or row["tokens"] is not None
        paths.setdefault((row["model"], "" if timed else row["estimate_id"]), []).append(row)
    return [sorted(rows, key=lambda row: (row["tokens"] or 0, row["step"] or 0)) for rows in paths.values()]


def title(row: Row) -> str:
    """'Run, step 64', or 'layer 3 of Run'."""
    if "layer" not in row:
        return f"{row['model']}, {checkpoint_name(row)}"
    return f"{'embedding' if row['layer'] == 0 else 'layer ' + str(row['layer'])} of {row['model']}"

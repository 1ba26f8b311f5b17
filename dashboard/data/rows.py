"""Rows of the tables: which of them a view shows, which make one path, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from dashboard.format import checkpoint_name, labels_name
from softh.spec import PLUG_IN

Row = Mapping[str, Any]
Against = Literal["tokens", "step", "order"]
ABLATION = r"-(?:hot|slow|shuffled|repeated|\d+steps)(?: \(.*\))?$"
"""Names of runs that were stopped early, or trained on text or with a learning rate that was spoiled on purpose."""
HAS_DEBIASED = pl.col("estimator") != PLUG_IN
"""Whether an estimate has debiased values beside raw and null-corrected ones."""
MOST_MODELS = 4
"""Models shown until the reader chooses: more paths than these cannot be told apart at a glance."""
CLOCKS = {"tokens": "training tokens", "step": "training step"}


@dataclass(frozen=True)
class Display:
    """What all figures of a page show: one n-gram order and correction, in the light or the dark theme."""

    order: int
    correction: str
    dark: bool = False
    kind: str = "tokens"
    """What labels are made of: a name of :data:`softh.quantities.LABELS`, or a column."""

    @property
    def labels(self) -> str:
        """'order 1 (token), debiased'."""
        return labels_name(self.order, self.correction, self.kind)

    def known(self, rows: pl.DataFrame) -> tuple["Display", str]:
        """What can be shown of some estimates, and a sentence where that is not what was asked for.

        Where debiased values are asked for and none of the estimates has any: null-corrected ones. Where some have
        none, these are left out. Never both kinds of values in one figure.
        """
        if self.correction != "debiased":
            return self, ""
        every = rows.filter(pl.col("ngram") == self.order)["estimate_id"].n_unique()
        debiased = self.select(rows)["estimate_id"].n_unique()
        if not debiased:
            return replace(self, correction="corrected"), _NONE
        if every == debiased:
            return self, ""
        have, are = ("has", "is") if every - debiased == 1 else ("have", "are")
        return self, _SOME.format(lacking=every - debiased, every=every, have=have, are=are)

    def select(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of this order and correction that lie on the plane."""
        wanted = rows.filter(pl.col("ngram") == self.order, pl.col("correction") == self.correction)
        return wanted.drop_nulls(["input", "output"])


_NONE = (
    "None of these estimates has debiased values (an earlier version made them, or their text is too small), so "
    "null-corrected values are shown, which are too small. "
)
_SOME = (
    "{lacking} of {every} estimates {have} no debiased value and {are} left out; the correction “corrected” shows all, "
    "null-corrected. "
)


def with_bracket(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with lower bound and raw value of both kinds of information beside them: `input_lower`, `input_raw` …"""
    keys = [name for name in ("estimate_id", "layer", "ngram") if name in rows.columns]
    for which in ("lower", "raw"):
        ends = rows.filter(pl.col("correction") == which)
        ends = ends.select(*keys, *(pl.col(name).alias(f"{name}_{which}") for name in BRACKETED))
        rows = rows.join(ends, on=keys, how="left", maintain_order="left")
    return rows


BRACKETED = ("input", "output")
"""What has a lower bound."""


def clock(points: pl.DataFrame) -> Against | None:
    """What orders checkpoints: tokens where all have them, else steps; None where no model has several."""
    trained = points.filter(pl.col("step").is_not_null() | pl.col("tokens").is_not_null())
    if trained.group_by("model").agg(pl.col("estimate_id").n_unique()).filter(pl.col("estimate_id") > 1).is_empty():
        return None
    return "tokens" if trained["tokens"].null_count() == 0 else "step"


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """The last estimate of every checkpoint, in the order of the rows."""
    last = rows.sort("created_at").unique(["model", "revision", "digest"], keep="last")["estimate_id"]
    return rows.filter(pl.col("estimate_id").is_in(last.to_list()))


def in_order_of_colours(estimates: pl.DataFrame) -> list[str]:
    """Every model, those with several checkpoints first and one seed before the others.

    A place in it is a colour: the first are the ones to be told apart.
    """
    each = estimates.group_by("model").agg(pl.col("revision").n_unique()).sort("model")
    each = each.with_columns(pl.col("model").str.replace(r"-seed\d+", "").alias("stem"))
    again = pl.int_range(pl.len()).over("stem")
    return each.sort(pl.col("revision") == 1, again, pl.col("model"))["model"].to_list()


def usual_models(estimates: pl.DataFrame) -> list[str]:
    """A few models that tell most: the runs of the largest and of the smallest, or finished ones where no run is.

    Where some have debiased values, models without them are not among these.
    """
    debiased = HAS_DEBIASED.any().alias("debiased")
    size = pl.col("parameters").max().fill_null(0)
    each = estimates.group_by("model").agg(pl.col("revision").n_unique(), size, debiased)
    each = each.filter(pl.col("debiased") | ~pl.col("debiased").any()).sort("parameters", "model")
    runs = each.filter(pl.col("revision") > 1)
    finished = each.filter(pl.col("revision") == 1)["model"].sort().to_list()
    # Of each size the first seed: neighbours in the order of colours, which is by seeds.
    ends = [
        runs.filter(pl.col("parameters") == end)["model"].to_list()[:1]
        for end in (runs["parameters"].max(), runs["parameters"].min())
        if end is not None
    ]
    return list(dict.fromkeys(name for names in ends for name in names)) or finished[:MOST_MODELS]


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

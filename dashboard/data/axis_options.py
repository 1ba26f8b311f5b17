"""What a figure of models may have on its axes: quantities, the size of a model, and every score in the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboard.format import count, plus_minus
from softh.analysis import standard_errors
from softh.quantities import BY_COLUMN, QUANTITIES, Quantity

FEWEST = 2
"""Models that must have a score before it is on offer."""
PREFERENCE = "preference information"
"""What the probes of preferences give, one number a model."""
LESS_IS_BETTER = ("bits per byte", "perplexity", "loss")
"""Parts of the names of scores that are better where they are low."""
_NEITHER = ("count", "tokens", "flops")


@dataclass(frozen=True)
class AxisOption:
    """One number a model: a quantity, its size, or a score."""

    key: str
    """In the URL, and as the option of a control."""
    title: str
    better: int | None
    """1 where more is better, −1 where less is, None where neither is."""
    short: str
    """For a table and a hover text."""
    column: str | None = None
    """Column of the models' rows; None for a score."""
    has_labels: bool = False
    """Whether it depends on n-gram order and correction."""
    log: bool = False
    task: str | None = None
    metric: str | None = None

    def value_text(self, row: Mapping[str, Any], letter: str) -> str:
        """The number of a row on the axis x or y with its error; sizes have none."""
        if self.log:
            return count(None if row[letter] is None else round(row[letter]))
        return plus_minus(row[letter], row[f"{letter}_error"])

    def describe(self, row: Mapping[str, Any], letter: str) -> str:
        """'I(X;Z) / log n = 0.2031 ± 0.0042', with the source of a score."""
        source = f" ({row[f'{letter}_source']})" if row[f"{letter}_source"] else ""
        return f"{self.short} = {self.value_text(row, letter)}{source}"


def _option(quantity: Quantity) -> AxisOption:
    return AxisOption(
        quantity.name, quantity.title, quantity.better, quantity.formula or quantity.symbol, quantity.column,
        has_labels=quantity.has_labels,
    )  # fmt: skip


PLANE = (_option(BY_COLUMN["input"]), _option(BY_COLUMN["output"]))
"""The axes of the information plane."""
_OWN = (
    *(_option(quantity) for quantity in QUANTITIES),
    AxisOption("parameters", "parameters", -1, "parameters", "parameters", log=True),
)


def available(points: pl.DataFrame, scores: pl.DataFrame) -> dict[str, AxisOption]:
    """Key → axis, of all that some models have a number for; scores have model, task, metric, score, stderr, source."""
    options = {axis.key: axis for axis in _OWN if axis.column in points.columns and points[axis.column].count() > 0}
    theirs = scores.filter(pl.col("model").is_in(points["model"].unique().to_list()))
    counted = theirs.group_by("task", "metric").agg(pl.col("model").n_unique()).sort("task", "metric")
    for task, metric, models in counted.iter_rows():
        if models >= FEWEST and metric not in _NEITHER:
            key = task if task == metric or metric in task else f"{task}, {metric}"
            key = key if task == PREFERENCE else f"score: {key}"
            better = -1 if any(word in metric.lower() for word in LESS_IS_BETTER) else 1
            options[key] = AxisOption(key, key.removeprefix("score: "), better, key, task=task, metric=metric)
    return options


def placed(points: pl.DataFrame, x: AxisOption, y: AxisOption, scores: pl.DataFrame) -> pl.DataFrame:
    """The rows that have both numbers, with x, x_error, y and y_error (one standard error), and sources of scores."""
    for name, axis in (("x", x), ("y", y)):
        points = _with(points, name, axis, scores)
    return points.drop_nulls(["x", "y"])


def _with(points: pl.DataFrame, name: str, axis: AxisOption, scores: pl.DataFrame) -> pl.DataFrame:
    if axis.task is not None:
        of_task = scores.filter(pl.col("task") == axis.task, pl.col("metric") == axis.metric)
        chosen = of_task.select(
            "model",
            pl.col("score").alias(name),
            pl.col("stderr").alias(f"{name}_error"),
            pl.col("source").alias(f"{name}_source"),
        )
        return points.join(chosen, on="model", how="left")
    return points.with_columns(
        pl.col(axis.column or "").cast(pl.Float64).alias(name),
        standard_errors.combined_columns(points, axis.column or "").alias(f"{name}_error"),
        pl.lit(None, pl.String).alias(f"{name}_source"),
    )


def finished_scores(benchmarks: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """One score a model, task and metric: that of its last checkpoint, else of the finished model."""
    of_models = benchmarks.join(models.select("model", last="revision"), on="model")
    mine = of_models.filter(pl.col("revision").is_null() | (pl.col("revision") == pl.col("last")))
    ordered = mine.sort(pl.col("revision").is_not_null(), "source")
    return ordered.unique(["model", "task", "metric"], keep="last", maintain_order=True).drop("last", "revision")

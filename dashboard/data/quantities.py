"""What a figure of models may have on its axes: the quantities of the plane, sizes, and every score in the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dashboard.format import NAMES, SYMBOLS, count, plus_minus

FEWEST = 2
"""Models that must have a score before it is on offer."""
PREFERENCE = "preference information"
"""What the probes of preferences give, one number a model."""
_LESS_IS_BETTER = ("bits per byte", "perplexity", "loss")
_OF_LABELS = ("complexity", "expressivity", "optimality", "distance to the bound")
_NEITHER = ("count", "tokens", "flops")


@dataclass(frozen=True)
class Axis:
    """One quantity of a model."""

    key: str
    """In the URL, and as the option of a control."""
    title: str
    better: int
    """1 where more is better, −1 where less is."""
    log: bool = False
    task: str | None = None
    metric: str | None = None

    @property
    def short(self) -> str:
        """For a table and a hover card."""
        return SYMBOLS.get(self.key, self.key)

    @property
    def of_labels(self) -> bool:
        """Whether it depends on n-gram order and correction."""
        return self.key in _OF_LABELS

    def words(self, value: float | None, error: float | None) -> str:
        """A value with its error; sizes have none."""
        if self.log:
            return count(None if value is None else round(value))
        return plus_minus(value, error)


PLANE = (
    Axis("complexity", f"{SYMBOLS['input']} · complexity", -1),
    Axis("expressivity", f"{SYMBOLS['output']} · expressivity", 1),
)
_OWN = (
    *PLANE,
    Axis("optimality", f"{SYMBOLS['optimality']} · optimality", 1),
    Axis("distance to the bound", "(I(X;Z) − I(Y;Z)) / log n · distance to the bound", -1),
    Axis("entropy", f"{SYMBOLS['entropy']} · entropy", -1),
    Axis("bits per byte", "bits per byte of the text", -1),
    Axis("parameters", "parameters", -1, log=True),
)
_COLUMNS = {name: quantity for quantity, name in NAMES.items()} | {"distance to the bound": "distance"}


def available(points: pl.DataFrame, scores: pl.DataFrame) -> dict[str, Axis]:
    """Key → axis, of all that some models have a number for; scores have model, task, metric, score, stderr, source."""
    found = {axis.key: axis for axis in _OWN if axis.key != "bits per byte" or points["bits_per_byte"].count() > 0}
    theirs = scores.filter(pl.col("model").is_in(points["model"].unique().to_list()))
    counted = theirs.group_by("task", "metric").agg(pl.col("model").n_unique()).sort("task", "metric")
    for task, metric, models in counted.iter_rows():
        if models >= FEWEST and metric not in _NEITHER:
            key = task if task == metric or metric in task else f"{task}, {metric}"
            key = key if task == PREFERENCE else f"score: {key}"
            found[key] = Axis(key, key.removeprefix("score: "), _better(metric), task=task, metric=metric)
    return found


def placed(points: pl.DataFrame, x: Axis, y: Axis, scores: pl.DataFrame) -> pl.DataFrame:
    """The rows that have both numbers, with x, x_error, y and y_error (one standard error), and sources of scores."""
    for name, axis in (("x", x), ("y", y)):
        points = _with(points, name, axis, scores)
    return points.drop_nulls(["x", "y"])


def _with(points: pl.DataFrame, name: str, axis: Axis, scores: pl.DataFrame) -> pl.DataFrame:
    if axis.task is not None:
        of_task = scores.filter(pl.col("task") == axis.task, pl.col("metric") == axis.metric)
        chosen = of_task.select(
            "model",
            pl.col("score").alias(name),
            pl.col("stderr").alias(f"{name}_error"),
            pl.col("source").alias(f"{name}_source"),
        )
        return points.join(chosen, on="model", how="left")
    value, error = _own(axis)
    return points.with_columns(
        value.cast(pl.Float64).alias(name),
        error.alias(f"{name}_error"),
        pl.lit(None, pl.String).alias(f"{name}_source"),
    )


def _own(axis: Axis) -> tuple[pl.Expr, pl.Expr]:
    """Value and combined standard error of a quantity that belongs to the estimate or to the model."""
    if axis.key == "parameters":
        return pl.col("parameters"), pl.lit(None, pl.Float64)
    if axis.key == "bits per byte":
        return pl.col("bits_per_byte"), pl.col("bits_per_byte_se_documents")
    column = _COLUMNS[axis.key]
    return pl.col(column), combined(column)


def combined(column: str) -> pl.Expr:
    """Standard errors of draws and of documents as one, what is known when one is missing."""
    draws, documents = pl.col(f"{column}_se_draws"), pl.col(f"{column}_se_documents")
    both = (draws.fill_null(0) ** 2 + documents.fill_null(0) ** 2).sqrt()
    return pl.when(draws.is_not_null() | documents.is_not_null()).then(both)


def finished_scores(benchmarks: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """One score a model, task and metric: that of its last checkpoint, else of the finished model."""
    of_models = benchmarks.join(models.select("model", last="revision"), on="model")
    mine = of_models.filter(pl.col("revision").is_null() | (pl.col("revision") == pl.col("last")))
    ordered = mine.sort(pl.col("revision").is_not_null(), "source")
    return ordered.unique(["model", "task", "metric"], keep="last", maintain_order=True).drop("last", "revision")


def _better(metric: str) -> int:
    return -1 if any(word in metric.lower() for word in _LESS_IS_BETTER) else 1


def row_words(row: Mapping[str, Any], name: str, axis: Axis) -> str:
    """'I(X;Z) / log n = 0.2031 ± 0.0042', with the source of a score."""
    source = f" ({row[f'{name}_source']})" if row[f"{name}_source"] else ""
    return f"{axis.short} = {axis.words(row[name], row[f'{name}_error'])}{source}"

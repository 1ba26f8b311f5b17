"""Rows of runs for the trajectory page: at one layer, with scores and draws, seeds apart or joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dashboard.data import queries
from dashboard.data.queries import Selection
from softh.analysis import seeds
from softh.analysis.correlation.study import LIMITED, MARKED
from softh.quantities import BY_COLUMN, PLANE


@dataclass(frozen=True)
class Runs:
    """Which models, whether their seeds are joined, at which layer (None: the mean)."""

    models: tuple[str, ...]
    joined: bool
    layer: int | None

    def names(self) -> list[str]:
        """Every model of the tables, those of several checkpoints first; the place decides colour and marker."""
        together = {}
        if self.joined:
            families = seeds.families(self.models)
            together = {members[0]: seeds.title(name, members) for name, members in families.items()}
        return [together.get(name, name) for name in queries.runs_first()]


def tasks(models: Sequence[str]) -> list[str]:
    """Names of the benchmarks that checkpoints of these models have scores of."""
    return queries.scores().filter(pl.col("model").is_in(list(models)))["task"].unique().sort().to_list()


def load_runs(selection: Selection, runs: Runs, further: Sequence[str] = (), *, draws: bool = False) -> pl.DataFrame:
    """Rows of the runs, one a checkpoint, n-gram order and correction.

    further: columns beside the quantities of the plane, other quantities or scores by the name of their task. With
    draws the rows of the view have the value of every draw.
    """
    rows = queries.trajectory(selection.setup, runs.models, runs.layer)
    keys = ["estimate_id", "ngram", "correction"]
    if draws and not runs.joined:
        display = selection.display
        of_draws = queries.draws(selection.setup, runs.models, display.order, display.correction, runs.layer)
        rows = rows.join(of_draws.select(*keys, *(f"{each.column}_draws" for each in PLANE)), on=keys, how="left")
    quantities = tuple(name for name in further if name in BY_COLUMN)
    if quantities:
        rows = rows.join(queries.further(selection.setup, runs.models, quantities, runs.layer), on=keys, how="left")
    for task in (name for name in further if name not in BY_COLUMN):
        rows = rows.join(_scores(task), on=["model", "revision"], how="left")
    return seeds.joined(rows, [*(each.column for each in PLANE), "bits_per_byte", *further]) if runs.joined else rows


def _scores(task: str) -> pl.DataFrame:
    # A run on a part of a task never stands for the whole of it.
    whole = queries.scores().filter(pl.col("task") == task, ~pl.col("metric").str.contains(LIMITED))
    plain_last = whole.sort(pl.col("metric").str.contains(MARKED), descending=True, maintain_order=True)
    scores = plain_last.unique(["model", "revision"], keep="last", maintain_order=True)
    return scores.select(
        "model", "revision", pl.col("score").alias(task), pl.col("stderr").alias(f"{task}_se_documents")
    )

"""Rows of runs as the trajectory page draws them: at one layer, with scores, with draws, seeds apart or together."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dashboard.data import queries
from dashboard.data.queries import Selection
from softh.analysis import seeds
from softh.quantities import PLANE


@dataclass(frozen=True)
class Runs:
    """What is drawn: which models, whether seeds are taken together, at which layer (None the mean)."""

    models: tuple[str, ...]
    joined: bool
    layer: int | None

    def names(self) -> list[str]:
        """Every model of the tables, what has several checkpoints first: a place in it is a colour and a marker."""
        together = {}
        if self.joined:
            families = seeds.families(self.models)
            together = {members[0]: seeds.title(name, members) for name, members in families.items()}
        return [together.get(name, name) for name in queries.runs_first()]


def tasks(models: Sequence[str]) -> list[str]:
    """Names of the benchmarks that checkpoints of these models have scores of."""
    return queries.scores().filter(pl.col("model").is_in(list(models)))["task"].unique().sort().to_list()


def gathered(chosen: Selection, runs: Runs, scores: Sequence[str], *, draws: bool) -> pl.DataFrame:
    """Rows of the setup with a column for each score, and with draws the value of every draw of the view's rows."""
    rows = queries.trajectory(chosen.setup, runs.models, runs.layer)
    if draws and not runs.joined:
        of_draws = queries.draws(chosen.setup, runs.models, chosen.view.order, chosen.view.correction, runs.layer)
        keys = ["estimate_id", "ngram", "correction"]
        rows = rows.join(of_draws.select(*keys, *(f"{each.column}_draws" for each in PLANE)), on=keys, how="left")
    for task in scores:
        rows = rows.join(_scores(task), on=["model", "revision"], how="left")
    return seeds.joined(rows, [*(each.column for each in PLANE), "bits_per_byte", *scores]) if runs.joined else rows


def _scores(task: str) -> pl.DataFrame:
    found = queries.scores().filter(pl.col("task") == task).unique(["model", "revision"], keep="last")
    return found.select(
        "model", "revision", pl.col("score").alias(task), pl.col("stderr").alias(f"{task}_se_documents")
    )

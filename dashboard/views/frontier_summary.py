"""The finding of the frontier page: which model leads, by how much, and whether that is more than chance."""

import polars as pl

from dashboard.data import queries
from dashboard.data.axis_options import PLANE, AxisOption
from dashboard.data.rows import ABLATION, Display
from dashboard.format import plus_minus, short_model, standard_error
from softh.analysis import differences
from softh.format import and_more

_TRAINED_HERE = r"trained here\)$"
"""What names of models end with that were trained for softh."""


def finding(rows: pl.DataFrame, display: Display, x: AxisOption, y: AxisOption, front: list[str], *, null: bool) -> str:
    """One sentence about the models of the figure."""
    if null:
        return "Shuffled labels: what chance alone gives. Nothing here is learned, so no model is better."
    if (x, y) != PLANE:
        names = rows.filter(pl.col("estimate_id").is_in(front)).sort("x")["model"].to_list()
        if not names:
            return f"{rows.height} models by {x.key} and {y.key}; no direction is better, so there is no frontier."
        told = and_more([short_model(name) for name in names], most=4)
        if len(names) == 1:
            return f"No other of these {rows.height} models beats {told} in {x.key} or {y.key}."
        return f"{len(names)} of {rows.height} models are on the frontier of {x.key} and {y.key}: {told}."
    ranked = rows.drop_nulls("optimality").sort("optimality", descending=True).to_dicts()
    if len(ranked) < 2:
        return "Only one model is shown: clear the search or a filter to compare."
    first, second = ranked[:2]
    value = plus_minus(first["optimality"], standard_error(first, "optimality"))
    return (
        f"{short_model(first['model'])} has the highest optimality of {len(ranked)} models: "
        f"{100 * first['optimality']:.0f} % of what it retains helps to predict (optimality {value}), "
        f"{_ahead(first, second, display)}."
    )


def _ahead(first: dict, second: dict, display: Display) -> str:
    """By how much the first leads the second, paired where they share directions or documents."""
    ids = tuple(sorted((first["estimate_id"], second["estimate_id"])))
    by_id = {row["estimate_id"]: row for row in queries.replicates(ids, display.order, display.correction).to_dicts()}
    name = short_model(second["model"])
    if len(by_id) < 2:
        return f"ahead of {name}"
    found = differences.difference(by_id[first["estimate_id"]], by_id[second["estimate_id"]], "optimality")
    if found.value is None or not found.error or found.half_width is None:
        return f"ahead of {name}"
    size = plus_minus(found.value, found.error)
    if abs(found.value) <= found.half_width:
        return f"not clearly ahead of {name} (difference {size})"
    return f"{size} ahead of {name}"


def published(rows: pl.DataFrame, x: AxisOption, y: AxisOption, *, null: bool) -> str:
    """How the figure compares with what was published, and what a reader must not conclude from it."""
    if null or (x, y) != PLANE:
        return ""
    spoiled = rows["model"].str.contains(ABLATION).sum()
    warning = (
        f" {spoiled} of these runs were stopped early or degraded on purpose (crossed markers): being near the bound "
        "alone does not mean quality."
        if spoiled
        else ""
    )
    ours = rows["model"].str.contains(_TRAINED_HERE).sum()
    toys = f" {ours} of these {rows.height} models are small ones trained for softh." if ours else ""
    return f"The paper gives no values of single models.{toys}{warning}"

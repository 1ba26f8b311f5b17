"""The finding of the layers page: where in depth a model is nearest to the bound, and where it lets information go."""

import polars as pl

from dashboard.format import plus_minus, short_model, standard_error
from softh.analysis.differences import difference


def finding(shown: pl.DataFrame, replicates: pl.DataFrame, *, null: bool) -> str:
    """One sentence about the layers of one checkpoint, one row each.

    replicates: the same layers with what their differences are paired in.
    """
    if null:
        return "Shuffled labels: what chance alone gives in each layer. Nothing here is learned."
    rows = shown.sort("layer").drop_nulls("optimality").to_dicts()
    inner = [row for row in rows if row["layer"] > 0]
    if len(inner) < 2:
        return ""
    name = short_model(shown["model"][0])
    if all(row["input"] <= 2 * (standard_error(row, "input") or 0) for row in inner):
        return f"No layer of {name} says more about these labels than its error (complexity, twice the error)."
    best, last = max(inner, key=lambda row: row["optimality"]), inner[-1]
    first = rows[0]
    value = plus_minus(best["optimality"], standard_error(best, "optimality"))
    where = "its last layer" if best is last else f"layer {best['layer']} of {last['layer']}"
    paired = {row["layer"]: row for row in replicates.to_dicts()}
    lost, earlier = first["input"] - last["input"], "embedding" if first["layer"] == 0 else "first layer"
    error = difference(paired[first["layer"]], paired[last["layer"]], "input").error
    change = (
        f"its last layer retains {plus_minus(abs(lost), error)} {'less' if lost > 0 else 'more'} than its {earlier}"
        if error and abs(lost) > 2 * error
        else f"its last layer retains about as much as its {earlier}"
    )
    return f"{name} is nearest to the bound in {where} (optimality {value}); {change} (complexity, in log n)."

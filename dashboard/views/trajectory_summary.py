"""The finding of the trajectory page: do the shown runs compress, and does that agree with what was published."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboard.data import comparison, queries
from dashboard.data.phases import run_phases
from dashboard.data.queries import Selection
from dashboard.data.rows import Display, clock, runs
from dashboard.figures.compression import Compression
from dashboard.format import plus_minus, short_model, standard_error
from softh.analysis import differences
from softh.analysis.phases import RunPhases
from softh.format import and_more
from softh.quantities import BY_COLUMN

Row = Mapping[str, Any]
_FEWEST = 4
"""Checkpoints that a run needs for phases."""


def finding(shown: pl.DataFrame, phased: Sequence[RunPhases], display: Display) -> str:
    """One sentence about the runs of a figure, or about its models where none has several checkpoints."""
    if display.correction == "null":
        return "Shuffled labels: what chance alone gives. Nothing here is learned."
    if clock(shown) is None:
        return _of_models(shown)
    known = [each for each in phased if each.fall is not None]
    if not known:
        return "These checkpoints are too few, or too far apart, to show where fitting ends."
    falls = {each.name: _fall(each, shown, interval=len(known) < 3) for each in known}
    compress = [each.name for each in known if _compresses(each)]
    told = and_more([f"{falls[name]} in {short_model(name)}" for name in compress or list(falls)], most=3)
    if len(compress) == len(known):
        who = "This run compresses" if len(known) == 1 else f"{_all(len(known))} runs compress"
        return f"{who}: after its peak, complexity falls by {told}."
    if compress:
        return f"{len(compress)} of {len(known)} runs compress: after its peak, complexity falls by {told}."
    who = "This run does not compress" if len(known) == 1 else f"None of the {len(known)} runs compresses"
    return f"{who} beyond chance: after its peak, complexity falls by {told}."


def compressions(chosen: Selection, layer: int | None) -> tuple[list[Compression], int]:
    """The fall of every run of the setup in which it is known, by size, and how many runs there are."""
    each = queries.comparable(chosen.setup).filter(~pl.col("model").is_in(queries.ablations()))
    sizes = each.group_by("model").agg(pl.col("revision").n_unique(), pl.col("parameters").max())
    sizes = dict(sizes.filter(pl.col("revision") >= _FEWEST).select("model", "parameters").iter_rows())
    models, display = tuple(sorted(sizes)), chosen.display
    phased = run_phases(chosen.setup, models, display.order, display.correction, layer, joined=False)
    rows = display.select(queries.trajectory(chosen.setup, models, layer))
    known = [(run, peak) for run in phased if run.fall and sizes[run.name] and (peak := _peak(run, rows))]
    falls = [
        Compression(
            run.name, sizes[run.name], *(100 * one / peak for one in (run.fall.amount, run.fall.low, run.fall.high))
        )
        for run, peak in known
        if run.fall
    ]
    return sorted(falls, key=lambda one: (one.parameters, one.model)), len(models)


def against_size(falls: Sequence[Compression], count: int) -> str:
    """How many runs compress, and how much the smallest and the largest of them do."""
    if not falls:
        return f"The end of fitting is clear in none of {count} runs, so there is no compression to compare."
    sure = sum(one.low > 0 for one in falls)
    ends = " to ".join(f"{one.share:.1f} % ({short_model(one.model)})" for one in (falls[0], falls[-1]))
    return f"Compression against size: {sure} of {count} runs compress; from the smallest to the largest, {ends}."


def published(phased: Sequence[RunPhases], display: Display) -> str:
    """How the runs compare with the published two phases; empty where there are none to compare."""
    known = [each for each in phased if each.fall is not None]
    if not known or display.correction == "null":
        return ""
    count = sum(map(_compresses, known))
    verdict = "Agrees" if count == len(known) else "Agrees in part" if count else "Disagrees"
    return f"{verdict} with the published order of phases: fitting first, then compression (OLMo 2, raw values)."


def compare(rows: pl.DataFrame, minus: str) -> str:
    """The last shared checkpoint of another run minus that of one, with paired errors; rows of one display."""
    paths = {path[0]["model"]: path for path in runs(rows)}
    shared = {row["step"]: row for row in paths.pop(minus, ()) if row["step"] is not None}
    told = []
    for model, path in paths.items():
        if both := [(row, shared[row["step"]]) for row in path if row["step"] in shared]:
            row, less = both[-1]
            changes = [
                comparison.told(differences.difference(row, less, name), BY_COLUMN[name].name)
                for name in ("input", "output")
            ]
            told.append(f"{short_model(model)} at step {row['step']:,}, {' and '.join(changes)}")
    if not told:
        return "These runs share no checkpoint, so there is no difference to show."
    return f"Compared with {short_model(minus)}: {'; '.join(told[:2])}."


def _of_models(shown: pl.DataFrame) -> str:
    best = shown.drop_nulls("optimality").sort("optimality", descending=True).to_dicts()
    if not best:
        return ""
    first = best[0]
    value = plus_minus(first["optimality"], standard_error(first, "optimality"))
    if len(best) == 1:
        return f"{short_model(first['model'])} has an optimality of {value}."
    return f"Of these {len(best)} models, {short_model(first['model'])} has the highest optimality, {value}."


def _fall(run: RunPhases, shown: pl.DataFrame, *, interval: bool) -> str:
    """'12.1 % (95 % 11.0 to 13.1)' of the largest value, which was chosen by looking: the interval knows it."""
    assert run.fall
    if not (peak := _peak(run, shown)):
        return plus_minus(run.fall.amount, run.fall.error)
    share, low, high = (f"{100 * one / peak:.1f}" for one in (run.fall.amount, run.fall.low, run.fall.high))
    return f"{share} % (95 % {low} to {high})" if interval else f"{share} %"


def _peak(run: RunPhases, shown: pl.DataFrame) -> float | None:
    """The largest value of I(X;Z), from which it falls."""
    assert run.fall
    at_peak = shown.filter(pl.col("step") == run.steps[run.fall.checkpoint])
    mine = at_peak.filter(pl.col("model") == run.name)
    return next(iter(mine["input"].to_list() or at_peak["input"].to_list()), None)


def _compresses(run: RunPhases) -> bool:
    return run.fall is not None and run.fall.low > 0


def _all(count: int) -> str:
    return "Both" if count == 2 else f"All {count}"

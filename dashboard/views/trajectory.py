"""The view of runs in the plane: which models, along what, with which marks."""

from dataclasses import dataclass, replace
from typing import cast

import polars as pl
from plotly.graph_objects import Figure

from dashboard.controls import axis_ranges, controls, point_selection
from dashboard.data import comparison, queries, tables
from dashboard.data.histories import Runs, load_runs, tasks
from dashboard.data.neighbours import Landing, Parameters
from dashboard.data.phases import run_phases, sentence
from dashboard.data.queries import Selection
from dashboard.data.rows import Against, clock, title, usual_models
from dashboard.figures import compression, orders
from dashboard.figures import runs as figures
from dashboard.figures.curves import Along, trajectory_curves
from dashboard.figures.marks import phase_marks
from dashboard.figures.plane import Spread
from dashboard.format import data_note, source
from dashboard.view import Empty, View
from dashboard.views import trajectory_summary
from dashboard.views.layers import SERIES
from softh.analysis import seeds
from softh.quantities import BY_COLUMN, PLANE, of_series

_MEAN = "mean over layers"
_NOTHING, _FORMER = "none", {"nothing": "none"}
_SEPARATELY, _AVERAGED = "separately", "averaged"
_SEEDS = {"apart": _SEPARATELY, "joined": _AVERAGED}
"""Former names of the choices, which are in links."""
_PANELS = {each.symbol: each.column for each in PLANE}


@dataclass(frozen=True)
class Curves:
    """What the panels beside the plane show."""

    quantities: list[str]
    along: Along
    minus: str | None
    """Name of the run that the others are less of."""


def view() -> View:
    """Paths of the chosen models, and the chosen quantities along their training."""
    chosen = controls.shared()
    runs = _runs(queries.comparable(chosen.setup))
    plain = load_runs(chosen, runs)
    display, fallback = chosen.display.known(plain)
    chosen = replace(chosen, display=display)
    shown = chosen.display.select(plain)
    if shown.is_empty():
        raise Empty("None of these models has this layer: choose another layer or other models in the sidebar.")
    curves = _curves(chosen, shown, runs)
    spread, phases, play = _plane(trained=clock(shown) is not None)
    more, of_size = _more(chosen, runs, plain, shown)
    # Shuffled labels have no phases: extremes of the null along training are none of learning.
    null, phased = chosen.display.correction == "null", ()
    if phases and not null:
        phased = run_phases(
            chosen.setup, runs.models, chosen.display.order, chosen.display.correction, runs.layer, joined=runs.joined
        )
    ids = point_selection.chosen({row["estimate_id"]: title(row) for row in shown.to_dicts()})
    marks, names = phase_marks(phased, curves.along.column), runs.names()
    on_plane = phase_marks(phased, clock(shown) or "step")
    plane = figures.trajectory_plane(
        plain, chosen.display, names, spread=spread, marks=on_plane, selected=ids, play=play
    )
    further = [name for name in curves.quantities if name not in plain.columns]
    rows = load_runs(chosen, runs, further, draws=bool(curves.minus))
    beside = trajectory_curves(
        rows,
        chosen.display,
        names,
        curves.along,
        quantities=curves.quantities,
        marks=marks,
        selected=ids,
        minus=curves.minus,
    )
    table = chosen.display.select(rows)
    if curves.minus:
        found, agreed = trajectory_summary.compare(table, curves.minus), ""
    else:
        found = trajectory_summary.finding(shown, phased, display)
        agreed = trajectory_summary.published(phased, display)
    table = table.filter(pl.col("estimate_id").is_in(list(ids))) if ids else table
    return View(
        title=f"Trajectory{SERIES if of_series(chosen.setup.labels) else ''}, {chosen.display.labels}",
        figures=axis_ranges.within({"plane": plane, "curves": beside, **more}),
        rows=tables.checkpoints(table),
        data=tables.data(table),
        caption=fallback + _caption(chosen, runs, curves, shown),
        name="softh-trajectory",
        finding=found,
        published=agreed,
        source=source(
            display.labels,
            data_note(chosen.setup.corpus, chosen.setup.labels),
            chosen.setup.label,
            _errors(shown, phased=bool(marks)),
        ),
        notes=(
            *((_NO_PHASES,) if phases and null else map(sentence, phased)),
            *(comparison.sentences(sorted(ids), display, runs.layer) if not runs.joined else ()),
            *of_size,
        ),
    )


def link_to(landing: Landing) -> Parameters:
    """The link that shows an estimate beside its neighbours."""
    point: Parameters = {"points": [landing.title]} if landing.title else {}
    return {**landing.setup, "models": [landing.model, *landing.nearest], **point}


def _runs(estimates: pl.DataFrame) -> Runs:
    available = estimates["model"].unique().sort().to_list()
    models = tuple(sorted(controls.several("Models", available, "models", default=usual_models(estimates))))
    if not models:
        raise Empty("No model is chosen: choose one in the sidebar.")
    where, joined = controls.place(), False
    if seeds.families(available):
        ways = [_SEPARATELY, _AVERAGED]
        shown = controls.segments("Show seeds", ways, "seeds", former=_SEEDS, help=_SEEDS_HELP, where=where)
        joined = shown == _AVERAGED
        if joined:  # the mean of one seed alone would be that seed
            together = [members for members in seeds.families(available).values() if set(members) & set(models)]
            models = tuple(sorted({*models, *(name for members in together for name in members)}))
    depth = max(estimates.filter(pl.col("model").is_in(models))["layers"].to_list())
    layer = controls.select("Layer", [_MEAN, *map(str, range(depth + 1))], "layer", help=_LAYER_HELP)
    return Runs(models, joined, None if layer == _MEAN else int(layer))


def _plane(*, trained: bool) -> tuple[Spread, bool, bool]:
    """How errors are drawn, whether phases are, and whether the paths can be played."""
    where = controls.group("Plane")
    spread = controls.segments("Errors", ["crosses", "bands", "none"], "spread", help=_SPREAD_HELP, where=where)
    if not trained:
        return cast(Spread, spread), False, False
    phases = controls.toggle("Phases", "phases", default=True, help=_PHASES_HELP, where=where)
    return cast(Spread, spread), phases, controls.toggle("Slider", "play", help=_PLAY_HELP, where=where)


def _more(
    chosen: Selection, runs: Runs, plain: pl.DataFrame, shown: pl.DataFrame
) -> tuple[dict[str, Figure], tuple[str, ...]]:
    """Figures that are asked for below the first two, and what they say."""
    where, several = controls.group("More figures"), len(chosen.setup.orders) > 1
    if not several and clock(shown) is None:
        return {}, ()
    of_orders, of_size = controls.place(where), controls.place(where)
    found, said = {}, tuple[str, ...]()
    if several and controls.toggle("Orders side by side", "orders", help=_ORDERS_HELP, where=of_orders):
        found["by-order"] = orders.orders_side_by_side(plain, chosen.display, runs.names(), chosen.setup.orders)
    if clock(shown) is not None and controls.toggle("Compression against size", "size", help=_SIZE_HELP, where=of_size):
        falls, count_of_runs = trajectory_summary.compressions(chosen, runs.layer)
        said = (trajectory_summary.against_size(falls, count_of_runs),)
        if falls:
            found["compression"] = compression.against_size(falls, chosen.display, queries.runs_first())
    return found, said


def _curves(chosen: Selection, shown: pl.DataFrame, runs: Runs) -> Curves:
    """What the curves show; without several checkpoints of a model there is nothing to choose but what to draw."""
    where, subtract, ordered = controls.group("Curves"), controls.place(), clock(shown)
    order, orders = chosen.display.order, chosen.setup.orders
    further = [BY_COLUMN[column] for column in queries.further_columns(tuple(shown["estimate_id"].unique().sort()))]
    offered = _PANELS | {
        each.symbol: each.column
        for each in further
        if (order == max(orders) or not each.highest_order_only) and (runs.layer is None or each.per_layer)
    }
    if shown["bits_per_byte"].count():
        offered[BY_COLUMN["bits_per_byte"].name] = "bits_per_byte"
    offered |= {task: task for task in tasks(runs.models)}
    wanted = controls.several("Panels", list(offered), "panels", default=list(_PANELS), help=_PANELS_HELP, where=where)
    quantities = [offered[name] for name in wanted] or list(_PANELS.values())
    if ordered is None:
        return Curves(quantities, Along("order"), None)
    known = ["tokens"] if ordered == "tokens" else []
    known += ["step"] if shown["step"].null_count() < shown.height else []
    along = controls.segments("x axis", [*known, "order"], "along", help=_ALONG_HELP, where=where)
    linear = controls.segments("Scale", ["log", "linear"], "scale", where=where) == "linear"
    several = shown.group_by("model", maintain_order=True).agg(pl.len()).filter(pl.col("len") > 1)["model"].to_list()
    less = _NOTHING
    if len(several) > 1:
        choices = [_NOTHING, *several]
        less = controls.select("Subtract run", choices, "minus", former=_FORMER, help=_MINUS_HELP, where=subtract)
    minus = None if less == _NOTHING or along == "order" else less
    return Curves(quantities, Along(cast(Against, along), linear), minus)


def _errors(shown: pl.DataFrame, *, phased: bool) -> str:
    """What bars and bands are, in a line."""
    of_lines = "one standard deviation over seeds" if "seeds" in shown.columns else "one standard error"
    of_phases = "; upright bands: 95 % intervals of phases" if phased else ""
    return f"Bars, bands along lines and ±: {of_lines}{of_phases}"


def _caption(chosen: Selection, runs: Runs, curves: Curves, shown: pl.DataFrame) -> str:
    layer = "Mean over layers, embedding excluded" if runs.layer is None else f"Layer {runs.layer}"
    spread = "one standard error, of reference draws and of documents combined"
    if "seeds" in shown.columns:
        spread += "; of averaged seeds, the standard deviation over seeds"
    parts = [
        f"{layer}. Crosses, bands and ± are {spread}. Grey lines through the origin: equal optimality.",
        "" if clock(shown) else "Only one checkpoint each; add more checkpoints to see a path.",
        _PHASES if clock(shown) and chosen.display.correction != "null" else "",
        "" if curves.along.of(curves.quantities) == curves.quantities else _NO_ORDER,
        _DIFFERENCE.format(minus=curves.minus) if curves.minus else "" if runs.joined else _CHOOSE,
        comparison.labels_note(chosen.setup, shown["vocabulary"].n_unique()).strip(),
        f"{data_note(chosen.setup.corpus, chosen.setup.labels)}; {chosen.setup.label}.",
    ]
    return " ".join(part for part in parts if part)


_PHASES = (
    "Collapse ends where entropy is lowest, fitting where expressivity is highest; reported only where the curve rises "
    "and falls by more than noise would in 95 % of cases. Two segments are fitted over log steps, with 95 % intervals "
    "from resampled directions and documents (see Method)."
)
_NO_PHASES = "This is the null (shuffled labels), so no phases are marked."
_NO_ORDER = "H(Z), bits per byte and scores have no n-gram order, so there is no panel along it."
_DIFFERENCE = (
    "Curves: each run minus {minus}, at the checkpoints of both; the error is that of the difference, paired over "
    "directions and documents where both runs share them."
)
_CHOOSE = "Click two points to read their difference with its paired error."
_SEEDS_HELP = "Runs that differ only by their seed: each run, or the mean over seeds with their standard deviation."
_LAYER_HELP = "Layer 0 is the embedding, which is not in the mean."
_SPREAD_HELP = "One standard error around each point as a cross, or around each path as a band."
_PHASES_HELP = "Where collapse and fitting end, with a 95 % interval."
_PLAY_HELP = "A slider below the plane lets the paths grow step by step, also in exported files."
_ORDERS_HELP = "The same runs on one small plane for each n-gram order."
_SIZE_HELP = (
    "How far complexity falls from its peak to the last checkpoint, of every run of this text and these settings whose "
    "end of fitting is clear, against its number of parameters; ablations are left out."
)
_PANELS_HELP = "Quantities of the plane, others, bits per byte, and any score that checkpoints have."
_ALONG_HELP = "Training tokens, training step, or the n-gram order of the last checkpoint."
_MINUS_HELP = "Draw each other run minus this one, with the error of the difference."

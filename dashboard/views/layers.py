"""The view of one checkpoint by depth: which model, which checkpoint."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from plotly.graph_objects import Figure

from dashboard.controls import axis_ranges, controls
from dashboard.data import comparison, queries, tables
from dashboard.data.neighbours import Landing, Parameters
from dashboard.data.rows import Display, clock
from dashboard.figures import by_source, depth, runs
from dashboard.figures.context import context_shares
from dashboard.format import checkpoint_name, count, data_note, source, units
from dashboard.view import Empty, View
from dashboard.views import layers_summary
from softh.analysis import differences, finished_models
from softh.analysis.by_source import split
from softh.quantities import BY_COLUMN, PLANE, of_series


def view() -> View:
    """The path of one checkpoint through its layers, and the chosen quantities by depth."""
    chosen = controls.shared()
    estimates = queries.comparable(chosen.setup)
    row = _checkpoint(estimates)
    columns = _columns(queries.further_columns((row["estimate_id"],)))
    layers = queries.layers(row["estimate_id"], tuple(name for name in columns if not BY_COLUMN[name].on_plane))
    display, fallback = chosen.display.known(layers)
    shown = display.select(layers)
    if shown.is_empty():
        raise Empty("This estimate has no such labels or values: choose another order or correction in the sidebar.")
    sources, note = _by_source(row, display)
    figures = {
        "plane": runs.depth_plane(layers, display),
        "profiles": runs.depth_profiles(layers, display, columns),
        **_along_training(estimates, row["model"], display),
        **_against(estimates, row, display),
        **_context(row, display),
        **sources,
    }
    return View(
        title=f"{row['model']}, {checkpoint_name(row)}{SERIES if of_series(row['labels']) else ''}",
        figures=axis_ranges.within(figures),
        rows=tables.layers(shown),
        data=tables.data(shown),
        caption=fallback + _caption(row, shown.row(0, named=True), display.correction),
        name="softh-layers",
        finding=layers_summary.finding(shown, null=display.correction == "null"),
        notes=note,
        source=source(display.labels, data_note(chosen.setup.corpus, chosen.setup.labels), chosen.setup.label),
    )


def link_to(landing: Landing) -> Parameters:
    """The link that shows the layers of an estimate."""
    return {**landing.setup, "model": landing.model, "revision": landing.revision}


def _along_training(estimates: pl.DataFrame, model: str, display: Display) -> dict[str, Figure]:
    """The heat map of layers along training, where the model has several checkpoints."""
    mine = estimates.filter(pl.col("model") == model)
    ordered = clock(mine)
    if ordered is None:
        return {}
    options = {each.name: each.column for each in PLANE}
    name = controls.select("Heat map of", list(options), "heat", help=_HEAT_HELP)
    rows = queries.depths(tuple(mine.drop_nulls(ordered)["estimate_id"]), display.order, display.correction)
    rows = rows.drop_nulls([ordered, "input", "output"])
    return {"training": depth.training_map(rows, display, options[name], ordered)} if rows.height else {}


def _against(estimates: pl.DataFrame, row: dict[str, Any], display: Display) -> dict[str, Figure]:
    """Layer by layer minus another model of as many layers, its last checkpoint."""
    last = finished_models.last(estimates).filter(pl.col("layers") == row["layers"], pl.col("model") != row["model"])
    if last.is_empty():
        return {}
    name = controls.select("Compare with", [_NOBODY, *last["model"].sort().to_list()], "against", help=_AGAINST_HELP)
    if name == _NOBODY:
        return {}
    other = last.filter(pl.col("model") == name)["estimate_id"][0]
    rows = queries.layer_replicates((row["estimate_id"], other), display.order, display.correction)
    mine, theirs = (
        {each["layer"]: each for each in rows.filter(pl.col("estimate_id") == one).to_dicts()}
        for one in (row["estimate_id"], other)
    )
    found = {
        column: [
            (layer, differences.difference(mine[layer], theirs[layer], column))
            for layer in sorted(mine)
            if layer in theirs
        ]
        for column in depth.COMPARED
    }
    return {"compared": depth.layer_differences(found, row["model"], name, display)}


def _context(row: dict[str, Any], display: Display) -> dict[str, Figure]:
    """What each longer n-gram explains, by layer, where the estimate has several orders; shuffled labels have none."""
    parts = {} if display.correction == "null" else queries.context(row["estimate_id"], display.correction)
    return {"context": context_shares(parts, row["model"], dark=display.dark)} if parts else {}


def _by_source(row: dict[str, Any], display: Display) -> tuple[dict[str, Figure], tuple[str, ...]]:
    """The planes of the sources of the text, where all were estimated in one pass, and how they add up."""
    ids = queries.of_sources(row)
    if not ids:
        return {}, ()
    every = (row["estimate_id"], *ids.values())
    rows, raw = (
        {each["estimate_id"]: each for each in queries.replicates(every, display.order, correction).to_dicts()}
        for correction in (display.correction, "raw")
    )
    shown = {name: rows[each] for name, each in ids.items() if each in rows and rows[each]["input"] is not None}
    if row["estimate_id"] not in rows or not shown or set(every) - set(raw):
        return {}, ()
    parts = [raw[each] for each in ids.values()]
    splits = {name: split(raw[row["estimate_id"]], parts, name) for name in ("entropy", "input", "output")}
    figure = by_source.source_planes(rows[row["estimate_id"]], shown, display.labels, dark=display.dark)
    return {"sources": figure}, (by_source.sentence(splits),)


def _columns(further: Sequence[str]) -> list[str]:
    """The quantities that are drawn by depth, of those on the plane and some others."""
    known = [BY_COLUMN[column] for column in further if BY_COLUMN[column].per_layer]
    options = {each.symbol: each.column for each in (*PLANE, *known)}
    usual = [each.symbol for each in PLANE]
    where = controls.group("Profiles")
    return [
        options[name]
        for name in controls.several("Panels", list(options), "quantities", default=usual, where=where) or usual
    ]


def _checkpoint(estimates: pl.DataFrame) -> dict[str, Any]:
    """The row of one estimate: its model, then its checkpoint where there are several."""
    model = controls.select("Model", estimates["model"].unique().sort().to_list(), "model")
    rows = estimates.filter(pl.col("model") == model).sort("tokens", "step", "created_at", nulls_last=True)
    revisions = rows["revision"].unique(maintain_order=True).to_list()
    revision = revisions[-1]
    if len(revisions) > 1:
        revision = controls.slider("Checkpoint", revisions, "revision", default=revision)
    return rows.filter(pl.col("revision") == revision).to_dicts()[-1]


def _caption(row: dict[str, Any], labels: dict[str, Any], correction: str) -> str:
    bracket = _BRACKET if correction == "debiased" else ""
    return (
        f"{comparison.labels_about(row['labels'])}Bars, where there are several orders: what the last label explains "
        "of H(Z), what each longer n-gram adds, and the rest. "
        "Crosses, bands and ± are one standard error, of reference draws and of documents combined. Solid rays join "
        f"points of equal optimality. {bracket}{count(row['parameters'])} parameters, {row['weights']}. "
        f"{data_note(row['corpus'], row['labels'])}; {row['documents']:,} {units(row['labels'])[0]}, "
        f"{row['positions']:,} positions, "
        f"{labels['input_labels']:,} different X and {labels['output_labels']:,} different Y, labels of "
        f"{row['labels']}; {row['draws']} draws of {row['bins']} directions; "
        f"{row['dtype']} on {row['device']}, {row['created_at']:%Y-%m-%d}."
    )


SERIES = ", time series"
"""In titles, where labels are of time series."""
_NOBODY = "none"
_HEAT_HELP = "Every layer at every checkpoint of the model, and where each layer ends collapse and fitting."
_AGAINST_HELP = "Layer by layer minus another model with as many layers, with paired errors: base and tuned, two seeds."
_BRACKET = (
    "Dotted, and as a bracket in cards and table: a lower bound and the raw value, an upper one, both in expectation. "
)

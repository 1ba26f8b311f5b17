"""The view of one checkpoint by depth: which model, which checkpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from plotly.graph_objects import Figure

from dashboard.controls import axis_ranges, controls
from dashboard.data import comparison, queries, tables
from dashboard.data.neighbours import Landing, Parameters
from dashboard.data.rows import Display, clock, usual_models
from dashboard.figures import by_source, depth, runs
from dashboard.figures.context import context_shares
from dashboard.format import checkpoint_name, count, data_note, short_model, source, units
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
    other = _other(estimates, row)
    figures = {
        "plane": runs.depth_plane(layers, display),
        "profiles": runs.depth_profiles(layers, display, columns),
        **_along_training(estimates, row["model"], display),
        **_against(row, other, display),
        **_context(estimates, row, display),
        **sources,
    }
    return View(
        title=f"{row['model']}, {checkpoint_name(row)}{SERIES if of_series(row['labels']) else ''}",
        figures=axis_ranges.within(figures),
        rows=tables.layers(shown),
        data=tables.data(shown),
        caption=fallback + _caption(row, shown.row(0, named=True), display.correction),
        name="softh-layers",
        finding=layers_summary.finding(
            shown,
            queries.layer_replicates((row["estimate_id"],), display.order, display.correction),
            null=display.correction == "null",
        ),
        notes=note,
        text=_compared(row, other, display) if other and "compared" in figures else "",
        source=source(display.labels, data_note(chosen.setup.corpus, chosen.setup.labels), chosen.setup.label),
    )


def link_to(landing: Landing) -> Parameters:
    """The link that shows the layers of an estimate."""
    return {**landing.setup, "model": landing.model, "revision": landing.revision}


def _along_training(estimates: pl.DataFrame, model: str, display: Display) -> dict[str, Figure]:
    """The heat map of layers along training, where the model has several checkpoints."""
    where = controls.place()
    mine = estimates.filter(pl.col("model") == model)
    ordered = clock(mine)
    if ordered is None:
        return {}
    options = {each.name: each.column for each in PLANE}
    name = controls.select("Heat map of", list(options), "heat", help=_HEAT_HELP, where=where)
    rows = queries.depths(tuple(mine.drop_nulls(ordered)["estimate_id"]), display.order, display.correction)
    rows = rows.drop_nulls([ordered, "input", "output"])
    return {"training": depth.training_map(rows, display, options[name], ordered)} if rows.height else {}


def _other(estimates: pl.DataFrame, row: dict[str, Any]) -> dict[str, Any] | None:
    """The estimate of the model to compare with: at the same step where it has one, else its last checkpoint."""
    others = estimates.filter(pl.col("model") != row["model"])
    names = others["model"].unique().sort().to_list()
    where, name = controls.place(), _NOBODY
    if names:
        name = controls.select("Compare with", [_NOBODY, *names], "against", help=_AGAINST_HELP, where=where)
    mine = others.filter(pl.col("model") == name)
    if mine.is_empty():
        return None
    same = mine.filter(pl.col("step") == row["step"]) if row["step"] is not None else mine.clear()
    return (finished_models.last(mine) if same.is_empty() else same).to_dicts()[-1]


def _against(row: dict[str, Any], other: dict[str, Any] | None, display: Display) -> dict[str, Figure]:
    """Both models by layer, and one minus the other; of other depths, layers as deep in their models."""
    if other is None:
        return {}
    ids = row["estimate_id"], other["estimate_id"]
    both = queries.layer_replicates(ids, display.order, display.correction).drop_nulls(["input", "output"])
    mine, theirs = ({each["layer"]: each for each in both.filter(estimate_id=one).to_dicts()} for one in ids)
    if not (mine and theirs):
        return {}
    found = {
        column: [(place, differences.difference(mine[a], theirs[b], column)) for place, a, b in _pairs(mine, theirs)]
        for column in depth.COMPARED
    }
    return {"compared": depth.compared(list(mine.values()), list(theirs.values()), found, display)}


def _pairs(mine: Mapping[int, Any], theirs: Mapping[int, Any]) -> list[tuple[float, int, int]]:
    """(place, layer of one, layer of the other): equal layers; of other depths those nearest in share of depth."""
    if max(mine) == max(theirs):
        return [(layer, layer, layer) for layer in sorted(mine) if layer in theirs]
    shallow, deep = sorted((mine, theirs), key=max)
    known = sorted(deep)
    nearest = {layer: min(known, key=lambda other: abs(other / max(deep) - layer / max(shallow))) for layer in shallow}
    turned = shallow is theirs
    pairs = sorted(nearest.items())
    return [(one / max(shallow), other, one) if turned else (one / max(shallow), one, other) for one, other in pairs]


def _compared(row: dict[str, Any], other: dict[str, Any], display: Display) -> str:
    """What one model has more or less of than the other in the mean over layers, with the paired error."""
    rows = queries.replicates((row["estimate_id"], other["estimate_id"]), display.order, display.correction)
    means = {each["estimate_id"]: each for each in rows.to_dicts()}
    if len(means) < 2:
        return ""
    one, less = means[row["estimate_id"]], means[other["estimate_id"]]
    *told, last = [
        comparison.told(differences.difference(one, less, column), BY_COLUMN[column].name)
        for column in (*depth.COMPARED, "optimality")
    ]
    here, there = (f"{short_model(each['model'])} ({checkpoint_name(each)})" for each in (row, other))
    return f"Mean over layers, {here} compared with {there}: {', '.join(told)} and {last}."


def _context(estimates: pl.DataFrame, row: dict[str, Any], display: Display) -> dict[str, Figure]:
    """What each longer n-gram explains, where the estimate has several orders; shuffled labels have none."""
    where = controls.place()
    if display.correction == "null" or not queries.context(row["estimate_id"], display.correction):
        return {}
    mine = estimates.filter(pl.col("model") == row["model"])
    ways = {_LAYERS: ""} | ({_TRAINING: ""} if clock(mine) else {}) | ({_MODELS: ""} if _several(estimates) else {})
    by = controls.segments("Shares by", list(ways), "shares", help=_SHARES_HELP, where=where)
    if by == _LAYERS:
        shares = queries.context(row["estimate_id"], display.correction)
        places = {"mean" if layer is None else str(layer): parts for layer, parts in shares.items()}
        return {"context": context_shares(places, "layer", row["model"], dark=display.dark)}
    if by == _TRAINING:
        ordered = clock(mine) or "step"
        rows = mine.drop_nulls(ordered).sort(ordered)
        named = {each["estimate_id"]: checkpoint_name(each) for each in rows.to_dicts()}
        what = "checkpoint", row["model"]
    else:
        rows = finished_models.last(estimates).filter(~pl.col("model").is_in(queries.ablations()))
        rows = rows.sort("parameters", "model")
        named = {each["estimate_id"]: short_model(each["model"]) for each in rows.to_dicts()}
        what = "model, by size", f"{rows.height} models"
    every = queries.context_means(tuple(named), display.correction)
    places = {named[one]: every[one] for one in named if one in every}
    return {"context": context_shares(places, *what, dark=display.dark)} if places else {}


def _several(estimates: pl.DataFrame) -> bool:
    return estimates["model"].n_unique() > 1


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
    # That of the trajectory page: a reader who comes from there sees the layers of the run that was on the screen.
    usual = usual_models(estimates)[0]
    model = controls.select("Model", estimates["model"].unique().sort().to_list(), "model", default=usual)
    rows = estimates.filter(pl.col("model") == model).sort("tokens", "step", "created_at", nulls_last=True)
    revisions = rows["revision"].unique(maintain_order=True).to_list()
    where, revision = controls.place(), revisions[-1]
    if len(revisions) > 1:
        revision = controls.slider("Checkpoint", revisions, "revision", default=revision, where=where)
    return rows.filter(pl.col("revision") == revision).to_dicts()[-1]


def _caption(row: dict[str, Any], labels: dict[str, Any], correction: str) -> str:
    bracket = _BRACKET if correction == "debiased" else ""
    return (
        f"{comparison.labels_about(row['labels'])}Bars, where there are several orders: what the last label explains "
        "of H(Z), what each longer n-gram adds, and the rest. "
        "Crosses, bands and ± are one standard error, of reference draws and of documents combined. Solid lines "
        f"through the origin: equal optimality. {bracket}{count(row['parameters'])} parameters, {row['weights']}. "
        f"{data_note(row['corpus'], row['labels'])}; {row['documents']:,} {units(row['labels'])[0]}, "
        f"{row['positions']:,} positions, "
        f"{labels['input_labels']:,} distinct X and {labels['output_labels']:,} distinct Y labels "
        f"({row['labels']}); {row['draws']} draws of {row['bins']} directions; "
        f"{row['dtype']} on {row['device']}, {row['created_at']:%Y-%m-%d}."
    )


SERIES = ", time series"
"""In titles, where labels are of time series."""
_NOBODY = "none"
_HEAT_HELP = "Every layer at every checkpoint of the model, and where each layer ends collapse and fitting."
_AGAINST_HELP = (
    "Both models by layer, and this one minus the other with paired errors: base and tuned, two seeds, two sizes. At "
    "the same step where both have it, else the other's last checkpoint; of other depths, layers as deep as these."
)
_LAYERS, _TRAINING, _MODELS = "layer", "checkpoint", "model"
_SHARES_HELP = (
    "What the last token explains of H(Z), and what each longer n-gram adds: by layer of this checkpoint, along the "
    "training of this model, or of every model at its last checkpoint (means over layers; ablations left out)."
)
_BRACKET = (
    "Dotted, and as a bracket in cards and table: a lower bound and the raw value, an upper one, both in expectation. "
)

"""The view of finished models: which of them, on which axes, which one is looked at."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from streamlit.delta_generator import DeltaGenerator

from dashboard.controls import axis_ranges as axes
from dashboard.controls import controls, links, point_selection
from dashboard.data import axis_options, comparison, queries, tables
from dashboard.data.axis_options import PLANE, AxisOption
from dashboard.data.neighbours import Landing, Parameters
from dashboard.data.rows import ABLATION
from dashboard.figures import frontier as frontier_figure
from dashboard.figures.frontier import Models
from dashboard.format import bracket, count, data_note, plus_minus, source, standard_error
from dashboard.view import Empty, View
from dashboard.views import frontier_summary
from softh.analysis import finished_models
from softh.analysis.finished_models import by_stage, stage_name
from softh.format import and_more
from softh.quantities import BY_COLUMN

_NUMBERS = [BY_COLUMN[column] for column in ("input", "output", "optimality", "distance", "entropy")]
"""Columns of the table."""
_HEADS = {"optimality": "Optimality", "distance": "To the bound"}
"""What the page asks for stands first, in words."""


@dataclass(frozen=True)
class Slots:
    """Places of a page for the controls."""

    axes: Sequence[DeltaGenerator]
    """Two: for the horizontal and the vertical one."""
    find: DeltaGenerator
    filters: DeltaGenerator
    picked: DeltaGenerator


def view(where: Slots | None = None) -> View:
    """One point a finished model, and the same models as rows; the controls stand in the sidebar unless said."""
    chosen = controls.shared()
    every = queries.finished(chosen.setup)
    display, fallback = chosen.display.known(every)
    rows = display.select(every)
    if rows.is_empty():
        raise Empty("No finished model has values of this order and correction: choose others in the sidebar.")
    scores = queries.finished_scores(chosen.setup)
    x, y = _axes(axis_options.available(rows, scores), where)
    null = display.correction == "null" and (x.has_labels or y.has_labels)
    placed = axis_options.placed(_filtered(rows, where), x, y, scores)
    if placed.is_empty():
        raise Empty(
            f"No model that fits has both {x.key} and {y.key}: clear the search, a filter, or choose other axes."
        )
    names = dict(placed.select("estimate_id", "model").iter_rows())
    picked = point_selection.chosen(names, "Highlight models", where.picked if where else None)
    # Shuffled labels know nothing: none of what they give is better.
    front = [] if null or not (x.better and y.better) else finished_models.pareto(placed, x.better, y.better)
    origins = queries.origins()
    changed = comparison.of_origins(placed, origins, display)
    models = Models(placed, front, origins, picked, queries.families(), changed)
    chances = comparison.chances(placed, x, y, display) if front else {}
    ordered = _ordered(placed, front)
    return View(
        title=f"{placed.height} models, {x.key} and {y.key}, {display.labels}",
        figures=axes.within({"plane": frontier_figure.frontier(models, x, y, display)}),
        rows=_table(ordered, front, chances, x, y),
        data=_data(ordered, front, models, x, y).with_columns(
            chance_of_frontier=pl.Series([chances.get(one) for one in ordered["estimate_id"]], dtype=pl.Float64)
        ),
        caption=fallback + _introduction(x, y, null=null) + " " + _caption(models, x, y, chosen.setup, null=null),
        name="softh-frontier",
        finding=frontier_summary.finding(placed, display, x, y, front, null=null),
        published=frontier_summary.published(placed, x, y, null=null),
        source=source(display.labels, data_note(chosen.setup.corpus, chosen.setup.labels), chosen.setup.label),
        notes=(
            *_readers(placed),
            *comparison.frontier_sentences(placed, chances, display),
            *comparison.sentences(sorted(picked), display),
        ),
    )


def link_to(landing: Landing) -> Parameters:
    """The link that shows the finished models of an estimate's setup."""
    return landing.setup


def _readers(placed: pl.DataFrame) -> list[str]:
    """That models without a head for next tokens are beside others, by name."""
    bare = pl.col("architecture").str.ends_with("Model") & ~pl.col("architecture").str.ends_with("HeadModel")
    headless = placed.filter(bare)["model"].sort().to_list()
    if not headless:
        return []
    return [
        f"{and_more(headless, 3)}: no head for next tokens. Encoders also see the following tokens, so their "
        "I(Y;Z) is not a prediction."
    ]


def _introduction(x: AxisOption, y: AxisOption, *, null: bool) -> str:
    """How to read the figure; the caption says what the null is."""
    reading = "" if null or not (x.better and y.better) else _READING if (x, y) == PLANE else _NEUTRAL
    return f"One point per model, at its last checkpoint. {reading}"


def _axes(options: dict[str, AxisOption], where: Slots | None) -> tuple[AxisOption, AxisOption]:
    spots = where.axes if where else (None, None)
    keys = list(options)
    x = controls.select("Horizontal", keys, "x", default=PLANE[0].key, where=spots[0], help=_AXIS_HELP)
    y = controls.select("Vertical", keys, "y", default=PLANE[1].key, where=spots[1], help=_AXIS_HELP)
    return options[x], options[y]


def _filtered(rows: pl.DataFrame, where: Slots | None) -> pl.DataFrame:
    """The models that the search and the filters leave; an empty filter leaves all."""
    words = controls.text("Find", "find", placeholder="name, family …", where=where.find if where else None)
    spot = where.filters if where else None
    rows = rows.with_columns(stage_word=pl.col("stage").fill_null("unknown"))
    for label, key, column in (
        ("Family", "family", "family"),
        ("Stage", "stage", "stage_word"),
        ("Weights", "weights", "weights"),
    ):
        options = rows[column].unique().sort().to_list()
        options = by_stage(options) if key == "stage" else options
        if kept := controls.several(label, options, key, default=[], help="None chosen: all.", where=spot):
            rows = rows.filter(pl.col(column).is_in(kept))
    least = controls.number("Min. parameters (M)", "least", low=0, where=spot)
    most = controls.number("Max. parameters (M)", "most", low=0, where=spot)
    if controls.toggle("Only your own", "own", help=_OWN_HELP, where=spot):
        rows = rows.filter(pl.col("own"))
    spoiled = pl.col("model").str.contains(ABLATION) | pl.col("model").is_in(queries.ablations())
    kept = rows.filter(~spoiled)
    if kept.height < rows.height and not kept.is_empty():
        shown = controls.toggle(
            "Show ablations", "ablations", default=_shows_ablations(), help=_ABLATIONS_HELP, where=spot
        )
        rows = rows if shown else kept
    millions = pl.col("parameters") / 1e6
    rows = rows.filter(millions >= (least or 0), millions <= (most if most is not None else float("inf")))
    text = pl.concat_str("model", "family", "architecture", "source", "stage_word", separator=" ").str.to_lowercase()
    return rows.filter([text.str.contains(word, literal=True) for word in words.lower().split()] or [pl.lit(True)])


def _shows_ablations() -> bool:
    """Slides and links of a time when there was no such choice show all, and so does a link to one of them."""
    named = links.requested("points")
    return links.current() is not None or any(re.search(ABLATION, name) for name in named)


def _ordered(rows: pl.DataFrame, front: Sequence[str]) -> pl.DataFrame:
    """By optimality, those on the frontier first among equals."""
    on_front = pl.col("estimate_id").is_in(list(front))
    return rows.sort("optimality", on_front, "model", descending=[True, True, False], nulls_last=True)


def _table(
    rows: pl.DataFrame, front: Sequence[str], chances: Mapping[str, float], x: AxisOption, y: AxisOption
) -> pl.DataFrame:
    """One row a model in words, each number with its standard error."""
    shown = ("parameters", "bits_per_byte", *(each.column for each in _NUMBERS))
    extra = [(name, axis) for name, axis in (("x", x), ("y", y)) if axis.column not in shown]
    return pl.DataFrame(
        [
            {
                "Model": row["model"],
                **{name: told[name] for name in ("Optimality", "To the bound")},
                **{axis.short: axis.value_text(row, name) for name, axis in extra},
                "Frontier": "●" if row["estimate_id"] in front else "",
                **({"On it, resampled": f"{chances[row['estimate_id']]:.0%}"} if row["estimate_id"] in chances else {}),
                "Parameters": row["parameters"],
                "bits / byte": plus_minus(row["bits_per_byte"], row["bits_per_byte_se_documents"]),
                **{name: text for name, text in told.items() if name not in ("Optimality", "To the bound")},
                "Stage": stage_name(row["stage"]),
                "Checkpoint": tables.checkpoint_name(row),
                "Yours": "●" if row["own"] else "",
                "Positions": row["positions"],
                "Draws": row["draws"],
                "Date": row["created_at"].date(),
            }
            for row in rows.to_dicts()
            for told in [_numbers(row)]
        ]
    )


def _numbers(row: dict[str, Any]) -> dict[str, str]:
    """Quantities with their errors, and the brackets of debiased ones."""
    told = {
        _HEADS.get(each.column, each.symbol): plus_minus(row[each.column], standard_error(row, each.column))
        for each in _NUMBERS
    }
    ends = {f"{each.symbol} bracket": ends for each in _NUMBERS if (ends := bracket(row, each.column))}
    return told | ends


def _data(rows: pl.DataFrame, front: Sequence[str], models: Models, x: AxisOption, y: AxisOption) -> pl.DataFrame:
    """All rows with everything known: what tables.data has, and what this figure adds."""
    return tables.data(rows).hstack(
        rows.select(
            "family", "stage", "architecture", "parameters", "vocabulary", "own",
            "distance", "distance_se_draws", "distance_se_documents",
            on_frontier=pl.col("estimate_id").is_in(list(front)),
            made_from=pl.col("model").replace_strict(dict(models.origins), default=None, return_dtype=pl.String),
            x_is=pl.lit(x.key), y_is=pl.lit(y.key), x="x", x_error="x_error", y="y", y_error="y_error",
        )
    )  # fmt: skip


def _frontier(x: AxisOption, y: AxisOption, *, null: bool) -> str:
    """What the frontier is, or why none is drawn."""
    if null:
        return _NULL
    ways = {1: "most", -1: "least"}
    if not (x.better and y.better):
        return f"More {y.key if x.better else x.key} is neither better nor worse, so no frontier is drawn."
    return (
        f"Dotted: the Pareto frontier of {ways[y.better]} {y.key} for {ways[x.better]} {x.key}; no other model is "
        "at least as good on both axes and better on one (ignoring errors)."
    )


def _caption(models: Models, x: AxisOption, y: AxisOption, setup: queries.Setup, *, null: bool) -> str:
    """What a reader must know beside the figure."""
    labels = comparison.labels_note(setup, models.rows["vocabulary"].n_unique())
    sizes = sorted(models.rows["parameters"].to_list())
    return (
        f"{models.rows.height} models at their last checkpoint, mean over layers, embedding excluded; the larger a "
        f"marker, the more parameters, {count(sizes[0])} to {count(sizes[-1])}. {_frontier(x, y, null=null)} "
        "Distance to the bound: I(X;Z) − I(Y;Z), in log n, information kept that does "
        "not predict what follows. Crosses and ± are one standard error, of reference draws and of documents "
        "combined. Arrows go from a base model to its post-trained version (matched by name)."
        f" Click two models to read their difference with its error. {labels}{data_note(setup.corpus, setup.labels)}; "
        f"{setup.label}."
    )


_READING = (
    "Further right, hidden states retain more of the text so far; further up, they predict more of what comes next. "
    "Models on the frontier predict the most for what they retain."
)
_NEUTRAL = "A model is on the frontier where none is better in one quantity and at least as good in the other."
_NULL = (
    "What is shown is what shuffled labels give, so no frontier is drawn; debiased, raw and corrected values have one."
)
_AXIS_HELP = "Any quantity of the plane, bits per byte, size, or a score that two models or more have."
_ABLATIONS_HELP = (
    "Runs stopped early, or trained on shuffled or repeated text or with a learning rate far too small or large: many "
    "are nearest to the bound, but none is a good model."
)
_OWN_HELP = "Estimates in data/runs that were not packed yet."

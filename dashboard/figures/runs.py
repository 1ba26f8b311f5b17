"""Table in, Plotly figure out; alt text in `layout.meta`. No Streamlit."""

from collections.abc import Collection, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.data.rows import CLOCKS, Row, View, clock, runs, title
from dashboard.figures.animation import Walker, animate
from dashboard.figures.marks import Mark, add_marks, add_rings
from dashboard.figures.panels import Axis, Series, lines, panels, series
from dashboard.figures.plane import Path, Scale, Spread, plane
from dashboard.figures.scales import Log
from dashboard.figures.template import SYMBOLS, Look, look, mix
from dashboard.format import card, checkpoint_name, count, plus_minus, standard_error
from softh.quantities import BY_COLUMN, CORRECTION_NAMES, NGRAMS, PLANE, has_labels

_DEPTH = "layer, 0 the embedding"


def trajectory_plane(
    points: pl.DataFrame,
    view: View,
    names: Sequence[str],
    *,
    spread: Spread = "crosses",
    marks: Sequence[Mark] = (),
    selected: Collection[str] = (),
    play: bool = False,
) -> go.Figure:
    """One path a model with several checkpoints, else a point; rows as :func:`dashboard.data.queries.trajectory` gives.

    names are all models of the tables, so that a model keeps its colour and marker whatever else is chosen; selected
    are the ids of estimates that stand out; marks lie on the path that they name; with play the paths can grow.
    """
    of = look(view.dark)
    chosen = view.of(points)
    column = clock(chosen)
    log = Log.of(chosen.drop_nulls(column)[column].to_list()) if column else None
    paths = [_path(rows, names, column, log, of) for rows in runs(chosen)]
    scale = None
    if column and log:
        places = [log.share(tick) for tick in log.ticks()]
        scale = Scale(CLOCKS[column], places, [count(round(tick)) for tick in log.ticks()], _shades(of.ink, of))
    figure = plane(paths, scale, view.order, view.correction, of, spread)
    add_marks(figure, marks, runs(chosen), of)
    add_rings(figure, [row for row in chosen.to_dicts() if row["estimate_id"] in selected], of)
    if play and column:
        _play(figure, runs(chosen), column, names, of)
    ends = [f"{rows[-1]['model']}, {checkpoint_name(rows[-1])}: {_at(rows[-1])}" for rows in runs(chosen)]
    return described(figure, f"Information plane, {view.words}. {'; '.join(ends)}.")


def _play(
    figure: go.Figure, paths: Sequence[list[dict[str, Any]]], column: str, names: Sequence[str], of: Look
) -> None:
    timed = [[row for row in rows if row[column] is not None] for rows in paths if len(rows) > 1]
    walkers = [
        Walker(
            [row[column] for row in rows],
            [row["input"] for row in rows],
            [row["output"] for row in rows],
            style(rows[0]["model"], names, of)[0],
        )
        for rows in timed
    ]
    words = {row[column]: f"{checkpoint_name(row)} · {count(row['tokens'])} tokens" for rows in timed for row in rows}
    animate(figure, walkers, [words[time] for time in sorted(words)], of)


def depth_plane(layers: pl.DataFrame, view: View) -> go.Figure:
    """The path from the embedding to the last layer; rows as :func:`dashboard.data.queries.layers` gives."""
    of = look(view.dark)
    rows = view.of(layers).sort("layer").to_dicts()
    first, depth = rows[0]["layer"], max(row["layer"] for row in rows)
    path = Path(
        **_coordinates(rows),
        name=f"layer {depth}",
        start="embedding" if first == 0 else f"layer {first}",
        shares=[row["layer"] / max(depth, 1) for row in rows],
        colours=of.depth,
        symbol="circle",
        cards=[card(row, title(row)) for row in rows],
    )
    ticks = sorted({round(depth * i / 5) for i in range(6)})
    scale = Scale(_DEPTH, [tick / max(depth, 1) for tick in ticks], [str(tick) for tick in ticks], of.depth)
    ends = f"{path.start} {_at(rows[0])}; {path.name} {_at(rows[-1])}"
    figure = plane([path], scale, view.order, view.correction, of)
    return described(figure, f"Path through {rows[0]['model']}, {view.words}: {ends}.")


def depth_profiles(
    layers: pl.DataFrame, view: View, columns: Sequence[str] = tuple(each.column for each in PLANE)
) -> go.Figure:
    """Quantities against depth, one line an order; the null dotted beside raw values."""
    of = look(view.dark)
    drawn: dict[str, list[Series]] = {}
    for quantity in columns:
        drawn[quantity] = []
        for (correction, order), rows in lines(layers, view, quantity, "ngram"):
            if not has_labels(quantity) and drawn[quantity]:
                continue  # the same for every order
            ordered = rows.sort("layer").to_dicts()
            x, dotted = [row["layer"] for row in ordered], correction != view.correction
            colour = of.colours[order - 1] if has_labels(quantity) else of.ink
            line = series(
                f"{order} {NGRAMS[order]}",
                x,
                ordered,
                quantity,
                colour=colour,
                symbol=SYMBOLS[order - 1],
                dotted=dotted,
                legend=has_labels(quantity),
            )
            drawn[quantity].append(line)
    *names, last = [BY_COLUMN[column].name for column in columns]
    listed = f"{', '.join(names)} and {last}" if names else last
    what = f"{listed.capitalize()} by layer of {layers['model'][0]}"
    alt = f"{what}, {CORRECTION_NAMES[view.correction]}, one line an n-gram order; bands are one standard error."
    return described(panels(drawn, Axis(_DEPTH), of), alt)


def style(model: str, names: Sequence[str], of: Look) -> tuple[str, str]:
    """Colour and marker of a model: the same on every figure, whatever else is chosen."""
    place = names.index(model)
    return of.colours[place % len(of.colours)], SYMBOLS[place % len(SYMBOLS)]


def _path(rows: list[dict[str, Any]], names: Sequence[str], column: str | None, log: Log | None, of: Look) -> Path:
    colour, symbol = style(rows[0]["model"], names, of)
    timed = column is not None and log is not None and all(row[column] is not None for row in rows)
    return Path(
        **_coordinates(rows),
        name=rows[0]["model"],
        start=checkpoint_name(rows[0]),
        shares=[log.share(row[column]) for row in rows] if timed and log and column else [1.0] * len(rows),
        colours=_shades(colour, of),
        symbol=symbol,
        cards=[card(row, title(row)) for row in rows],
    )


def _coordinates(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "x": [row["input"] for row in rows],
        "y": [row["output"] for row in rows],
        "x_error": [standard_error(row, "input") for row in rows],
        "y_error": [standard_error(row, "output") for row in rows],
        "ids": [row["estimate_id"] for row in rows],
    }


def _shades(colour: str, of: Look) -> tuple[str, str]:
    return mix(colour, of.background, 0.4), colour


def _at(row: Row) -> str:
    return " and ".join(
        f"{symbol} {plus_minus(row[quantity], standard_error(row, quantity))}"
        for quantity, symbol in ((name, BY_COLUMN[name].symbol) for name in ("input", "output"))
    )


def described(figure: go.Figure, alt: str) -> go.Figure:
    """The figure with its alt text."""
    # Streamlit pans where points can be chosen, unless the figure itself says otherwise.
    return figure.update_layout(meta={"alt": alt}, dragmode="zoom")

"""Table in, Plotly figure out; alt text in `layout.meta`. No Streamlit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
import polars as pl

from dashboard.panels import Axis, Series, panels
from dashboard.plane import Path, Scale, plane
from dashboard.scales import Log
from dashboard.template import SYMBOLS, Look, look, mix
from dashboard.words import (
    CORRECTIONS,
    ORDERS,
    card,
    checkpoint_name,
    count,
    order_name,
    plus_minus,
    standard_error,
)

Against = Literal["tokens", "step", "order"]
Row = Mapping[str, Any]
QUANTITIES = ("input", "output", "optimality", "entropy")
_CLOCKS = {"tokens": "training tokens", "step": "training step"}
_DEPTH = "layer, 0 the embedding"


@dataclass(frozen=True)
class View:
    """What all figures of a page show: n-gram order, correction, and the theme."""

    order: int
    correction: str
    dark: bool = False

    @property
    def words(self) -> str:
        """'order 1 (token), null-corrected'."""
        return f"{order_name(self.order)}, {CORRECTIONS[self.correction]}"

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of this order and correction that lie on the plane."""
        wanted = rows.filter(pl.col("ngram") == self.order, pl.col("correction") == self.correction)
        return wanted.drop_nulls(["input", "output"])


def trajectory_plane(points: pl.DataFrame, view: View, names: Sequence[str]) -> go.Figure:
    """One path a model with several checkpoints, else a point; rows as :func:`dashboard.queries.trajectory` gives.

    names are all models of the tables, so that a model keeps its colour and marker whatever else is chosen.
    """
    of = look(view.dark)
    chosen = view.of(points)
    column = clock(chosen)
    log = Log.of(chosen.drop_nulls(column)[column].to_list()) if column else None
    paths = [_path(rows, names, column, log, of) for rows in runs(chosen)]
    scale = None
    if column and log:
        places = [log.share(tick) for tick in log.ticks()]
        scale = Scale(_CLOCKS[column], places, [count(round(tick)) for tick in log.ticks()], _shades(of.ink, of))
    ends = [f"{rows[-1]['model']}, {checkpoint_name(rows[-1])}: {_at(rows[-1])}" for rows in runs(chosen)]
    figure = plane(paths, scale, view.order, view.correction, of)
    return _described(figure, f"Information plane, {view.words}. {'; '.join(ends)}.")


def trajectory_curves(points: pl.DataFrame, view: View, names: Sequence[str], against: Against) -> go.Figure:
    """The quantities of the same rows against training tokens, training step or n-gram order."""
    of = look(view.dark)
    if against == "order":
        last = [rows[-1]["estimate_id"] for rows in runs(view.of(points))]
        chosen, place, column = points.filter(pl.col("estimate_id").is_in(last)), float, "ngram"
        axis = Axis("n-gram order", list(ORDERS), [f"{number}<br>{name}" for number, name in ORDERS.items()])
    else:
        chosen, column = points.filter(pl.col("ngram") == view.order).drop_nulls(against), against
        log = Log.of(chosen[against].to_list())
        place = log.place
        axis = Axis(_CLOCKS[against], [place(tick) for tick in log.ticks()], [count(round(t)) for t in log.ticks()])
    lines: dict[str, list[Series]] = {}
    for quantity in QUANTITIES[: 3 if against == "order" else 4]:
        lines[quantity] = []
        for (correction, model), rows in _lines(chosen, view, quantity, "model"):
            colour, symbol = style(model, names, of)
            ordered = rows.sort(column).to_dicts()
            x, dotted = [place(row[column]) for row in ordered], correction != view.correction
            lines[quantity].append(_series(model, x, ordered, quantity, colour=colour, symbol=symbol, dotted=dotted))
    what = f"Complexity, expressivity and optimality along {axis.title}, {view.words}"
    return _described(panels(lines, axis, of), f"{what}; bands are one standard error.")


def depth_plane(layers: pl.DataFrame, view: View) -> go.Figure:
    """The path from the embedding to the last layer; rows as :func:`dashboard.queries.layers` gives."""
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
        cards=[card(row, _title(row)) for row in rows],
    )
    ticks = sorted({round(depth * i / 5) for i in range(6)})
    scale = Scale(_DEPTH, [tick / max(depth, 1) for tick in ticks], [str(tick) for tick in ticks], of.depth)
    ends = f"{path.start} {_at(rows[0])}; {path.name} {_at(rows[-1])}"
    figure = plane([path], scale, view.order, view.correction, of)
    return _described(figure, f"Path through {rows[0]['model']}, {view.words}: {ends}.")


def depth_profiles(layers: pl.DataFrame, view: View) -> go.Figure:
    """The four quantities against depth, one line an order; the null dotted beside raw values."""
    of = look(view.dark)
    lines: dict[str, list[Series]] = {}
    for quantity in QUANTITIES:
        lines[quantity] = []
        for (correction, order), rows in _lines(layers, view, quantity, "ngram"):
            if quantity == "entropy" and lines[quantity]:
                continue  # the same for every order
            ordered = rows.sort("layer").to_dicts()
            x, dotted = [row["layer"] for row in ordered], correction != view.correction
            colour = of.ink if quantity == "entropy" else of.colours[order - 1]
            series = _series(
                f"{order} {ORDERS[order]}",
                x,
                ordered,
                quantity,
                colour=colour,
                symbol=SYMBOLS[order - 1],
                dotted=dotted,
            )
            lines[quantity].append(series)
    what = f"Complexity, expressivity, optimality and entropy by layer of {layers['model'][0]}"
    alt = f"{what}, {CORRECTIONS[view.correction]}, one line an n-gram order; bands are one standard error."
    return _described(panels(lines, Axis(_DEPTH), of), alt)


def clock(points: pl.DataFrame) -> Against | None:
    """What orders checkpoints: tokens where all have them, else steps; None where no model has several."""
    trained = points.filter(pl.col("step").is_not_null() | pl.col("tokens").is_not_null())
    if trained.group_by("model").agg(pl.col("estimate_id").n_unique()).filter(pl.col("estimate_id") > 1).is_empty():
        return None
    return "tokens" if trained["tokens"].null_count() == 0 else "step"


def runs(points: pl.DataFrame) -> list[list[dict[str, Any]]]:
    """Rows of one path each: all timed checkpoints of a model together, each other checkpoint alone."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in points.to_dicts():
        timed = row["step"] is not None or row["tokens"] is not None
        found.setdefault((row["model"], "" if timed else row["estimate_id"]), []).append(row)
    return [sorted(rows, key=lambda row: (row["tokens"] or 0, row["step"] or 0)) for rows in found.values()]


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
        cards=[card(row, _title(row)) for row in rows],
    )


def _coordinates(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "x": [row["input"] for row in rows],
        "y": [row["output"] for row in rows],
        "x_error": [standard_error(row, "input") for row in rows],
        "y_error": [standard_error(row, "output") for row in rows],
        "ids": [row["estimate_id"] for row in rows],
    }


def _lines(rows: pl.DataFrame, view: View, quantity: str, by: str) -> Iterator[tuple[tuple[str, Any], pl.DataFrame]]:
    """Rows of every line of a panel. Beside raw values the null says how much of them sparse labels make."""
    # Entropy has no labels, so it has no null.
    shown = ("raw", "null") if view.correction == "raw" and quantity != "entropy" else (view.correction,)
    for correction in shown:
        for (value,), group in rows.filter(pl.col("correction") == correction).group_by(by, maintain_order=True):
            yield (correction, value), group


def _series(
    name: str, x: Sequence[float], rows: Sequence[Row], quantity: str, *, colour: str, symbol: str, dotted: bool
) -> Series:
    return Series(
        name=name,
        x=x,
        y=[row[quantity] for row in rows],
        error=[standard_error(row, quantity) for row in rows],
        colour=colour,
        symbol=symbol,
        ids=[row["estimate_id"] for row in rows],
        cards=[card(row, _title(row)) for row in rows],
        dotted=dotted,
    )


def _title(row: Row) -> str:
    if "layer" not in row:
        return f"{row['model']}, {checkpoint_name(row)}"
    return f"{'embedding' if row['layer'] == 0 else 'layer ' + str(row['layer'])} of {row['model']}"


def _shades(colour: str, of: Look) -> tuple[str, str]:
    return mix(colour, of.background, 0.4), colour


def _at(row: Row) -> str:
    return " and ".join(
        f"{symbol} {plus_minus(row[quantity], standard_error(row, quantity))}"
        for quantity, symbol in (("input", "I(X;Z)"), ("output", "I(Y;Z)"))
    )


def _described(figure: go.Figure, alt: str) -> go.Figure:
    return figure.update_layout(meta={"alt": alt})

"""The quantities of runs along their training, one panel each, or their differences from one run."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from dashboard.data.rows import CLOCKS, Against, Display, Row, runs
from dashboard.figures.marks import Mark, add_lines
from dashboard.figures.panels import (
    Lines,
    PanelLine,
    SharedAxis,
    dotted_name,
    lines,
    panel_line,
    panels,
    shown_corrections,
)
from dashboard.figures.runs import style
from dashboard.figures.scales import LogScale, linear_ticks
from dashboard.figures.template import Theme, add_meta, theme_for
from dashboard.format import count, short_model
from softh.analysis import differences
from softh.quantities import NGRAMS, PLANE, has_labels, label_name


@dataclass(frozen=True)
class Along:
    """The horizontal axis."""

    column: Against
    linear: bool = False

    def of(self, quantities: Sequence[str]) -> list[str]:
        """Those of the quantities that there are along it: only those of labels have an n-gram order."""
        return [name for name in quantities if self.column != "order" or has_labels(name)]


@dataclass(frozen=True)
class _Scale:
    """Where a value of the column lies on the axis, and the axis."""

    position: Callable[[float], float]
    axis: SharedAxis


def trajectory_curves(
    points: pl.DataFrame,
    display: Display,
    names: Sequence[str],
    along: Along,
    *,
    quantities: Sequence[str] = tuple(each.column for each in PLANE),
    marks: Sequence[Mark] = (),
    selected: Collection[str] = (),
    minus: str | None = None,
) -> go.Figure:
    """Columns of the same rows as on the plane against training tokens, training step or n-gram order.

    quantities are columns of points, with `_se_draws` and `_se_documents` where there are errors. With the name of a
    run in minus, what is drawn is each other run less that one; points then hold `_draws` too.
    """
    theme = theme_for(display.dark)
    if along.column == "order":
        last = [rows[-1]["estimate_id"] for rows in runs(display.select(points))]
        chosen, column = points.filter(pl.col("estimate_id").is_in(last)), "ngram"
        quantities = along.of(quantities) or [each.column for each in PLANE if each.has_labels]
    else:
        column = along.column
        chosen = points.filter(pl.col("ngram") == display.order).drop_nulls(column)
    if minus:
        chosen = _less(chosen, display, minus, column, quantities)
    scale = _scale(chosen, along, display.kind)
    found = lines(chosen, shown_corrections(display), "model", column)
    drawn = {name: _drawn(found, display, name, column, scale, names, theme) for name in quantities}
    figure = panels(drawn, scale.axis, theme, title=f"each run minus {short_model(minus)}" if minus else "")
    colours = {path: style(path, names, theme)[0] for path in {mark.path for mark in marks}}
    if along.column != "order" and not minus:  # a difference has no phases
        add_lines(figure, [mark.moved(scale.position) for mark in marks], colours, theme)
    _ring(figure, selected, theme)
    what = f"{'Differences from ' + minus if minus else 'Quantities of the plane'} along {scale.axis.title}"
    if along.column != "order" and not along.linear:
        add_meta(figure, cursor=along.column)  # where the plane is while it plays
    return add_meta(figure, alt=f"{what}, {display.labels}; bands are one standard error.")


def _drawn(
    found: Lines, display: Display, quantity: str, column: str, scale: _Scale, names: Sequence[str], theme: Theme
) -> list[PanelLine]:
    drawn = []
    for (correction, model), rows in found.items():
        dotted = dotted_name(correction, display)
        if dotted and not has_labels(quantity):
            continue  # what has no labels has no null
        colour, symbol = style(model, names, theme)
        x = [scale.position(row[column]) for row in rows]
        drawn.append(panel_line(model, x, rows, quantity, colour=colour, symbol=symbol, dotted=dotted))
    return drawn


def _scale(chosen: pl.DataFrame, along: Along, labels: str) -> _Scale:
    if along.column == "order":
        names = {**NGRAMS, 1: label_name(1, labels)}
        return _Scale(float, SharedAxis("n-gram order", list(names), [f"{n}<br>{name}" for n, name in names.items()]))
    values = chosen[along.column].to_list()
    title = CLOCKS[along.column]
    if along.linear:
        ticks = linear_ticks(max(values, default=1))
        return _Scale(float, SharedAxis(title, ticks, [count(round(tick)) for tick in ticks]))
    log = LogScale.of(values or [1.0])
    ticks = log.ticks()
    return _Scale(log.place, SharedAxis(title, [log.place(tick) for tick in ticks], [count(round(t)) for t in ticks]))


def _less(chosen: pl.DataFrame, display: Display, minus: str, column: str, quantities: Sequence[str]) -> pl.DataFrame:
    """Every other run less the one, at the checkpoints that both have."""
    rows: dict[tuple[str, int], list[Row]] = {}
    for row in chosen.filter(pl.col("correction") == display.correction).to_dicts():
        rows.setdefault((row["model"], row["ngram"]), []).append(row)
    found = [
        row
        for (model, order), run in rows.items()
        if model != minus
        for row in differences.of_runs(run, rows.get((minus, order), []), column, quantities)
    ]
    return pl.DataFrame(found, schema=None if found else chosen.schema, infer_schema_length=None)


def _ring(figure: go.Figure, selected: Collection[str], theme: Theme) -> None:
    """Larger markers with an edge for the chosen checkpoints."""
    for trace in figure.data:
        if trace.customdata is None or not any(point[0] in selected for point in trace.customdata):
            continue
        chosen = [point[0] in selected for point in trace.customdata]
        inks = [theme.ink if ring else theme.background for ring in chosen]
        edge = {"width": [2 if ring else 0.5 for ring in chosen], "color": inks}
        trace.update(
            mode="lines+markers", marker={"opacity": 1, "size": [12 if ring else 6.5 for ring in chosen], "line": edge}
        )

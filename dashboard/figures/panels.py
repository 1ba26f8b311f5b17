"""Stacked panels over one horizontal axis: H, I(X;Z), I(Y;Z) and optimality, with bands of one standard error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard import plotly_internals
from dashboard.data.rows import Display, Row, title
from dashboard.figures.plane import HEIGHT, MOST_NAMED
from dashboard.figures.template import Theme, Trace, scatter, template
from dashboard.format import hover_text, short_model, standard_error
from softh.quantities import BY_COLUMN

_HEADING = 0.065
"""Height of the line above a panel that names it, as a share of the figure."""
_LEGEND = 29
"""Pixels of a line of the legend; long names take one each."""
_PANEL = 132
"""Pixels of a panel at the least."""


@dataclass(frozen=True)
class PanelLine:
    """One line of one panel."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    error: Sequence[float | None]
    colour: str
    symbol: str
    ids: Sequence[str]
    hover_texts: Sequence[str]
    dotted: str = ""
    """Name of what is dotted, in the legend; empty for a whole line."""
    legend: bool = True


@dataclass(frozen=True)
class SharedAxis:
    """The shared horizontal axis; ticks None lets Plotly choose."""

    title: str
    ticks: Sequence[float] | None = None
    texts: Sequence[str] | None = None


def panels(series: Mapping[str, Sequence[PanelLine]], axis: SharedAxis, theme: Theme, title: str = "") -> go.Figure:
    """One panel a quantity, in the order given; a legend on top, below a title of all.

    A quantity is one of the plane, or any name.
    """
    lines = len({short_model(line.name) for line in next(iter(series.values())) if line.legend and not line.dotted})
    # Two names a line, in smaller letters where there are many.
    many = lines > MOST_NAMED
    above = 12 + (18 * -(-lines // 2) if many else _LEGEND * min(2, lines)) + (20 if title else 0)
    tall = max(HEIGHT, _PANEL * len(series)) + (above - 12 - 2 * _LEGEND if many else 0)
    numbers = ["", *map(str, range(2, len(series) + 1))]
    layout: dict[str, Any] = {
        "template": template(theme), "height": tall, "hovermode": "closest",
        "legend": {
            "y": 1, "yanchor": "bottom", "x": 0, "xanchor": "left", "font": {"size": 10.5 if many else 12},
            "entrywidth": 0.46 if many else 0, "entrywidthmode": "fraction" if many else "pixels",
        },
        "title": {
            "text": title, "x": 0, "xref": "paper", "y": 1, "yanchor": "top", "font": {"size": 13}, "pad": {"t": 4},
        },
        # What axes and legend need, from the start: when they outgrow the margins, Plotly draws everything once more.
        "margin": {"l": 44, "b": 56, "t": above},
        "xaxis": {
            "title": {"text": axis.title}, "anchor": f"y{numbers[-1]}", "tickvals": axis.ticks, "ticktext": axis.texts,
            "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot",
            "spikecolor": theme.muted,
        },
    }  # fmt: skip
    heading = _HEADING * HEIGHT / tall
    height = 1 / len(series) - heading
    names, traces, listed = [], [], set[str]()
    for place, (number, (quantity, lines)) in enumerate(zip(numbers, series.items(), strict=True)):
        top = 1 - heading - place / len(series)
        limits = _limits(quantity, lines)
        layout[f"yaxis{number}"] = {
            "domain": [max(top - height, 0), top],
            "nticks": 5,
            "range": limits and [*limits],
        }
        text = _heading(quantity)
        above = {"xref": "paper", "yref": "paper", "x": 0, "y": top, "xanchor": "left", "yanchor": "bottom"}
        names.append({"text": text, "showarrow": False, "font": {"size": 12.5}, **above})
        for line in lines:
            legend = line.legend and not line.dotted and line.name not in listed
            drawn = _traces(line, f"y{number}", legend=legend, theme=theme)
            traces += drawn
            if legend and drawn:
                listed.add(line.name)
    for name in dict.fromkeys(line.dotted for lines in series.values() for line in lines if line.dotted):
        dots = {"color": theme.muted, "width": 1.4, "dash": "dot"}
        traces.append(scatter(x=[None], y=[None], mode="lines", line=dots, name=name, hoverinfo="skip"))
    return plotly_internals.unchecked(traces, {**layout, "annotations": names})


def _heading(quantity: str) -> str:
    if (known := BY_COLUMN.get(quantity)) is None:
        return f"<b>{quantity}</b>"
    return f"<b>{known.formula}</b>  {known.name}" if known.formula else f"<b>{known.symbol}</b>"


def _limits(quantity: str, lines: Sequence[PanelLine]) -> tuple[float, float] | None:
    """Limits that hold every line and its band, without the extremes of a ratio over nothing."""
    ends = [
        value + sign * (error or 0)
        for line in lines
        for value, error in zip(line.y, line.error, strict=True)
        for sign in (-1, 1)
        if value is not None
    ]
    if quantity in BY_COLUMN and (widest := BY_COLUMN[quantity].axis_limits):
        ends = [min(max(end, widest[0]), widest[1]) for end in ends]
    if not ends:
        return None
    pad = max(0.08 * (max(ends) - min(ends)), 0.004)
    return min(ends) - pad, max(ends) + pad


def _traces(line: PanelLine, axis: str, *, legend: bool, theme: Theme) -> list[Trace]:
    known = [(i, value) for i, value in enumerate(line.y) if value is not None]
    if not known:
        return []
    x, y = [line.x[i] for i, _ in known], [value for _, value in known]
    errors = [line.error[i] or 0.0 for i, _ in known]
    upper, lower = ([value + sign * error for value, error in zip(y, errors, strict=True)] for sign in (1, -1))
    band = scatter(
        x=[*x, *reversed(x)],
        y=[*upper, *reversed(lower)],
        fill="toself", fillcolor=_faint(line.colour), line={"width": 0}, hoverinfo="skip", showlegend=False,
        legendgroup=line.name, yaxis=axis, mode="lines",
    )  # fmt: skip
    drawn = scatter(
        x=x, y=y, yaxis=axis, name=short_model(line.name), legendgroup=line.name, showlegend=legend,
        mode="lines" if line.dotted else "lines+markers",
        line={"color": line.colour, "width": 1.4 if line.dotted else 2, "dash": "dot" if line.dotted else "solid"},
        marker={"symbol": line.symbol, "size": 6.5, "line": {"width": 0.5, "color": theme.background}},
        customdata=[(line.ids[i], line.hover_texts[i]) for i, _ in known],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )  # fmt: skip
    if len(known) == 1:
        return [
            drawn
            | {"error_y": {"array": errors, "thickness": 1.2, "width": 3}, "marker": drawn["marker"] | {"size": 9}}
        ]
    return [drawn] if line.dotted else [band, drawn]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


Lines = Mapping[tuple[str, Any], Sequence[Row]]
"""Correction and what tells a line from others → its rows, each with `hover`, the text of its point."""


def lines(rows: pl.DataFrame, corrections: Sequence[str], by: str, along: str) -> Lines:
    """The rows of every line, told apart by a column and ordered along another, made once for all panels."""
    return {
        (correction, value): [row | {"hover": hover_text(row, title(row))} for row in group.sort(along).to_dicts()]
        for correction in corrections
        for (value,), group in rows.filter(pl.col("correction") == correction).group_by(by, maintain_order=True)
    }


def shown_corrections(display: Display) -> tuple[str, ...]:
    """The corrections of lines: beside raw values the null says how much of them sparse labels make."""
    return ("raw", "null") if display.correction == "raw" else (display.correction,)


def dotted_name(correction: str, display: Display) -> str:
    """Name of a line that stands beside the one that is asked for; empty for that one."""
    return "null" if correction != display.correction else ""


def panel_line(
    name: str,
    x: Sequence[float],
    rows: Sequence[Row],
    quantity: str,
    *,
    colour: str,
    symbol: str,
    dotted: str,
    legend: bool = True,
) -> PanelLine:
    """One quantity of some rows of :func:`lines` as a line of a panel."""
    return PanelLine(
        name=name,
        x=x,
        y=[row[quantity] for row in rows],
        error=[standard_error(row, quantity) for row in rows],
        colour=colour,
        symbol=symbol,
        ids=[row["estimate_id"] for row in rows],
        hover_texts=[row["hover"] for row in rows],
        dotted=dotted,
        legend=legend,
    )

"""The planes of the sources of a text, those of one model in one figure, and what lies within and between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.template import add_meta, template, theme_for
from dashboard.format import plus_minus, standard_error
from softh.analysis.by_source import Split
from softh.quantities import BY_COLUMN

_HEIGHT, _NAMED = 420, 12
Row = Mapping[str, Any]


def source_planes(whole: Row, parts: Mapping[str, Row], labels: str, *, dark: bool) -> go.Figure:
    """The text as a diamond and a point a source, the larger the more positions; crosses are one standard error.

    labels: which labels and correction, below the names of the axes.
    """
    theme = theme_for(dark)
    figure = go.Figure(layout={"template": template(theme), "height": _HEIGHT, "hovermode": "closest"})
    most = max(row["positions"] for row in parts.values())
    sizes = [7 + 11 * (row["positions"] / most) ** 0.5 for row in parts.values()]
    rows = {"all": whole, **parts}
    for name, mine, marker in (
        ("sources", list(parts), {"size": sizes, "color": theme.colours[0], "opacity": 0.8}),
        ("all sources", ["all"], {"size": 13, "color": theme.ink, "symbol": "diamond"}),
    ):
        points = [rows[source] for source in mine]
        figure.add_scatter(
            x=[row["input"] for row in points], y=[row["output"] for row in points], name=name, marker=marker,
            mode="markers+text" if len(parts) <= _NAMED else "markers", text=mine, textposition="top center",
            textfont={"color": theme.muted, "size": 12},
            error_x={"array": _errors(points, "input"), "width": 0, "thickness": 1},
            error_y={"array": _errors(points, "output"), "width": 0, "thickness": 1},
            hovertext=[_said(source, row) for source, row in zip(mine, points, strict=True)],
            hoverinfo="text",
        )  # fmt: skip
    for axis, column in (("xaxis", "input"), ("yaxis", "output")):
        title = f"{BY_COLUMN[column].title}<br><span style='font-size:12px;color:{theme.muted}'>{labels}</span>"
        figure.layout[axis].update(title_text=title, nticks=7)
    ends = ", ".join(f"{name} {row['input']:.3f} and {row['output']:.3f}" for name, row in rows.items())
    return add_meta(figure, alt=f"I(X;Z) and I(Y;Z) of every source, {labels}: {ends}.")


def _said(source: str, row: Row) -> str:
    columns = ("input", "output", "optimality", "entropy")
    numbers = (f"{BY_COLUMN[each].name} = {plus_minus(row[each], standard_error(row, each))}" for each in columns)
    return "<br>".join([f"<b>{source}</b>", f"{row['positions']:,} positions", *numbers])


def _errors(rows: Sequence[Row], column: str) -> list[float]:
    return [standard_error(row, column) or 0 for row in rows]


def sentence(splits: Mapping[str, Split]) -> str:
    """What lies within sources and between them, of raw values, which add up."""
    parts = [
        f"{BY_COLUMN[column].symbol} {each.whole:.4f} = {each.within:.4f} within + {each.between:.4f} between"
        for column, each in splits.items()
    ]
    return f"Sources, raw, mean over layers, log n: {'; '.join(parts)}."

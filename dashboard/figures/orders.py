"""The same runs on one plane for every n-gram order, side by side in two columns."""

from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from dashboard.data.rows import Display, runs, title
from dashboard.figures.plane import span
from dashboard.figures.runs import style
from dashboard.figures.template import Theme, add_meta, heads_left, template, theme_for
from dashboard.format import hover_text, order_name, short_model
from softh.quantities import BY_COLUMN

_COLUMNS, _ROW = 2, 280
"""In two columns, which a telephone has room for; height of a row in pixels."""
_ABOVE, _BELOW, _HEAD = 76, 54, 40
"""Pixels above and below the planes, and of a heading."""


def orders_side_by_side(
    points: pl.DataFrame, display: Display, names: Sequence[str], orders: Sequence[int]
) -> go.Figure:
    """One small plane an order, each with the bound; rows as for the large one, names as there."""
    theme = theme_for(display.dark)
    shown = {order: rows for order in orders if (rows := runs(replace(display, order=order).select(points)))}
    titles = [order_name(order, display.kind) for order in shown]
    columns, rows = min(_COLUMNS, len(shown)), -(-len(shown) // _COLUMNS)
    broken = [name.replace(" (", "<br>").removesuffix(")") for name in titles]
    figure = make_subplots(
        rows, columns, subplot_titles=broken, horizontal_spacing=0.1, vertical_spacing=0.19 if rows > 1 else 0
    )
    figure.update_layout(template=template(theme), height=_ABOVE + _BELOW + _ROW * rows, hovermode="closest")
    for place, paths in enumerate(shown.values()):
        row, column = place // columns + 1, place % columns + 1
        for path in paths:
            figure.add_trace(_path(path, names, theme).update(showlegend=place == 0), row, column)
        every = [each for path in paths for each in path]
        limits = {"x": span([each["input"] for each in every]), "y": span([each["output"] for each in every])}
        line = {"color": theme.muted, "width": 1.2, "dash": "dash"}
        figure.add_shape(type="line", x0=0, y0=0, x1=10, y1=10, line=line, layer="below", row=row, col=column)
        figure.update_xaxes(title_text=BY_COLUMN["input"].formula, range=limits["x"], nticks=5, row=row, col=column)
        figure.update_yaxes(range=limits["y"], nticks=5, row=row, col=column)
    figure.update_yaxes(title_text=BY_COLUMN["output"].formula, col=1)
    heads_left(figure)
    figure.update_layout(
        legend={"y": 1 + _HEAD / (_ROW * rows), "yanchor": "bottom", "x": 0, "xanchor": "left"},
        margin={"l": 66, "b": _BELOW, "t": _ABOVE},
    )
    listed = ", ".join(short_model(path[0]["model"]) for path in next(iter(shown.values()), []))
    return add_meta(
        figure, alt=f"Information planes of {', '.join(titles)} side by side, of {listed}; dashed: the bound."
    )


def _path(rows: Sequence[dict], names: Sequence[str], theme: Theme) -> go.Scatter:
    colour, symbol = style(rows[0]["model"], names, theme)
    last = len(rows) - 1
    return go.Scatter(
        x=[row["input"] for row in rows], y=[row["output"] for row in rows], name=short_model(rows[0]["model"]),
        legendgroup=rows[0]["model"], mode="lines+markers", line={"color": colour, "width": 1.8},
        marker={"symbol": symbol, "size": [10 if place == last else 5 for place in range(last + 1)]},
        customdata=[(row["estimate_id"], hover_text(row, title(row))) for row in rows],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )  # fmt: skip

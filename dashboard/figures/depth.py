"""Layers along training as a heat map, and the layers of one model minus those of another."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.data.rows import CLOCKS, Against, Display
from dashboard.figures.plane import HEIGHT
from dashboard.figures.runs import described
from dashboard.figures.scales import LogScale
from dashboard.figures.template import template, theme_for
from dashboard.format import checkpoint_name, count, plus_minus, short_model
from softh.analysis.differences import Difference
from softh.quantities import BY_COLUMN, PLANE

Row = Mapping[str, Any]


def training_map(rows: pl.DataFrame, display: Display, quantity: str, clock: Against) -> go.Figure:
    """One quantity of every layer at every checkpoint of a run, and where each layer turns.

    rows: one a checkpoint and layer, with the columns of the plane. The lowest entropy of a layer is where its collapse
    ends, its largest expressivity where its fitting does; both are the checkpoint itself, without an interval.
    """
    theme, known = theme_for(display.dark), BY_COLUMN[quantity]
    moments = rows.unique("estimate_id", maintain_order=True).sort(clock).to_dicts()
    layers = rows["layer"].unique().sort().to_list()
    by_place = {(row["estimate_id"], row["layer"]): row for row in rows.to_dicts()}
    scale = LogScale.of([row[clock] for row in moments])
    names = [checkpoint_name(row) for row in moments]
    figure = go.Figure(layout={"template": template(theme), "height": min(HEIGHT, 190 + 26 * len(layers))})
    figure.add_heatmap(
        x=list(range(len(moments))), y=layers,
        z=[[_value(by_place.get((row["estimate_id"], layer)), quantity) for row in moments] for layer in layers],
        text=[[_text(by_place.get((row["estimate_id"], layer)), quantity) for row in moments] for layer in layers],
        colorscale=[[place / (len(theme.depth) - 1), colour] for place, colour in enumerate(theme.depth)],
        customdata=[[[name] for name in names] for _ in layers], meta={"columns": names},
        hovertemplate=f"%{{customdata[0]}}, layer %{{y}}<br>{known.name} = %{{z:.4f}}<extra></extra>", name=known.name,
        colorbar={"title": {"text": known.title, "side": "right"}, "thickness": 10, "outlinewidth": 0},
    )  # fmt: skip
    turns = (("entropy", "collapse ends (lowest entropy)", "circle-open", min), ("output", _FITTED, "x", max))
    for column, name, symbol, best in turns:
        ends = [
            best(
                range(len(moments)), key=lambda i: _key(by_place.get((moments[i]["estimate_id"], layer)), column, best)
            )
            for layer in layers
        ]
        marker = {"symbol": symbol, "size": 10, "color": "#FFFFFF", "line": {"width": 2, "color": "#FFFFFF"}}
        if symbol == "x":
            marker |= {"line": {"width": 1, "color": "#000000"}}
        figure.add_scatter(x=ends, y=layers, mode="markers", name=name, marker=marker, hoverinfo="skip")
    step = max(1, len(moments) // 8)
    shown = list(range(0, len(moments), step))
    words = [count(round(moments[i][clock])) for i in shown]
    figure.update_xaxes(title_text=CLOCKS[clock], tickvals=shown, ticktext=words, showgrid=False)
    figure.update_yaxes(title_text="layer", dtick=max(1, len(layers) // 8), showgrid=False)
    figure.update_layout(
        legend={"y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "bgcolor": theme.grid},
        margin={"l": 60, "b": 56, "t": 40},
    )
    what = f"{known.name.capitalize()} of every layer along the training of {moments[0]['model']}"
    return described(figure, f"{what}, {count(round(scale.most))} {CLOCKS[clock]} at the end, {display.labels}.")


def layer_differences(
    found: Mapping[str, Sequence[tuple[int, Difference]]], model: str, other: str, display: Display
) -> go.Figure:
    """Each quantity of one model minus that of another by layer, with 95 % intervals."""
    theme = theme_for(display.dark)
    figure = go.Figure(layout={"template": template(theme), "height": 340, "hovermode": "closest"})
    for place, (quantity, pairs) in enumerate(found.items()):
        colour, known = theme.colours[place], [(layer, each) for layer, each in pairs if each.value is not None]
        figure.add_scatter(
            x=[layer for layer, _ in known], y=[each.value for _, each in known], name=BY_COLUMN[quantity].name,
            mode="lines+markers", line={"color": colour, "width": 2}, marker={"size": 6.5},
            error_y={"array": [each.half_width or 0 for _, each in known], "color": colour, "thickness": 1.2},
            customdata=[f"layer {layer}<br>{plus_minus(each.value, each.error)}" for layer, each in known],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(title_text="layer, 0 the embedding")
    figure.update_yaxes(title_text=f"minus {short_model(other)}, log n")
    figure.update_layout(
        legend={"y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"}, margin={"l": 70, "b": 50, "t": 30}
    )
    said = f"{model} minus {other} by layer, {display.labels}; bars are 95 % intervals of paired differences."
    return described(figure, said)


_FITTED = "fitting ends (largest expressivity)"
COMPARED = tuple(each.column for each in PLANE if each.column in ("input", "output"))
"""What is compared by layer: both in log n, so that they share an axis."""


def _value(row: Row | None, quantity: str) -> float | None:
    return None if row is None else row[quantity]


def _text(row: Row | None, quantity: str) -> str:
    """For a table of the same; the figure has colours alone."""
    return "–" if row is None or row[quantity] is None else f"{row[quantity]:.3f}"


def _key(row: Row | None, column: str, best: Any) -> float:
    if row is None or row[column] is None:
        return float("inf") if best is min else float("-inf")
    return row[column]

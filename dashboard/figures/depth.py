"""Layers along training as a heat map, and the layers of two models beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from dashboard.data.rows import CLOCKS, Against, Display, title
from dashboard.figures.plane import HEIGHT
from dashboard.figures.runs import described
from dashboard.figures.scales import LogScale
from dashboard.figures.template import SYMBOLS, Theme, heads_left, template, theme_for
from dashboard.format import checkpoint_name, count, plus_minus, short_model, standard_error
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


def compared(
    mine: Sequence[Row],
    theirs: Sequence[Row],
    found: Mapping[str, Sequence[tuple[float, Difference]]],
    display: Display,
) -> go.Figure:
    """Two models by layer beside each other for every quantity, and below them one minus the other.

    mine, theirs: rows of the layers of one estimate each; found: quantity → (place, difference), places being layers,
    or shares of depth where the models have other depths.
    """
    theme, deepest = theme_for(display.dark), [max(row["layer"] for row in rows) for rows in (mine, theirs)]
    whole = deepest[0] == deepest[1]
    titles = [f"<b>{BY_COLUMN[quantity].formula}</b>  {BY_COLUMN[quantity].name}" for quantity in found]
    figure = make_subplots(
        2, len(found), shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.08, horizontal_spacing=0.09,
        subplot_titles=titles,
    )  # fmt: skip
    figure.update_layout(template=template(theme), height=470, hovermode="closest")
    for column, (quantity, pairs) in enumerate(found.items(), 1):
        for place, (rows, most) in enumerate(zip((mine, theirs), deepest, strict=True)):
            line = _line_of_layers(rows, quantity, 1 if whole else most, place, theme)
            figure.add_trace(line.update(showlegend=column == 1), row=1, col=column)
        figure.add_trace(_line_of_differences(pairs, theme, whole=whole).update(showlegend=column == 1), 2, column)
        figure.add_hline(0, line={"color": theme.muted, "width": 1}, row=2, col=column)
    figure.update_xaxes(title_text=_LAYER if whole else _DEEP, row=2)
    figure.update_yaxes(title_text="log n", col=1, row=1)
    figure.update_yaxes(title_text="difference", col=1, row=2)
    heads_left(figure)
    figure.update_layout(
        legend={"y": 1.09, "yanchor": "bottom", "x": 0, "xanchor": "left"}, margin={"l": 70, "b": 50, "t": 70}
    )
    names = " and ".join(rows[0]["model"] for rows in (mine, theirs))
    said = f"{names} by layer, {display.labels}, and the first minus the second with 95 % intervals."
    return described(figure, said)


def _line_of_layers(rows: Sequence[Row], quantity: str, whole: float, place: int, theme: Theme) -> go.Scatter:
    """One model; whole: what layers are shares of."""
    ordered = sorted(rows, key=lambda row: row["layer"])
    errors = [standard_error(row, quantity) for row in ordered]
    return go.Scatter(
        x=[row["layer"] / whole for row in ordered], y=[row[quantity] for row in ordered],
        name=short_model(rows[0]["model"]), legendgroup=str(place), mode="lines+markers",
        line={"color": theme.colours[place], "width": 2}, marker={"size": 6.5, "symbol": SYMBOLS[place]},
        error_y={"array": [error or 0 for error in errors], "color": theme.colours[place], "thickness": 1},
        customdata=[
            f"<b>{title(row)}</b><br>layer {row['layer']}<br>{plus_minus(row[quantity], error)}"
            for row, error in zip(ordered, errors, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _line_of_differences(pairs: Sequence[tuple[float, Difference]], theme: Theme, *, whole: bool) -> go.Scatter:
    known = [(at, each) for at, each in pairs if each.value is not None]
    return go.Scatter(
        x=[at for at, _ in known], y=[each.value for _, each in known], name="difference, 95 %",
        legendgroup="difference", mode="lines+markers", line={"color": theme.ink, "width": 1.5},
        marker={"size": 6, "symbol": "diamond"},
        error_y={"array": [each.half_width or 0 for _, each in known], "color": theme.ink, "thickness": 1.2},
        customdata=[f"{_place(at, whole=whole)}<br>{plus_minus(each.value, each.error)}" for at, each in known],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _place(at: float, *, whole: bool) -> str:
    return f"layer {at:g}" if whole else f"{at:.0%} of the depth"


_LAYER, _DEEP = "layer, 0 the embedding", "depth, 0 the embedding, 1 the last layer"
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

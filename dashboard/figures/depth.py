"""Layers along training as a heat map, and the layers of two models beside each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from dashboard import plotly_internals
from dashboard.data.rows import CLOCKS, Against, Display, title
from dashboard.figures.plane import HEIGHT
from dashboard.figures.scales import LogScale
from dashboard.figures.template import SYMBOLS, Theme, Trace, add_meta, heads_left, scatter, template, theme_for
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
    moments = rows.unique("estimate_id", maintain_order=True).sort(clock)
    layers, times = rows["layer"].unique().sort().to_list(), moments[clock].to_list()
    grid = _grid(rows, moments["estimate_id"].to_list(), layers)
    names = [checkpoint_name(row) for row in moments.to_dicts()]
    heat = {
        "type": "heatmap", "x": list(range(len(names))), "y": layers, "z": grid(quantity), "name": known.name,
        "customdata": np.tile(np.array(names, object)[None, :, None], (len(layers), 1, 1)), "meta": {"columns": names},
        "colorscale": [[place / (len(theme.depth) - 1), colour] for place, colour in enumerate(theme.depth)],
        "hovertemplate": f"%{{customdata[0]}}, layer %{{y}}<br>{known.name} = %{{z:.4f}}<extra></extra>",
        "colorbar": {"title": {"text": known.title, "side": "right"}, "thickness": 10, "outlinewidth": 0},
    }  # fmt: skip
    shown = list(range(0, len(names), max(1, len(names) // 8)))
    words = [count(round(times[i])) for i in shown]
    figure = plotly_internals.unchecked(
        [heat, *_turns(grid, layers)],
        {
            "template": template(theme), "height": min(HEIGHT, 190 + 26 * len(layers)),
            "xaxis": {"title": {"text": CLOCKS[clock]}, "tickvals": shown, "ticktext": words, "showgrid": False},
            "yaxis": {"title": {"text": "layer"}, "dtick": max(1, len(layers) // 8), "showgrid": False},
            "legend": {"y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "bgcolor": theme.grid},
            "margin": {"l": 60, "b": 56, "t": 40},
        },
    )  # fmt: skip
    what = f"{known.name.capitalize()} of every layer along the training of {moments['model'][0]}"
    end = count(round(LogScale.of(times).most))
    return add_meta(figure, alt=f"{what}, {end} {CLOCKS[clock]} at the end, {display.labels}.")


def _grid(rows: pl.DataFrame, ids: Sequence[str], layers: Sequence[int]) -> Callable[[str], np.ndarray]:
    """A function from a column to its values, [layers, estimates]; NaN where there is none."""
    of_layer, of_moment = ({name: place for place, name in enumerate(names)} for names in (layers, ids))
    at = [of_layer[layer] for layer in rows["layer"]], [of_moment[one] for one in rows["estimate_id"]]

    def values(column: str) -> np.ndarray:
        grid = np.full((len(layers), len(ids)), np.nan)
        grid[at] = rows[column].to_numpy()
        return grid

    return values


def _turns(grid: Callable[[str], np.ndarray], layers: Sequence[int]) -> Iterator[Trace]:
    """Where collapse and fitting of each layer end."""
    lowest = np.nan_to_num(grid("entropy"), nan=np.inf).argmin(1)
    highest = np.nan_to_num(grid("output"), nan=-np.inf).argmax(1)
    ring = {"symbol": "circle-open", "size": 10, "color": "#FFFFFF", "line": {"width": 2, "color": "#FFFFFF"}}
    cross = {"symbol": "x", "size": 10, "color": "#FFFFFF", "line": {"width": 1, "color": "#000000"}}
    for places, name, marker in ((lowest, _COLLAPSED, ring), (highest, _FITTED, cross)):
        yield scatter(x=places.tolist(), y=layers, mode="markers", name=name, marker=marker, hoverinfo="skip")


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
    return add_meta(figure, alt=said)


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


_LAYER, _DEEP = "layer, 0 the embedding", "depth, 0 first, 1 last"
_COLLAPSED, _FITTED = "collapse ends (lowest entropy)", "fitting ends (largest expressivity)"
COMPARED = tuple(each.column for each in PLANE if each.column in ("input", "output"))
"""What is compared by layer: both in log n, so that they share an axis."""

"""What the amount of text does to raw, corrected and debiased values: a figure of dashboard/assets/amounts.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.template import SYMBOLS, template, theme_for
from softh.quantities import BY_COLUMN

CORRECTIONS = {"debiased": "debiased", "raw": "raw, as published", "corrected": "null-corrected"}
_PANELS = {("information", "input"): "input", ("information", "output"): "output", ("optimality", None): "optimality"}
_RESULTS = Path(__file__).parents[1] / "assets" / "amounts.json"
"""Written by `python -m benchmarks.amounts`."""


@cache
def results() -> dict[str, Any]:
    """Model → its text, layers, and `rows`: quantity, variable, order, correction, positions and value."""
    return json.loads(_RESULTS.read_text(encoding="utf-8"))["models"]


def curves(found: dict[str, Any], *, dark: bool) -> go.Figure:
    """Complexity, expressivity and optimality of one model against positions; alt text in `layout.meta`."""
    theme = theme_for(dark)
    titles = [BY_COLUMN[column].symbol for column in _PANELS.values()]
    figure = make_subplots(1, len(_PANELS), subplot_titles=titles, horizontal_spacing=0.07)
    figure.update_layout(template=template(theme), height=320, hovermode="closest")
    orders = sorted({row["order"] for row in found["rows"]})
    for column, (quantity, variable) in enumerate(_PANELS, 1):
        for place, (correction, name) in enumerate(CORRECTIONS.items()):
            for order in orders:
                wanted = (quantity, variable, order, correction)
                mine = [row for row in found["rows"] if _name(row) == wanted]
                figure.add_scatter(
                    row=1, col=column, x=[row["positions"] for row in mine], y=[row["value"] for row in mine],
                    name=f"{name}, order {order}", legendgroup=f"{name} {order}", showlegend=column == 1,
                    mode="lines+markers", marker={"symbol": SYMBOLS[place], "size": 7},
                    line={"color": theme.colours[place], "dash": "solid" if order == orders[0] else "dot", "width": 2},
                    hovertext=[f"{name}, order {order}<br>{r['positions']:,}: {r['value']:.4f}" for r in mine],
                    hoverinfo="text",
                )  # fmt: skip
    ticks = sorted({row["positions"] for row in found["rows"]})
    labels = [f"{tick // 1000}k" for tick in ticks]
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=labels, title_text="positions")
    figure.update_yaxes(rangemode="tozero", nticks=5)
    figure.update_layout(legend={"orientation": "h", "y": -0.3, "x": 0}, margin={"t": 30})
    return figure.update_layout(meta={"alt": _described(found, orders)})


def _name(row: dict[str, Any]) -> tuple[str, str | None, int, str]:
    return row["quantity"], row["variable"], row["order"], row["correction"]


def _described(found: dict[str, Any], orders: list[int]) -> str:
    """From the fewest to the most positions, each correction of optimality."""
    parts = []
    for correction, name in CORRECTIONS.items():
        for order in orders:
            mine = [row["value"] for row in found["rows"] if _name(row) == ("optimality", None, order, correction)]
            parts.append(f"{name} of order {order} {mine[0]:.3f} to {mine[-1]:.3f}")
    return f"Optimality as text is added on {found['text']}: {'; '.join(parts)}."

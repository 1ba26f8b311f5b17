"""Estimators of information where the truth is known, side by side: figures of dashboard/assets/court.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.template import template, theme_for

_RESULTS = Path(__file__).parents[1] / "assets" / "court.json"
"""Written by `python -m benchmarks.court`."""
_SYMBOLS = ("circle-open", "circle")


@cache
def results() -> dict[str, Any]:
    """What was measured: `about`, and `rows`, one an estimator, channel and number of positions."""
    return json.loads(_RESULTS.read_text(encoding="utf-8"))


def channels(results: dict[str, Any]) -> list[str]:
    """Channels in their order."""
    return list(dict.fromkeys(row["channel"] for row in results["rows"]))


def chart(results: dict[str, Any], channel: str, *, dark: bool) -> go.Figure:
    """A line an estimator: its mean and standard deviation over samples, and both truths; alt text in `layout.meta`."""
    theme = theme_for(dark)
    rows = [row for row in results["rows"] if row["channel"] == channel]
    sizes, names = sorted({row["positions"] for row in rows}), list(dict.fromkeys(row["estimator"] for row in rows))
    figure = go.Figure(layout={"template": template(theme), "height": 90 + 30 * len(names), "hovermode": "closest"})
    for place, size in enumerate(sizes):
        mine = [row for row in rows if row["positions"] == size]
        figure.add_scatter(
            x=[row["mean"] for row in mine], y=[row["estimator"] for row in mine], mode="markers",
            name=f"{size:,} positions", error_x={"array": [row["sd"] or 0 for row in mine], "width": 0},
            marker={"symbol": _SYMBOLS[size == sizes[-1]], "size": 8, "color": theme.colours[place]},
            hovertext=[f"{row['estimator']}<br>{row['mean']:.3f} ± {row['sd'] or 0:.3f} nats" for row in mine],
            hoverinfo="text",
        )  # fmt: skip
    truths = (("truth", "information", "solid"), ("soft truth", "what soft assignment keeps", "dash"))
    for column, name, dash in truths:
        figure.add_vline(x=rows[0][column], line={"color": theme.ink, "dash": dash, "width": 1.5})
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name=name, line={"color": theme.ink, "dash": dash, "width": 1.5}
        )
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    figure.update_xaxes(title_text="nats", rangemode="tozero", nticks=6)
    figure.update_layout(legend={"orientation": "h", "y": -0.25, "x": 0}, margin={"t": 8})
    said = [f"{row['estimator']} {row['mean']:.2f}" for row in rows if row["positions"] == sizes[-1]]
    alt = (
        f"{channel}: information {rows[0]['truth']:.2f} nats, of which soft assignment keeps "
        f"{rows[0]['soft truth']:.2f}; at {sizes[-1]:,} positions {', '.join(said)}."
    )
    return figure.update_layout(meta={"alt": alt})

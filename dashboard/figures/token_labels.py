"""What layers say of kinds of tokens, out of what there is to say: figures of dashboard/assets/token_labels.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.template import SYMBOLS, template, theme_for
from dashboard.format import short_model

_RESULTS = Path(__file__).parents[1] / "assets" / "token_labels.json"
"""Written by `python -m benchmarks.token_labels`."""
_PANELS = {"input": "of the token read", "output": "of the next token"}


@cache
def results() -> list[dict[str, Any]]:
    """A row a model, kind of label, variable and layer."""
    return json.loads(_RESULTS.read_text(encoding="utf-8"))["rows"]


def by_layer(rows: list[dict[str, Any]], model: str, *, dark: bool) -> go.Figure:
    """A line a kind of label, X left and Y right, bars one standard error; alt text in `layout.meta`."""
    theme, mine = theme_for(dark), [row for row in rows if row["model"] == model]
    figure = make_subplots(1, 2, subplot_titles=list(_PANELS.values()), horizontal_spacing=0.1, shared_yaxes=True)
    figure.update_layout(template=template(theme), height=320, hovermode="closest")
    said = []
    for place, labels in enumerate(dict.fromkeys(row["labels"] for row in mine)):
        for column, variable in enumerate(_PANELS, 1):
            layers = [row for row in mine if (row["labels"], row["variable"]) == (labels, variable)]
            mean = next(row for row in layers if row["layer"] is None)
            layers = [row for row in layers if row["layer"] is not None]
            share = [100 * row["value"] / row["entropy"] for row in layers]
            figure.add_scatter(
                row=1, col=column, x=[row["layer"] for row in layers], y=share, name=labels, legendgroup=labels,
                showlegend=column == 1, mode="lines+markers", marker={"symbol": SYMBOLS[place], "size": 6},
                error_y={"array": [100 * row["error"] / row["entropy"] for row in layers], "width": 0},
                line={"color": theme.colours[place], "width": 1.5},
                hovertext=[
                    f"{labels}, layer {row['layer']}<br>{part:.1f} % of {row['entropy']:.3f} log n"
                    for row, part in zip(layers, share, strict=True)
                ],
                hoverinfo="text",
            )  # fmt: skip
            said.append(f"{labels} {_PANELS[variable]} {100 * mean['value'] / mean['entropy']:.1f} %")
    figure.update_xaxes(title_text="layer")
    figure.update_yaxes(rangemode="tozero", nticks=6)
    figure.update_yaxes(title_text="% of the label's entropy", col=1)
    figure.update_layout(legend={"orientation": "h", "y": -0.3, "x": 0}, margin={"t": 30})
    return figure.update_layout(meta={"alt": f"{short_model(model)}, mean over layers: {'; '.join(said)}."})

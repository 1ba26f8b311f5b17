"""What settings do to the numbers, measured once: figures and a table of dashboard/assets/sensitivity.json."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.figures.runs import style
from dashboard.figures.template import template, theme_for
from dashboard.format import short_model
from softh.quantities import BY_COLUMN

QUANTITY = "input"
SWEPT = {
    "documents": "More text raises I(X;Z) even after the null is subtracted: compare models on equal numbers of "
    "documents only.",
    "context": "A longer context does the same, as it adds positions: compare at equal context only.",
    "bins": "From 25 to 800 directions corrected I(X;Z) changes by a tenth at most and models keep their order; H(Z) "
    "does change, so compare it at equal n only.",
    "draws, iid": "The three models keep their order even with one draw; closer models might not, so check the error.",
    "draws, orthonormal": "Orthonormal frames give values up to two per cent apart: do not mix the two.",
}
"""Setting → what it means for a reader who compares two models."""
_RESULTS = Path(__file__).parents[1] / "assets" / "sensitivity.json"
"""Written by `python -m benchmarks.sensitivity`."""


@cache
def results() -> dict[str, Any]:
    """What was measured: `about`, `rows` (a mean over layers of one model, setting and correction) and `agreement`."""
    return json.loads(_RESULTS.read_text(encoding="utf-8"))


def curves(results: dict[str, Any], setting: str, *, dark: bool) -> go.Figure:
    """Complexity along one setting, a line a model, the null dotted beside it; alt text in `layout.meta`."""
    theme = theme_for(dark)
    figure = go.Figure(layout={"template": template(theme), "height": 300, "hovermode": "closest"})
    name = BY_COLUMN[QUANTITY].name
    rows = [row for row in results["rows"] if row["setting"] == setting]
    models = sorted({row["model"] for row in rows})
    ends = []
    for model in models:
        colour, symbol = style(model, models, theme)
        for correction, dash in (("corrected", "solid"), ("null", "dot")):
            mine = [r for r in rows if r["model"] == model and r["correction"] == correction]
            errors = [(r["se_draws"] or 0) for r in mine]
            figure.add_scatter(
                x=[r["at"] for r in mine], y=[r["value"] for r in mine], name=short_model(model),
                error_y={"array": errors, "color": colour, "width": 0, "thickness": 1},
                showlegend=correction == "corrected", marker={"symbol": symbol, "size": 7},
                mode="lines+markers", line={"color": colour, "dash": dash, "width": 1.5},
                hovertext=[f"{short_model(model)}, {correction}<br>{r['at']}: {r['value']:.4f}" for r in mine],
                hoverinfo="text",
            )  # fmt: skip
            if mine and correction == "corrected":
                ends.append(f"{model} {mine[0]['value']:.3f} to {mine[-1]['value']:.3f}")
    figure.update_xaxes(type="log", title_text=setting, tickvals=sorted({row["at"] for row in rows}))
    figure.update_yaxes(title_text=name, rangemode="tozero", nticks=5)
    figure.update_layout(legend={"y": 1.02, "yanchor": "bottom", "x": 0}, margin={"t": 8})
    alt = f"{name} along {setting}, null-corrected with the null dotted: {'; '.join(ends)}."
    return figure.update_layout(meta={"alt": alt})


def agreement(results: dict[str, Any]) -> pl.DataFrame:
    """Kendall's tau of models and of all their layers between each setting and the base one, corrected values."""
    return pl.DataFrame(
        [
            {"Setting": row["setting"], "At": str(row["at"]), "Quantity": BY_COLUMN[row["quantity"]].name,
             "τ over models": _tau(row["models"]), "Models": row["n"], "τ over layers": _tau(row["layers"]),
             "Layers": row["n_layers"]}
            for row in results["agreement"]
        ],
        infer_schema_length=None,
    )  # fmt: skip


def _tau(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")

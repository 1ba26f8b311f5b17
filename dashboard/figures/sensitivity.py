"""What settings do to the numbers: figures and tables of benchmarks/results/sensitivity.json, measured beforehand."""

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard.figures.runs import style
from dashboard.figures.template import look, template
from dashboard.format import short_model
from softh import settings
from softh.quantities import BY_COLUMN

SWEPT = {
    "documents": "More text raises I(X;Z) even after the null is taken away: compare models on equal numbers of "
    "documents only.",
    "context": "A longer context does the same, through more positions: compare at equal context only.",
    "bins": "From 25 to 800 directions corrected I(X;Z) moves by a tenth at most and models keep their order; H(Z) "
    "does not stand still, so compare it at equal n.",
    "draws, iid": "The three models keep their order even with one draw; closer ones would not: read the error.",
    "draws, orthonormal": "Orthonormal frames give values up to two per cent apart: do not mix the two.",
}
"""Setting → what it means for a reader who compares two models."""
_RESULTS = settings.ROOT / "benchmarks" / "results" / "sensitivity.json"


def results() -> dict[str, Any] | None:
    """What was measured, or None where the file is not shipped."""
    return _results(_RESULTS) if _RESULTS.exists() else None


def curves(found: dict[str, Any], setting: str, quantity: str, *, dark: bool) -> go.Figure:
    """One quantity along one setting, a line a model, the null dotted beside it; alt text in `layout.meta`."""
    of = look(dark)
    figure = go.Figure(layout={"template": template(of), "height": 300, "hovermode": "closest"})
    rows = [r for r in found["rows"] if r["setting"] == setting and r["quantity"] == quantity]
    models = sorted({row["model"] for row in rows})
    ends = []
    for model in models:
        colour, symbol = style(model, models, of)
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
    figure.update_yaxes(title_text=BY_COLUMN[quantity].name, rangemode="tozero", nticks=5)
    figure.update_layout(legend={"y": 1.02, "yanchor": "bottom", "x": 0}, margin={"t": 8})
    alt = f"{BY_COLUMN[quantity].name} along {setting}, null-corrected with the null dotted: {'; '.join(ends)}."
    return figure.update_layout(meta={"alt": alt})


def agreement(found: dict[str, Any]) -> pl.DataFrame:
    """Kendall's tau of models and of all their layers between each setting and the base one, corrected values."""
    rows = [
        r for r in found["agreement"] if r["correction"] == "corrected" and r["quantity"] in ("input", "optimality")
    ]
    return pl.DataFrame(
        [
            {"Setting": row["setting"], "At": str(row["at"]), "Quantity": BY_COLUMN[row["quantity"]].name,
             "tau of models": row["models"], "n": row["n"], "tau of layers": row["layers"], "layers": row["n_layers"]}
            for row in rows
        ],
        infer_schema_length=None,
    )  # fmt: skip


@st.cache_data(show_spinner=False)
def _results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))

"""What token, bigram, trigram and quadgram explain, as parts of H(Z): by layer, checkpoint or model."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard import plotly_internals
from dashboard.figures.template import add_meta, template, theme_for
from dashboard.format import plus_minus
from softh.analysis.shares import Share

_HEIGHT, _ROW = 320, 20
_MOST_UPRIGHT = 30
"""Bars whose names have room below them."""


def context_shares(shares: Mapping[str, Sequence[Share]], axis: str, what: str, *, dark: bool) -> go.Figure:
    """Parts of each place, stacked up to H(Z); errors in the cards. Many bars, or long names, lie.

    shares: name of a place, such as a layer or a model, → its parts; axis: what places are; what: of which they are.
    Negative parts are drawn below zero, and what is above it is then more than H(Z) by as much.
    """
    theme, places = theme_for(dark), list(shares)
    lying = axis.startswith("model") or len(places) > _MOST_UPRIGHT
    height = max(_HEIGHT, 110 + _ROW * len(places)) if lying else _HEIGHT
    named = {"type": "category", "showgrid": False} | (
        {"autorange": "reversed", "tickmode": "linear", "dtick": 1} if lying else {"title": {"text": axis}}
    )
    counted = {"title": {"text": "parts of H(Z) / log n"}}
    traces = []
    for number, first in enumerate(next(iter(shares.values()))):
        parts = [of_place[number].part for of_place in shares.values()]
        name = first.name if first.above == 0 or first.order is None else f"+ {first.name}"
        values = [part.value for part in parts]
        traces.append({
            "type": "bar", "name": name, "x": values if lying else places, "y": places if lying else values,
            "orientation": "h" if lying else "v", "hoverinfo": "text",
            "marker": {"color": theme.muted if first.order is None else theme.colours[first.order - 1]},
            "hovertext": [
                f"{axis.partition(',')[0]} {place}, {name}: {plus_minus(part.value, part.error)}"
                for place, part in zip(places, parts, strict=True)
            ],
        })  # fmt: skip
    figure = plotly_internals.unchecked(
        traces,
        {
            "template": template(theme), "height": height, "barmode": "relative",
            "xaxis": counted if lying else named, "yaxis": named if lying else counted,
            "legend": {"y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left", "traceorder": "normal"},
            "margin": {"t": 34, "b": 56, "l": 60},
        },
    )  # fmt: skip
    last = places[-1]
    told = ", ".join(f"{share.name} {plus_minus(share.part.value, share.part.error)}" for share in shares[last])
    alt = f"What each longer n-gram explains beyond the shorter one, by {axis}, of {what}; {last}: {told}."
    return add_meta(figure, alt=alt)

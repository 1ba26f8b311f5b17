"""What token, bigram, trigram and quadgram explain of the hidden states of each layer, as parts of H(Z)."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.figures.runs import described
from dashboard.figures.template import template, theme_for
from dashboard.format import plus_minus
from softh.analysis.shares import Share

_HEIGHT = 320


def context_shares(shares: Mapping[int | None, Sequence[Share]], model: str, *, dark: bool) -> go.Figure:
    """Parts by layer, the mean over layers (None) beside them, stacked up to H(Z); errors in the cards.

    Negative parts are drawn below zero, and what is above it is then more than H(Z) by as much.
    """
    theme = theme_for(dark)
    figure = go.Figure(layout={"template": template(theme), "height": _HEIGHT, "barmode": "relative"})
    places = ["mean" if layer is None else str(layer) for layer in shares]
    for number, first in enumerate(next(iter(shares.values()))):
        parts = [of_layer[number].part for of_layer in shares.values()]
        name = first.name if first.above == 0 or first.order is None else f"+ {first.name}"
        figure.add_bar(
            x=places, y=[part.value for part in parts], name=name,
            marker={"color": theme.muted if first.order is None else theme.colours[first.order - 1]},
            hovertext=[
                f"layer {place}, {name}: {plus_minus(part.value, part.error)}"
                for place, part in zip(places, parts, strict=True)
            ],
            hoverinfo="text",
        )  # fmt: skip
    figure.update_xaxes(title_text="layer", type="category")
    figure.update_yaxes(title_text="parts of H(Z) / log n")
    mean = ", ".join(f"{share.name} {plus_minus(share.part.value, share.part.error)}" for share in shares[None])
    alt = f"What each longer n-gram explains of the hidden states of {model} beyond the shorter one; mean: {mean}."
    return described(figure, alt)

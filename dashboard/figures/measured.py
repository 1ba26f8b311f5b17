"""Figures of what was measured from hidden states in memory: values with their errors, and points on the plane."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import plotly.graph_objects as go

from dashboard.figures.plane import Path, Spread
from dashboard.figures.plane import plane as draw_plane
from dashboard.figures.template import SYMBOLS, add_meta, mix, template, theme_for
from dashboard.format import CORRECTION_WORDS, plus_minus
from softh.analysis.standard_errors import combined
from softh.quantities import BY_COLUMN


class Value(Protocol):
    """A number with its two standard errors: :class:`softh.estimator.information.Value`."""

    value: float | None
    se_draws: float | None
    se_documents: float | None


Information = Any
"""A :class:`softh.Information`; importing it would bring torch."""


def values(named: Mapping[str, Information], *, dark: bool) -> go.Figure:
    """One row a correction, one colour a name, with bars of one standard error; shuffled labels near zero."""
    theme = theme_for(dark)
    figure = go.Figure(layout={"template": template(theme), "height": 120 + 44 * len(CORRECTION_WORDS)})
    for place, (name, found) in enumerate(named.items()):
        each = {words: getattr(found, key) for key, words in CORRECTION_WORDS.items()}
        known = {words: value for words, value in each.items() if value.value is not None}
        figure.add_scatter(
            x=[value.value for value in known.values()], y=list(known), mode="markers", name=name,
            marker={"size": 10, "color": theme.colours[place % len(theme.colours)],
                    "symbol": SYMBOLS[place % len(SYMBOLS)]},
            error_x={"array": [_error(value) or 0 for value in known.values()], "thickness": 1.4},
            customdata=[plus_minus(value.value, _error(value)) for value in known.values()],
            hovertemplate="%{fullData.name} %{y}: %{customdata}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(title_text="information / log n")
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=list(CORRECTION_WORDS.values()))
    figure.update_layout(
        showlegend=len(named) > 1, legend={"y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        margin={"l": 120, "b": 56, "t": 40 if len(named) > 1 else 16, "r": 24},
    )  # fmt: skip
    debiased = {name: found.debiased for name, found in named.items()}
    told = "; ".join(f"{name} {plus_minus(each.value, _error(each))}" for name, each in debiased.items())
    alt = f"Information between labels and hidden states, debiased: {told}; bars are one standard error."
    return add_meta(figure, alt=alt)


def plane(
    pairs: Mapping[str, Sequence[tuple[Information, Information]]], correction: str, spread: Spread, *, dark: bool
) -> go.Figure:
    """A path for each name through pairs of complexity and expressivity, or a point where there is one pair."""
    theme = theme_for(dark)
    paths = []
    for place, (name, each) in enumerate(pairs.items()):
        known = [(getattr(x, correction), getattr(y, correction)) for x, y in each]
        known = [(x, y) for x, y in known if x.value is not None and y.value is not None]
        colour = theme.colours[place % len(theme.colours)]
        if known:
            paths.append(
                Path(
                    name=name, start="first", x=[x.value for x, _ in known], y=[y.value for _, y in known],
                    x_error=[_error(x) for x, _ in known], y_error=[_error(y) for _, y in known],
                    shares=[(i + 1) / len(known) for i in range(len(known))],
                    colours=(mix(colour, theme.background, 0.4), colour), symbol=SYMBOLS[place % len(SYMBOLS)],
                    ids=[f"{name} {i}" for i in range(len(known))],
                    hover_texts=[_hover(name, i, len(known), pair) for i, pair in enumerate(known)],
                )
            )  # fmt: skip
    words = CORRECTION_WORDS[correction]
    told = "; ".join(f"{path.name}: I(X;Z) {path.x[-1]:.4f} and I(Y;Z) {path.y[-1]:.4f}" for path in paths)
    figure = draw_plane(paths, None, words, theme, spread)
    return add_meta(figure, alt=f"Information plane, {words}. {told}.")


def _hover(name: str, place: int, count: int, pair: tuple[Value, Value]) -> str:
    lines = [f"<b>{name}</b>{f', {place + 1} of {count}' if count > 1 else ''}"]
    both = zip((BY_COLUMN["input"], BY_COLUMN["output"]), pair, strict=True)
    return "<br>".join([*lines, *(f"{known.name} = {plus_minus(each.value, _error(each))}" for known, each in both)])


def _error(value: Value) -> float | None:
    return combined(value.se_draws, value.se_documents)

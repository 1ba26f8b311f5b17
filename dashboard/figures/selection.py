"""The figure of what chooses: how often each measure ranks two correctly, and what it adds to the loss."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.template import Theme, template
from softh.analysis.selection import Choice, Known

_PANELS = (("accuracy", "Pairs ranked correctly, %"), ("beyond", "Gain over loss alone, %"))


def selection(rows: Sequence[Choice], score: str, what: str, theme: Theme) -> go.Figure:
    """One line per measure, the most accurate first, with 95 % intervals; alt text in `layout.meta`."""
    ordered = sorted(rows, key=lambda row: -row.accuracy.value)
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.04, column_widths=[0.55, 0.45])
    figure.update_layout(template=template(theme), height=110 + 24 * len(ordered), showlegend=False)
    loss = next(row for row in rows if row.against.value == 0 and math.isnan(row.against.low))
    for column, (name, title) in enumerate(_PANELS, start=1):
        known: list[Known] = [getattr(row, name) for row in ordered]
        error = {
            "type": "data", "symmetric": False, "color": theme.colours[0], "thickness": 2, "width": 0,
            "array": [_past(one.high - one.value) for one in known],
            "arrayminus": [_past(one.value - one.low) for one in known],
        }  # fmt: skip
        figure.add_scatter(
            x=[100 * one.value for one in known], y=[row.measure for row in ordered], mode="markers", error_x=error,
            marker={"color": theme.colours[0], "size": 8}, hoverinfo="text",
            hovertext=[_hover_text(row, score) for row in ordered], row=1, col=column,
        )  # fmt: skip
        figure.add_vline(
            x=100 * getattr(loss, name).value, line={"color": theme.muted, "width": 1, "dash": "dot"}, row=1, col=column
        )
        figure.update_xaxes(title_text=title, nticks=7, row=1, col=column)
    figure.update_xaxes(range=[0, 102], row=1, col=1)
    figure.update_yaxes(autorange="reversed", showgrid=False, ticks="", tickfont={"size": 11})
    said = "; ".join(f"{row.measure} {row.accuracy.value:.0%}" for row in ordered[:8])
    alt = f"Share of pairs of {what} that each measure ranks correctly by {score}: {said}. Dotted: the loss."
    return figure.update_layout(meta={"alt": alt}, margin={"t": 8, "l": 250, "r": 12, "b": 60})


def known_text(one: Known, times: float = 100, digits: int = 1) -> str | None:
    """'95.0 (87.5 to 100.0)', or None where there is no number."""
    if math.isnan(one.value):
        return None
    value, *ends = (f"{times * v:z.{digits}f}".replace("-", "−") for v in (one.value, one.low, one.high))
    return value if math.isnan(one.low) else f"{value} ({' to '.join(ends)})"


def _past(value: float) -> float:
    return 0.0 if math.isnan(value) else 100 * value


def _hover_text(row: Choice, score: str) -> str:
    return (
        f"<b>{row.measure}</b><br>{known_text(row.accuracy)} % of {row.pairs:,} pairs<br>minus the loss: "
        f"{known_text(row.against)} %<br>with the loss, minus the loss alone: {known_text(row.beyond)} %<br>"
        f"regret in {score}: {known_text(row.regret, 1, 3) or 'unknown'}<br>{row.groups} families or runs"
    )

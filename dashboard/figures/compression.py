"""How far complexity falls from its peak to the end of training, against the size of the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import plotly.graph_objects as go

from dashboard.data.rows import Display
from dashboard.figures.label_placement import Name, add_names
from dashboard.figures.runs import style
from dashboard.figures.template import add_meta, template, theme_for
from dashboard.format import count, short_model

_SHOWN = 760.0, 280.0
"""Pixels of the axes in a window of usual width."""


@dataclass(frozen=True)
class Compression:
    """The fall of one run, in per cent of its peak, with its 95 % interval."""

    model: str
    parameters: int
    share: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """'12.1 % (95 % 11.0 to 13.1)'."""
        return f"{self.share:.1f} % (95 % {self.low:.1f} to {self.high:.1f})"


def against_size(falls: Sequence[Compression], display: Display, names: Sequence[str]) -> go.Figure:
    """One point for each run, coloured as on the plane; names are all models of the tables."""
    theme = theme_for(display.dark)
    figure = go.Figure(layout={"template": template(theme), "height": 380, "hovermode": "closest", "showlegend": False})
    for one in falls:
        colour, symbol = style(one.model, names, theme)
        figure.add_scatter(
            x=[one.parameters], y=[one.share], mode="markers", name=short_model(one.model), legendgroup=one.model,
            marker={"color": colour, "symbol": symbol, "size": 10},
            error_y={
                "symmetric": False, "array": [one.high - one.share], "arrayminus": [one.share - one.low],
                "color": colour, "thickness": 1.3, "width": 0,
            },
            customdata=[[f"<b>{one.model}</b><br>{count(one.parameters)} parameters<br>falls by {one.text}"]],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )  # fmt: skip
    sizes, ends = [one.parameters for one in falls], [end for one in falls for end in (one.low, one.high)]
    figure.update_xaxes(
        type="log",
        title_text="parameters",
        range=[log10(min(sizes)) - 0.4, log10(max(sizes)) + 0.4],
        tickformat="~s",
        dtick="D2",
    )
    low, high = min(0.0, *ends), max(0.0, *ends)
    pad = 0.1 * (high - low) or 1.0
    figure.update_yaxes(title_text="fall of complexity, % of its peak", range=[low - pad, high + pad])
    figure.add_hline(0, line={"color": theme.muted, "width": 1})
    figure.update_layout(margin={"l": 66, "b": 54, "t": 12})
    said = "; ".join(f"{one.model}: {one.text}" for one in falls)
    add_meta(figure, alt=f"Compression against size, {display.labels}. {said}.")
    beside = [Name(short_model(one.model), one.parameters, one.share, run=one.model) for one in falls]
    add_names(figure, beside, [(one.parameters, one.share) for one in falls], _SHOWN, theme)
    return add_meta(figure, title=f"Compression against size, {display.labels}")

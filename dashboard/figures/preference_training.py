"""Preference information along the training of a model that was probed at several checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.data.rows import CLOCKS, Against
from dashboard.figures.scales import LogScale
from dashboard.figures.template import SYMBOLS, add_meta, template, theme_for
from dashboard.format import count, plus_minus, short_model


@dataclass(frozen=True)
class Moment:
    """One checkpoint: where it is on the clock, its name, and the information with its standard error."""

    at: float
    name: str
    value: float
    error: float


def along_training(runs: Mapping[str, Sequence[Moment]], clock: Against, unit: str, *, dark: bool) -> go.Figure:
    """One line a model, mean over layers; zero is what chance alone gives."""
    theme = theme_for(dark)
    scale = LogScale.of([moment.at for moments in runs.values() for moment in moments])
    figure = go.Figure(layout={"template": template(theme), "height": 360, "hovermode": "closest"})
    for place, (model, moments) in enumerate(runs.items()):
        colour = theme.colours[place % len(theme.colours)]
        figure.add_scatter(
            x=[scale.place(moment.at) for moment in moments], y=[moment.value for moment in moments],
            name=short_model(model), legendgroup=model, mode="lines+markers", line={"color": colour, "width": 2},
            marker={"size": 7, "symbol": SYMBOLS[place % len(SYMBOLS)]},
            error_y={"array": [moment.error for moment in moments], "color": colour, "thickness": 1.2, "width": 0},
            customdata=[
                f"<b>{model}</b><br>{moment.name}<br>{plus_minus(moment.value, moment.error)} {unit}"
                for moment in moments
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    ticks = scale.ticks()
    texts = [count(round(tick)) for tick in ticks]
    figure.add_hline(0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(title_text=CLOCKS[clock], tickvals=[scale.place(tick) for tick in ticks], ticktext=texts)
    figure.update_yaxes(title_text=f"I(Z; preferred), {unit}")
    figure.update_layout(
        showlegend=True, legend={"y": 1.02, "yanchor": "bottom", "x": 0}, margin={"l": 66, "b": 54, "t": 34}
    )
    ends = [f"{model} {plus_minus(moments[-1].value, moments[-1].error)}" for model, moments in runs.items()]
    return add_meta(
        figure, alt=f"Preference information along training in {unit}; at the last checkpoint {'; '.join(ends)}."
    )

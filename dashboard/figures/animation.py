"""A path that grows while it plays: frames that hold two traces only, so that the first drawing waits for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.figures.template import Theme

_MILLISECONDS = 260
ROOM = 96
"""Pixels that the controls take below the plane."""
_BUTTONS = 120
"""Pixels that the buttons take beside the slider, with half of its handle."""


@dataclass(frozen=True)
class Walker:
    """One path on the clock: places of the clock, ascending, and where the path is then."""

    clock: Sequence[float]
    x: Sequence[float]
    y: Sequence[float]
    colour: str


def animate(figure: go.Figure, walkers: Sequence[Walker], names: Sequence[str], theme: Theme) -> None:
    """Add a trail and a head for all walkers, a frame for each place of the clock, a slider and a play button.

    names are the words of the slider, one for each place that some walker has, ascending.
    """
    times = sorted({time for walker in walkers for time in walker.clock})
    first = len(figure.data)
    for walker in walkers:
        figure.add_trace(_trail(walker, times[0]))
    figure.add_trace(_heads(walkers, times[0], theme))
    traces = list(range(first, len(figure.data)))
    figure.frames = [
        go.Frame(name=name, data=[*(_moved(walker, time) for walker in walkers), _at(walkers, time)], traces=traces)
        for name, time in zip(names, times, strict=True)
    ]
    _controls(figure, names, theme)


def _passed(walker: Walker, time: float) -> int:
    return sum(place <= time for place in walker.clock)


def _moved(walker: Walker, time: float) -> go.Scatter:
    passed = _passed(walker, time)
    return go.Scatter(x=list(walker.x[:passed]), y=list(walker.y[:passed]))


def _at(walkers: Sequence[Walker], time: float) -> go.Scatter:
    last = [max(_passed(walker, time) - 1, 0) for walker in walkers]
    return go.Scatter(
        x=[walker.x[i] for walker, i in zip(walkers, last, strict=True)],
        y=[walker.y[i] for walker, i in zip(walkers, last, strict=True)],
    )


def _trail(walker: Walker, time: float) -> go.Scatter:
    return _moved(walker, time).update(mode="lines", line={"color": walker.colour, "width": 5}, hoverinfo="skip")


def _heads(walkers: Sequence[Walker], time: float, theme: Theme) -> go.Scatter:
    colours = [walker.colour for walker in walkers]
    marker = {"size": 18, "color": colours, "line": {"width": 2.5, "color": theme.ink}, "opacity": 1}
    return _at(walkers, time).update(mode="markers", marker=marker, hoverinfo="skip")


def _controls(figure: go.Figure, names: Sequence[str], theme: Theme) -> None:
    move = {"frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate"}
    play = move | {"frame": {"duration": _MILLISECONDS, "redraw": False}, "fromcurrent": True}
    text = {"size": 12, "color": theme.ink}
    figure.update_layout(
        height=figure.layout.height + ROOM,
        updatemenus=[
            {
                "type": "buttons", "direction": "left", "showactive": False, "x": 0, "xanchor": "left", "y": 0,
                "yanchor": "top", "pad": {"t": ROOM - 8, "r": 8}, "bgcolor": theme.background,
                "bordercolor": theme.muted, "font": text,
                "buttons": [
                    {"label": "▶ Play", "method": "animate", "args": [None, play]},
                    {"label": "❚❚", "method": "animate", "args": [[None], move]},
                ],
            }
        ],
        sliders=[
            {
                "active": 0, "x": 0, "len": 1, "y": 0, "yanchor": "top", "pad": {"t": ROOM - 34, "l": _BUTTONS},
                "currentvalue": {"visible": True, "xanchor": "right", "font": text}, "ticklen": 0, "minorticklen": 0,
                "font": {"size": 1, "color": "rgba(0,0,0,0)"}, "bgcolor": theme.grid, "bordercolor": theme.muted,
                "steps": [{"label": name, "method": "animate", "args": [[name], move]} for name in names],
            }
        ],
    )  # fmt: skip

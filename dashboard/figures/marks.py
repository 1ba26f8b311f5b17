"""Annotations of figures: the ends of phases, and the chosen points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import plotly.graph_objects as go

from dashboard.data.rows import Row
from dashboard.figures.label_placement import Name
from dashboard.figures.template import Theme, add_to_layout
from dashboard.format import boundary_text, checkpoint_name
from softh.analysis.phases import RunPhases

MOST_BANDS = 3
"""Runs whose intervals can be told apart as bands; of more, one band holds all boundaries."""


@dataclass(frozen=True)
class Mark:
    """The end of one phase of one run, with its 95 % interval, in training steps and on the clock of the curves."""

    path: str
    text: str
    step: float
    place: float
    low: float
    high: float

    def moved(self, place: Callable[[float], float]) -> "Mark":
        """The same where the axis of the curves has them."""
        return replace(self, place=place(self.place), low=place(self.low), high=place(self.high))


def phase_marks(runs: Sequence[RunPhases], clock: str) -> list[Mark]:
    """One mark for every end of a phase; places are on the clock of the curves, tokens or steps."""
    return [
        Mark(
            each.name,
            f"{name} ends near {boundary_text(each, end)}",
            end.step,
            *(each.at(step, clock) for step in (end.step, end.low, end.high)),
        )
        for each in runs
        for name, end in each.ends.items()
    ]


def places(marks: Sequence[Mark], paths: Sequence[list[dict[str, Any]]]) -> list[tuple[Mark, float, float]]:
    """Each mark with where it lies on the path that it names."""
    runs = {rows[0]["model"]: rows for rows in paths if len(rows) > 1}
    return [(mark, *_between(runs[mark.path], mark.step)) for mark in marks if mark.path in runs]


def notes(placed: Sequence[tuple[Mark, float, float]]) -> list[Name]:
    """The words of every kind of boundary, once."""
    first = {mark.text.partition(" near")[0]: (mark, x, y) for mark, x, y in placed[::-1]}
    return [
        Name(kind, x, y, needed=True, run=mark.path, hover=f"{mark.path}: {mark.text}")
        for kind, (mark, x, y) in first.items()
    ]


def add_marks(figure: go.Figure, placed: Sequence[tuple[Mark, float, float]], theme: Theme) -> None:
    """A ring where each phase ends, the smaller the more there are."""
    size = 19 if len(placed) <= 6 else 10
    for mark, x, y in placed:
        # No card and no clicks: both belong to the checkpoints below. The name has the words.
        figure.add_trace(
            go.Scatter(
                x=[x], y=[y], mode="markers", hoverinfo="skip", legendgroup=mark.path, cliponaxis=False,
                marker={"symbol": "circle-open", "size": size, "color": theme.ink, "line": {"width": 2}, "opacity": 1},
            )
        )  # fmt: skip


def _called(text: str, x: float, y: float, theme: Theme) -> dict[str, Any]:
    """A name with a line to its point."""
    font = {"size": 11.5, "color": theme.ink}
    line = {"arrowwidth": 0.8, "arrowcolor": theme.ink, "arrowhead": 0}
    return {"x": x, "y": y, "text": text, "font": font, "bgcolor": theme.veil, "borderpad": 1, **line}


def add_rings(figure: go.Figure, rows: Sequence[Row], theme: Theme) -> None:
    """A square around each chosen point, with its name."""
    if not rows:
        return
    frame = {"symbol": "square-open", "size": 22, "color": theme.ink, "line": {"width": 2}, "opacity": 1}
    x, y = [row["input"] for row in rows], [row["output"] for row in rows]
    figure.add_trace(go.Scatter(x=x, y=y, mode="markers", marker=frame, hoverinfo="skip"))
    where = {"ax": 30, "ay": -22, "standoff": 10}
    names = [_called(checkpoint_name(row), row["input"], row["output"], theme) | where for row in rows]
    add_to_layout(figure, "annotations", names)


def add_lines(figure: go.Figure, marks: Sequence[Mark], colours: dict[str, str], theme: Theme) -> None:
    """The same boundaries across all panels of the curves: a line, and its interval as a band, at `place`."""
    named: dict[str, dict[str, Any]] = {}
    shapes: list[dict[str, Any]] = []
    for mark in marks if len(colours) <= MOST_BANDS else _together(marks):
        colour = colours.get(mark.path, theme.muted)
        if math.isclose(mark.low, mark.high):
            continue
        across = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "name": mark.path}
        band = {"fillcolor": colour, "opacity": 0.1, "line": {"width": 0}}
        line = {"color": colour, "width": 1.4, "dash": "dash"}
        shapes.append({"type": "rect", "x0": mark.low, "x1": mark.high, **band, **across})
        shapes.append({"type": "line", "x0": mark.place, "x1": mark.place, "line": line, **across})
        if (kind := mark.text.partition(" near")[0]) not in named:
            late = bool(named)  # information is low at the first and high at the second
            named[kind] = {
                "text": kind, "name": mark.path, "xref": "x", "yref": "y domain", "x": mark.place,
                "y": 0 if late else 1,
                "showarrow": False, "yanchor": "bottom" if late else "top", "xanchor": "left" if late else "right",
                "xshift": 4 if late else -4, "font": {"size": 11, "color": theme.muted}, "bgcolor": theme.veil,
                "borderpad": 0,
            }  # fmt: skip
    add_to_layout(figure, "shapes", shapes)
    add_to_layout(figure, "annotations", list(named.values()))


def _together(marks: Sequence[Mark]) -> list[Mark]:
    """One mark for all runs: the median of their boundaries, from the lowest interval to the highest."""
    kinds: dict[str, list[Mark]] = {}
    for mark in marks:
        kinds.setdefault(mark.text.partition(" near")[0], []).append(mark)
    return [
        replace(
            some[0], path="", text=f"{kind} near", place=median(mark.place for mark in some),
            low=min(mark.place for mark in some), high=max(mark.place for mark in some),
        )
        for kind, some in kinds.items()
    ]  # fmt: skip


def _between(rows: Sequence[Row], step: float) -> tuple[float, float]:
    """Where a path is at a step between two of its checkpoints, on the line that is drawn."""
    timed = [row for row in rows if row["step"] is not None]
    after = next((i for i, row in enumerate(timed) if row["step"] >= step), len(timed) - 1)
    if after == 0:
        return timed[0]["input"], timed[0]["output"]
    first, second = timed[after - 1], timed[after]
    places = [math.log2(max(place, 0.5)) for place in (first["step"], step, second["step"])]
    share = (places[1] - places[0]) / (places[2] - places[0]) if places[2] > places[0] else 1.0
    x, y = (first[name] + share * (second[name] - first[name]) for name in ("input", "output"))
    return x, y

"""A Plotly figure read back as charts, for formats that draw charts themselves."""

import math
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from dashboard.export.chart_model import Axis, Chart, Label, Series
from dashboard.export.plotly_traces import plain, series

_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_NEAR = 1e-6
"""Share of an axis by which two points may differ and still be one."""


def charts(figure: go.Figure) -> list[Chart]:
    """One chart for every pair of axes that has points, from the top down."""
    pairs: dict[tuple[str, str], list[Any]] = {}
    figure = _numbered(figure)
    for trace in figure.data:
        if trace.type in {"scatter", "scattergl"} and trace.visible not in {False, "legendonly"}:
            pairs.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    found = [_chart(figure, names, traces) for names, traces in pairs.items()]
    return sorted((chart for chart in found if chart.data), key=lambda chart: (-chart.place[3], chart.place[0]))


def _numbered(figure: go.Figure) -> go.Figure:
    """Words as positions are the numbers 0, 1 …, as Plotly places them, with the words as ticks."""
    found = go.Figure(figure)
    for letter in ("x", "y"):
        named: dict[str, list[str]] = {}
        for trace in found.data:
            held = trace[letter] if trace.type in {"scatter", "scattergl"} else None
            values = [] if held is None else list(held)
            if any(isinstance(value, str) for value in values):
                known = named.setdefault((trace[f"{letter}axis"] or letter)[1:], [])
                known.extend(value for value in dict.fromkeys(values) if value not in known)
                trace[letter] = [known.index(value) for value in values]
        for number, words in named.items():
            axis = found.layout[f"{letter}axis{number}"]
            ends = (-0.5, len(words) - 0.5)
            ends = ends[::-1] if axis.autorange == "reversed" else ends
            axis.update(type="linear", tickvals=list(range(len(words))), ticktext=words, range=axis.range or ends)
    return found


def _chart(figure: go.Figure, names: tuple[str, str], traces: list[Any]) -> Chart:
    x_layout, y_layout = (figure.layout[f"{name[0]}axis{name[1:]}"] for name in names)
    x, y = _axis(x_layout), _axis(y_layout)
    guides = [guide for shape in figure.layout.shapes if (guide := _guide(shape, names, x, y))]
    notes = [note for note in figure.layout.annotations if (note.xref or "x", note.yref or "y") == names]
    legend = figure.layout.showlegend is not False
    known = [
        _valued(replace(one, legend=one.legend and legend), x, y)
        for one in _labelled([*guides, *series(traces)], notes, x, y)
    ]
    (left, right), (bottom, top) = (axis.domain or (0, 1) for axis in (x_layout, y_layout))
    return Chart(_heading(figure, left, top), (left, bottom, right, top), _of_values(x), _of_values(y), known)


def _heading(figure: go.Figure, left: float, top: float) -> str:
    """The words that stand on the upper left corner of a panel."""
    for note in figure.layout.annotations:
        corner = note.xref == note.yref == "paper" and note.y is not None
        if corner and abs(note.y - top) < 0.02 and abs(note.x - left) < 0.02 and note.yanchor == "bottom":
            return re.sub(r"\s+", " ", plain(note.text))
    return ""


def _axis(layout: Any) -> Axis:
    zero, log = None, layout.type == "log"
    ticks = list(zip(layout.tickvals or (), layout.ticktext or (), strict=False))
    values = [(place, _value(text)) for place, text in ticks]
    positive = [(place, value) for place, value in values if value]
    if positive and all(value is not None for _, value in values):
        log = log or all(abs(math.log10(value) - place) < 0.01 for place, value in positive if value)
        zero = next((place for place, value in values if value == 0), None) if log else None
    words = tuple((place, plain(text)) for place, text in ticks) if any(v is None for _, v in values) else ()
    limits = tuple(layout.range) if layout.range and None not in layout.range else None
    falling = limits is not None and limits[0] > limits[1]
    limits = (min(limits), max(limits)) if limits else None
    places = list(layout.tickvals or ())
    even = not log and len(places) > 1 and len({round(b - a, 9) for a, b in pairwise(places)}) == 1
    title = plain(layout.title.text)
    return Axis(title, limits, log, zero, (places[0], places[1]) if even else None, words, falling)


def _value(text: str) -> float | None:
    """'8.39M' → 8 390 000.0; None for words."""
    match = re.fullmatch(r"([\d.]+)([kMBT]?)", str(text))
    return float(match[1]) * _UNITS[match[2]] if match else None


def _guide(shape: Any, names: tuple[str, str], x: Axis, y: Axis) -> Series | None:
    """A line among the data as a series, cut where the axes end: charts elsewhere draw beyond them."""
    refs = (shape.xref or "x", shape.yref or "y")
    own = tuple(ref.removesuffix(" domain") for ref in refs) == names
    if shape.type != "line" or not own or not (x.limits and y.limits):
        return None
    x0, x1 = (_at(value, refs[0], x) for value in (shape.x0, shape.x1))
    y0, y1 = (_at(value, refs[1], y) for value in (shape.y0, shape.y1))
    ends = _clipped((x0, y0), (x1, y1), x.limits, y.limits)
    if ends is None:
        return None
    line = (shape.line.color or "#7F7F7F", shape.line.width or 1.0, shape.line.dash or "solid")
    (x0, y0), (x1, y1) = ends
    return Series("bound" if line[2] != "solid" else "guide", (x0, x1), (y0, y1), line=line, guide=True)


def _at(value: float, ref: str, axis: Axis) -> float:
    """A place on an axis; of a whole line across, Plotly gives shares of the axis."""
    if not ref.endswith(" domain") or axis.limits is None:
        return value
    first, last = axis.limits[::-1] if axis.falling else axis.limits
    return first + value * (last - first)


def _clipped(
    start: tuple[float, float], end: tuple[float, float], x: tuple[float, float], y: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The piece of a segment inside a rectangle (Liang and Barsky); None where there is none."""
    low, high = 0.0, 1.0
    for begin, stop, (least, most) in zip(start, end, (x, y), strict=True):
        step = stop - begin
        if step == 0 and not least <= begin <= most:
            return None
        if step:
            near, far = sorted(((least - begin) / step, (most - begin) / step))
            low, high = max(low, near), min(high, far)
    if low >= high:
        return None
    first, last = (
        tuple(begin + share * (stop - begin) for begin, stop in zip(start, end, strict=True)) for share in (low, high)
    )
    return (first[0], first[1]), (last[0], last[1])


def _labelled(series: list[Series], notes: list[Any], x: Axis, y: Axis) -> list[Series]:
    """Every annotation that stands at a point becomes a label of that point."""
    width, height = (axis.limits[1] - axis.limits[0] if axis.limits else 1.0 for axis in (x, y))
    labels: list[dict[int, Label]] = [{} for _ in series]
    for note in notes:
        spots = [
            (math.hypot((a - note.x) / width, (b - note.y) / height), number, i)
            for number, one in enumerate(series)
            for i, (a, b) in enumerate(zip(one.x, one.y, strict=True))
        ]
        distance, number, i = min(spots, default=(math.inf, 0, 0))
        if distance < _NEAR:
            side = {"right": "left", "center": "above"}.get(note.xanchor or "", "right")
            labels[number][i] = Label(plain(note.text), side, note.font.color or "")
    return [replace(one, labels=label) for one, label in zip(series, labels, strict=True)]


def _valued(series: Series, x: Axis, y: Axis) -> Series:
    """Exponents of a logarithmic axis as the values they stand for."""
    return replace(series, x=_powers(series.x, x), y=_powers(series.y, y))


def _powers(values: tuple[float, ...], axis: Axis) -> tuple[float, ...]:
    return tuple(_power(value) for value in values) if axis.log else tuple(float(value) for value in values)


def _power(exponent: float) -> float:
    # Ten digits: a count comes back as the count it was.
    return float(f"{10**exponent:.10g}")


def _of_values(axis: Axis) -> Axis:
    if not axis.log:
        return axis
    limits = (_power(axis.limits[0]), _power(axis.limits[1])) if axis.limits else None
    return replace(axis, limits=limits, zero=None if axis.zero is None else _power(axis.zero))

"""A Plotly figure read back as charts, for formats that draw charts themselves: data kept apart from decoration."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import unescape
from itertools import pairwise
from numbers import Real
from typing import Any

import plotly.graph_objects as go

from dashboard.export.chart_model import Chart, ChartAxis, ChartLabel, ChartSeries

_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_NEAR = 1e-6
"""Share of an axis by which two points may differ and still be one."""


def charts(figure: go.Figure) -> list[Chart]:
    """One chart for every pair of axes that has points, from the top down."""
    pairs: dict[tuple[str, str], list[Any]] = {}
    figure = _words_as_numbers(figure)
    # A heat map becomes a table; what lies on it are targets of clicks and signs on its cells.
    on_cells = any(trace.type == "heatmap" for trace in figure.data)
    for trace in () if on_cells else figure.data:
        if trace.type in {"scatter", "scattergl"} and trace.visible not in {False, "legendonly"}:
            pairs.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    all_charts = [_chart(figure, names, traces) for names, traces in pairs.items()]
    return sorted((chart for chart in all_charts if chart.data), key=lambda chart: (-chart.place[3], chart.place[0]))


def _words_as_numbers(figure: go.Figure) -> go.Figure:
    """Words as positions are the numbers 0, 1 …, as Plotly places them, with the words as ticks."""
    copy = go.Figure(figure)
    for letter in ("x", "y"):
        named: dict[str, list[str]] = {}
        for trace in copy.data:
            positions = trace[letter] if trace.type in {"scatter", "scattergl"} else None
            values = [] if positions is None else list(positions)
            if any(isinstance(value, str) for value in values):
                known = named.setdefault((trace[f"{letter}axis"] or letter)[1:], [])
                known.extend(value for value in dict.fromkeys(values) if value not in known)
                trace[letter] = [known.index(value) for value in values]
        for number, words in named.items():
            axis = copy.layout[f"{letter}axis{number}"]
            ends = (-0.5, len(words) - 0.5)
            ends = ends[::-1] if axis.autorange == "reversed" else ends
            axis.update(type="linear", tickvals=list(range(len(words))), ticktext=words, range=axis.range or ends)
    return copy


def _chart(figure: go.Figure, names: tuple[str, str], traces: list[Any]) -> Chart:
    x_layout, y_layout = (figure.layout[f"{name[0]}axis{name[1:]}"] for name in names)
    x, y = _axis(x_layout), _axis(y_layout)
    guides = [guide for shape in figure.layout.shapes if (guide := _guide(shape, names, x, y))]
    notes = [note for note in figure.layout.annotations if (note.xref or "x", note.yref or "y") == names]
    legend = figure.layout.showlegend is not False
    series = [
        _with_values(replace(one, legend=one.legend and legend), x, y)
        for one in _with_labels([*guides, *_series(traces)], notes, x, y)
    ]
    (left, right), (bottom, top) = (axis.domain or (0, 1) for axis in (x_layout, y_layout))
    return Chart(
        _heading(figure, left, top), (left, bottom, right, top), _axis_with_values(x), _axis_with_values(y), series
    )


def _heading(figure: go.Figure, left: float, top: float) -> str:
    """The words that stand on the upper left corner of a panel."""
    for note in figure.layout.annotations:
        corner = note.xref == note.yref == "paper" and note.y is not None
        if corner and abs(note.y - top) < 0.02 and abs(note.x - left) < 0.02 and note.yanchor == "bottom":
            return re.sub(r"\s+", " ", without_tags(note.text))
    return ""


def _axis(layout: Any) -> ChartAxis:
    zero, log = None, layout.type == "log"
    ticks = list(zip(layout.tickvals or (), layout.ticktext or (), strict=False))
    values = [(place, _value(text)) for place, text in ticks]
    positive = [(place, value) for place, value in values if value]
    if positive and all(value is not None for _, value in values):
        log = log or all(abs(math.log10(value) - place) < 0.01 for place, value in positive if value)
        zero = next((place for place, value in values if value == 0), None) if log else None
    words = tuple((place, without_tags(text)) for place, text in ticks) if any(v is None for _, v in values) else ()
    limits = tuple(layout.range) if layout.range and None not in layout.range else None
    descending = limits is not None and limits[0] > limits[1]
    limits = (min(limits), max(limits)) if limits else None
    places = list(layout.tickvals or ())
    even = not log and len(places) > 1 and len({round(b - a, 9) for a, b in pairwise(places)}) == 1
    title = without_tags(layout.title.text)
    return ChartAxis(title, limits, log, zero, (places[0], places[1]) if even else None, words, descending)


def _value(text: str) -> float | None:
    """'8.39M' → 8 390 000.0; None for words."""
    match = re.fullmatch(r"([\d.]+)([kMBT]?)", str(text))
    return float(match[1]) * _UNITS[match[2]] if match else None


def _guide(shape: Any, names: tuple[str, str], x: ChartAxis, y: ChartAxis) -> ChartSeries | None:
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
    return ChartSeries("bound" if line[2] != "solid" else "guide", (x0, x1), (y0, y1), line=line, guide=True)


def _at(value: float, ref: str, axis: ChartAxis) -> float:
    """A place on an axis; of a whole line across, Plotly gives shares of the axis."""
    if not ref.endswith(" domain") or axis.limits is None:
        return value
    first, last = axis.limits[::-1] if axis.reversed else axis.limits
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


def _with_labels(series: list[ChartSeries], notes: list[Any], x: ChartAxis, y: ChartAxis) -> list[ChartSeries]:
    """Every annotation that stands at a point becomes a label of that point."""
    width, height = (axis.limits[1] - axis.limits[0] if axis.limits else 1.0 for axis in (x, y))
    labels: list[dict[int, ChartLabel]] = [{} for _ in series]
    for note in notes:
        spots = [
            (math.hypot((a - note.x) / width, (b - note.y) / height), number, i)
            for number, one in enumerate(series)
            for i, (a, b) in enumerate(zip(one.x, one.y, strict=True))
        ]
        distance, number, i = min(spots, default=(math.inf, 0, 0))
        if distance < _NEAR:
            side = {"right": "left", "center": "above"}.get(note.xanchor or "", "right")
            labels[number][i] = ChartLabel(without_tags(note.text), side, note.font.color or "")
    return [replace(one, labels=label) for one, label in zip(series, labels, strict=True)]


def _with_values(series: ChartSeries, x: ChartAxis, y: ChartAxis) -> ChartSeries:
    """Exponents of a logarithmic axis as the values they stand for."""
    return replace(series, x=_powers(series.x, x), y=_powers(series.y, y))


def _powers(values: tuple[float, ...], axis: ChartAxis) -> tuple[float, ...]:
    return tuple(_power(value) for value in values) if axis.log else tuple(float(value) for value in values)


def _power(exponent: float) -> float:
    # Ten digits: a count comes back as the count it was.
    return float(f"{10**exponent:.10g}")


def _axis_with_values(axis: ChartAxis) -> ChartAxis:
    if not axis.log:
        return axis
    limits = (_power(axis.limits[0]), _power(axis.limits[1])) if axis.limits else None
    return replace(axis, limits=limits, zero=None if axis.zero is None else _power(axis.zero))


def _series(traces: list[Any]) -> list[ChartSeries]:
    """Traces of one pair of axes as series: bands become errors, pieces of a path its line, the rest guides."""
    data = [
        trace for trace in traces if trace.hoverinfo != "skip" and trace.fill in {None, "none"} and _has_points(trace)
    ]
    rest = [trace for trace in traces if not any(trace is one for one in data) and _has_points(trace)]
    series: list[ChartSeries] = []
    for trace in data:
        points = set(zip(trace.x, trace.y, strict=True))
        pieces = [one for one in rest if one.fill in {None, "none"} and set(_pairs(one)) <= points]
        lines = [one for one in pieces if "lines" in (one.mode or "")]
        band = next((one for one in rest if one.fill == "toself" and _same_group(one, trace)), None)
        rest = [one for one in rest if one is not band and not any(one is piece for piece in pieces)]
        series.append(_series_of_trace(trace, lines, band))
    drawn = [trace for trace in rest if "lines" in (trace.mode or "lines") and trace.line.width != 0]
    guides = [*_edges(traces), *(_series_of_trace(trace, [], None) for trace in drawn)]
    return [*(replace(guide, guide=True, legend=False) for guide in guides), *series]


def _edges(traces: list[Any]) -> Iterator[ChartSeries]:
    """Both ends of every area between two lines, thin: an XY chart fills nothing."""
    for upper, lower in pairwise(traces):
        if lower.fill == "tonexty":
            line = (_half_transparent(lower.fillcolor or "#7F7F7F"), 1.0, "solid")
            for trace in (upper, lower):
                yield replace(_series_of_trace(trace, [], None), name="interval", line=line)


def _half_transparent(colour: str) -> str:
    """'rgba(95,107,122,0.15)' at an opacity of one half: the fill of an area is too pale for a line."""
    return re.sub(r"^rgba(.*),[^,]+\)$", r"rgba\1,0.5)", colour)


def _same_group(one: Any, other: Any) -> bool:
    return one.legendgroup is not None and (one.legendgroup, one.yaxis) == (other.legendgroup, other.yaxis)


def _has_points(trace: Any) -> bool:
    return trace.x is not None and any(True for _ in _pairs(trace))


def _pairs(trace: Any) -> Iterator[tuple[float, float]]:
    for x, y in zip(trace.x, trace.y, strict=True):
        if _number(x) and _number(y):
            yield x, y


def _number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _series_of_trace(trace: Any, lines: list[Any], band: Any) -> ChartSeries:
    valid = [i for i, (x, y) in enumerate(zip(trace.x, trace.y, strict=True)) if _number(x) and _number(y)]
    modes = trace.mode or "lines+markers"
    own = trace.marker.color if "markers" in modes else None
    colours = _per_point(trace.line.color if own is None else own, len(trace.x))
    errors = _band_errors(band, len(trace.x)) or _error_lengths(trace.error_y)
    colour = next((c for c in reversed(colours) if isinstance(c, str)), "#7F7F7F")
    line = None
    if "lines" in modes:
        line = (trace.line.color or colour, trace.line.width or 2.0, trace.line.dash or "solid")
    elif lines:
        line = (colour, lines[0].line.width or 2.0, lines[0].line.dash or "solid")
    symbol = trace.marker.symbol if "markers" in modes else None
    return ChartSeries(
        name=without_tags(trace.name),
        x=_take(trace.x, valid),
        y=_take(trace.y, valid),
        x_error=_take(_error_lengths(trace.error_x), valid),
        y_error=_take(errors, valid),
        x_below=_take(_error_lengths(trace.error_x, "arrayminus"), valid),
        y_below=_take(_error_lengths(trace.error_y, "arrayminus"), valid),
        colours=tuple(c if isinstance(c, str) else colour for c in _take(colours, valid)),
        line=line,
        symbol=_per_point(symbol or "circle", 1)[-1] if "markers" in modes else None,
        sizes=_take(_per_point(trace.marker.size or 6, len(trace.x)), valid) if "markers" in modes else (),
        ids=tuple(str(_first(trace.customdata[i])) for i in valid) if trace.customdata is not None else (),
        legend=trace.showlegend is not False and bool(trace.name),
    )


def _first(cell: Any) -> Any:
    return cell if isinstance(cell, str) else cell[0]


def _per_point(value: Any, size: int) -> tuple[Any, ...]:
    """One entry a point of what Plotly takes once for all or once for each."""
    return (value,) * size if value is None or isinstance(value, (str, int, float)) else tuple(value)


def _take(values: Sequence[Any], indices: Iterable[int]) -> tuple[Any, ...]:
    return tuple(values[i] for i in indices) if len(values) else ()


def _error_lengths(error: Any, name: str = "array") -> tuple[float, ...]:
    """Lengths of error bars, 0 where there is none: such a chart cannot leave one out."""
    values = error[name]
    lengths = tuple(value if _number(value) else 0.0 for value in (() if values is None else values))
    return lengths if any(lengths) else ()


def _band_errors(band: Any, size: int) -> tuple[float, ...]:
    """Half the height of a closed band whose outline runs above the points and back below them."""
    if band is None or len(band.y) != 2 * size:
        return ()
    return tuple((band.y[i] - band.y[-1 - i]) / 2 for i in range(size))


def without_tags(text: str | None) -> str:
    """Text without Plotly's tags; a new line becomes a comma."""
    lines = re.split(r"<br ?/?>", text or "")
    return ", ".join(unescape(re.sub(r"<[^>]+>", "", line)).strip() for line in lines)

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
    _exponents(figure)
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


def _exponents(figure: go.Figure) -> None:
    """Positions along a logarithmic axis become exponents, which Plotly has its limits and notes in."""
    for trace in figure.data:
        for letter in ("x", "y") if trace.type in {"scatter", "scattergl"} else ():
            axis = figure.layout[f"{letter}axis{(trace[f'{letter}axis'] or letter)[1:]}"]
            if axis.type == "log" and trace[letter] is not None:
                trace[letter] = [math.log10(v) if _number(v) and v > 0 else None for v in trace[letter]]


def _chart(figure: go.Figure, names: tuple[str, str], traces: list[Any]) -> Chart:
    x_layout, y_layout = (figure.layout[f"{name[0]}axis{name[1:]}"] for name in names)
    x, y = _axis(x_layout), _axis(y_layout)
    (left, right), (bottom, top) = (axis.domain or (0, 1) for axis in (x_layout, y_layout))
    place = (left, bottom, right, top)
    shown_x, shown_y = _with_limits(x, traces, "x"), _with_limits(y, traces, "y")
    guides = [guide for shape in figure.layout.shapes for guide in _guides(shape, names, shown_x, shown_y, place)]
    notes = [note for note in figure.layout.annotations if _own(note.xref or "x", note.yref or "y") == names]
    legend = figure.layout.showlegend is not False
    series = [
        _with_values(replace(one, legend=one.legend and legend), x, y)
        for one in _with_labels([*guides, *_series(traces)], notes, shown_x, shown_y)
    ]
    return Chart(_heading(figure, left, top), place, _axis_with_values(x), _axis_with_values(y), series)


def _with_limits(axis: ChartAxis, traces: list[Any], letter: str) -> ChartAxis:
    """The axis as far as it is drawn: where it has no limits, from the least point to the largest."""
    values = [value for trace in traces if trace[letter] is not None for value in trace[letter] if _number(value)]
    return replace(axis, limits=axis.limits or ((min(values), max(values)) if values else None))


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


def _guides(
    shape: Any, names: tuple[str, str], x: ChartAxis, y: ChartAxis, place: tuple[float, float, float, float]
) -> Iterator[ChartSeries]:
    """A line among the data as a series, both sides of a band as two, cut where the axes end.

    Charts elsewhere draw beyond their axes, and an XY chart fills nothing.
    """
    refs = (shape.xref or "x", shape.yref or "y")
    strange = any(ref not in {name, "paper"} for ref, name in zip(_own(*refs), names, strict=True))
    if strange or refs == ("paper", "paper") or not (x.limits and y.limits):
        return
    left, bottom, right, top = place
    x0, x1 = (_at(value, refs[0], x, (left, right)) for value in (shape.x0, shape.x1))
    y0, y1 = (_at(value, refs[1], y, (bottom, top)) for value in (shape.y0, shape.y1))
    whole_x = refs[0] != names[0] and {shape.x0, shape.x1} == {0, 1}
    whole_y = refs[1] != names[1] and {shape.y0, shape.y1} == {0, 1}
    across = "x" if whole_x else "y" if whole_y else ""
    if shape.type == "line":
        line = (shape.line.color or "#7F7F7F", shape.line.width or 1.0, shape.line.dash or "solid")
        sides, name = [((x0, y0), (x1, y1))], "bound" if line[2] != "solid" and not across else "guide"
    elif shape.type == "rect" and across == "y":
        line, name = (_half_transparent(shape.fillcolor or "#7F7F7F"), 1.0, "solid"), "interval"
        sides = [((x0, y0), (x0, y1)), ((x1, y0), (x1, y1))]
    else:
        return
    for start, end in sides:
        if ends := _clipped(start, end, x.limits, y.limits):
            (x0, y0), (x1, y1) = ends
            yield ChartSeries(name, (x0, x1), (y0, y1), line=line, guide=True, across=across)


def _own(x_ref: str, y_ref: str) -> tuple[str, str]:
    """The axes that a shape or a note refers to: 'y domain' is a share of y."""
    return x_ref.removesuffix(" domain"), y_ref.removesuffix(" domain")


def _at(value: float, ref: str, axis: ChartAxis, place: tuple[float, float] = (0.0, 1.0)) -> float:
    """A place on an axis; of what lies across, Plotly gives shares of the axis or of the whole figure.

    place: the axis in shares of the figure.
    """
    if axis.limits is None or not (ref == "paper" or ref.endswith(" domain")):
        return value
    share = (value - place[0]) / (place[1] - place[0]) if ref == "paper" else value
    first, last = axis.limits[::-1] if axis.reversed else axis.limits
    return first + share * (last - first)


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
    width, height = ((axis.limits[1] - axis.limits[0] if axis.limits else 0.0) or 1.0 for axis in (x, y))
    labels: list[dict[int, ChartLabel]] = [{} for _ in series]
    for note in notes:
        note_x, note_y = _at(note.x, note.xref or "x", x), _at(note.y, note.yref or "y", y)
        spots = [
            (math.hypot((a - note_x) / width, (b - note_y) / height), number, i)
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
    shown = [trace for trace in traces if _has_points(trace)]
    data = [trace for trace in shown if trace.hoverinfo != "skip" and trace.fill in {None, "none"}]
    rest = [trace for trace in shown if not any(trace is one for one in data)]
    series: list[ChartSeries] = []
    for trace in data:
        points = set(zip(trace.x, trace.y, strict=True))
        lines = [
            one for one in rest
            if "lines" in (one.mode or "") and one.fill in {None, "none"} and one.legendgroup == trace.legendgroup
            and set(_pairs(one)) <= points
        ]  # fmt: skip
        band = next((one for one in rest if one.fill == "toself" and _same_group(one, trace)), None)
        rest = [one for one in rest if one is not band and not any(one is line for line in lines)]
        series.append(_series_of_trace(trace, lines, band, _valid(trace)))
    guides = [guide for trace in rest for guide in _drawn(trace)]
    edges = [replace(edge, legend=False) for edge in _edges(traces)]
    return [*(replace(guide, guide=True) for guide in [*edges, *guides]), *series, *_keys(traces)]


def _drawn(trace: Any) -> Iterator[ChartSeries]:
    """A line without data, or rings around points; a line with gaps is several, named once in the legend."""
    pieces: list[list[int]] = []
    if "lines" in (trace.mode or "lines"):
        pieces = [piece for piece in _unbroken(trace) if len(piece) > 1 and trace.line.width != 0]
    elif all("-open" in str(symbol) for symbol in _per_point(trace.marker.symbol or "circle", 1)):
        pieces = [_valid(trace)]
    for number, piece in enumerate(pieces):
        one = _series_of_trace(trace, [], None, piece)
        yield replace(one, legend=one.legend and number == 0)


def _unbroken(trace: Any) -> list[list[int]]:
    """Indices of the points of every piece of a line between its gaps."""
    pieces: list[list[int]] = [[]]
    for i, (x, y) in enumerate(zip(trace.x, trace.y, strict=True)):
        if _number(x) and _number(y):
            pieces[-1].append(i)
        else:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _keys(traces: list[Any]) -> Iterator[ChartSeries]:
    """Entries of the legend that have no points of their own, such as the marker of a stage."""
    for trace in traces:
        empty = trace.x is not None and len(trace.x) > 0 and not _has_points(trace)
        if empty and trace.name and trace.showlegend is not False:
            yield replace(_series_of_trace(trace, [], None, [0]), x=(), y=(), ids=(), guide=True)


def _edges(traces: list[Any]) -> Iterator[ChartSeries]:
    """Both ends of every area between two lines, thin: an XY chart fills nothing."""
    for upper, lower in pairwise(traces):
        if lower.fill == "tonexty":
            line = (_half_transparent(lower.fillcolor or "#7F7F7F"), 1.0, "solid")
            for trace in (upper, lower):
                yield replace(_series_of_trace(trace, [], None, _valid(trace)), name="interval", line=line)


def _half_transparent(colour: str) -> str:
    """'#5F6B7A' or 'rgba(95,107,122,0.15)' at an opacity of one half: a fill is too pale or too strong for a line."""
    if colour.startswith("#"):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.5)"
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


def _valid(trace: Any) -> list[int]:
    """Indices of the points that have both numbers."""
    return [i for i, (x, y) in enumerate(zip(trace.x, trace.y, strict=True)) if _number(x) and _number(y)]


def _series_of_trace(trace: Any, lines: list[Any], band: Any, valid: list[int]) -> ChartSeries:
    """The valid points of a trace, with the line and the errors that other traces draw for it."""
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
    symbols = _per_point(trace.marker.symbol or "circle", len(trace.x)) if "markers" in modes else ()
    # Such a marker turns with its line, which no marker of a chart elsewhere does.
    arrow = any(str(symbol).startswith("arrow") for symbol in symbols)
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
        arrow=arrow,
        symbols=() if arrow else tuple(map(str, _take(symbols, valid))),
        sizes=_take(_per_point(trace.marker.size or 6, len(trace.x)), valid) if "markers" in modes else (),
        rims=_take(_rims(trace), valid) if symbols else (),
        ids=tuple(str(_first(trace.customdata[i])) for i in valid) if trace.customdata is not None else (),
        legend=trace.showlegend is not False and bool(trace.name),
    )


def _rims(trace: Any) -> tuple[str, ...]:
    """Colours of the rims that tell one's own and chosen points from others; a thin rim only parts neighbours."""
    line, size = trace.marker.line, len(trace.x)
    pairs = zip(_per_point(line.width or 0, size), _per_point(line.color, size), strict=True)
    return tuple(colour if width >= 2 and isinstance(colour, str) else "" for width, colour in pairs)


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

"""One chart of series as a native XY chart of PowerPoint: colours, markers, error bars, labels, axes."""

import math
import re
from dataclasses import replace
from typing import Any

from pptx.chart.data import XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_AXIS_CROSSES,
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
)
from pptx.enum.dml import MSO_LINE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.slide import Slide
from pptx.util import Emu, Pt

from dashboard import escape
from dashboard.export.chart_model import Chart, ChartAxis, ChartLabel, ChartSeries
from dashboard.figures.template import Theme, mix

FONT = "Arial"
"""On every machine that opens the file; a presentation cannot name others to fall back on."""
_MARKERS = {
    "circle": XL_MARKER_STYLE.CIRCLE, "square": XL_MARKER_STYLE.SQUARE, "diamond": XL_MARKER_STYLE.DIAMOND,
    "triangle-up": XL_MARKER_STYLE.TRIANGLE, "triangle-down": XL_MARKER_STYLE.TRIANGLE, "star": XL_MARKER_STYLE.STAR,
    "cross": XL_MARKER_STYLE.PLUS, "x": XL_MARKER_STYLE.X, "circle-x": XL_MARKER_STYLE.X,
    "pentagon": XL_MARKER_STYLE.STAR,
}  # fmt: skip
_STROKES = {XL_MARKER_STYLE.STAR, XL_MARKER_STYLE.PLUS, XL_MARKER_STYLE.X}
"""Markers that are lines without an area."""
_DASHES = {"dash": MSO_LINE.DASH, "dot": MSO_LINE.ROUND_DOT, "dashdot": MSO_LINE.DASH_DOT}
_SIDES = {
    "left": XL_LABEL_POSITION.LEFT, "right": XL_LABEL_POSITION.RIGHT, "above": XL_LABEL_POSITION.ABOVE,
    "below": XL_LABEL_POSITION.BELOW,
}  # fmt: skip
_PALE = 0.35
"""Share of its colour in a hollow marker, for programs that draw no transparent one."""
_MOST_COLOURED = 200
"""Points of one series that get a colour each; more would make a file that opens slowly."""


def rgb(colour: str, ground: str = "#FFFFFF") -> RGBColor:
    """'#0072B2' or 'rgba(0,114,178,0.2)' over a ground, as PowerPoint has it."""
    if colour.startswith("#"):
        return RGBColor.from_string(colour[1:7])
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")]
    share = numbers[3] if len(numbers) > 3 else 1.0
    under = [int(ground[i : i + 2], 16) for i in (1, 3, 5)]
    return RGBColor(*(round(share * a + (1 - share) * b) for a, b in zip(numbers[:3], under, strict=True)))


def set_font(font: Any, size: float, colour: str, *, bold: bool = False) -> None:
    """Set the font of all slides, at a size in points."""
    font.name, font.size, font.bold, font.color.rgb = FONT, Pt(size), bold, rgb(colour)


def add_chart(
    slide: Slide, chart: Chart, box: tuple[int, int, int, int], theme: Theme, alt: str, *, first: bool, last: bool
) -> None:
    """Put one chart into a box (left, top, width, height in EMU); of several above each other, the last names x."""
    x_limits, y_limits = _limits(chart.x, *_data_range(chart, "x")), _limits(chart.y, *_data_range(chart, "y"))
    # LibreOffice drops what is longer than the first series.
    named = _axis_words(chart, x_limits, y_limits, theme)
    every = [*(_from_end_to_end(series, x_limits, y_limits) for series in chart.series), *named]
    longest = max(every, key=lambda series: len(series.x))
    ordered = [longest, *(series for series in every if series is not longest)]
    data = XyChartData(number_format="General")
    for series in ordered:
        added = data.add_series(escape.label(series.name or "series"))
        # An entry of the legend alone is an empty point: no chart takes a series of none.
        for x, y in zip(series.x or (None,), series.y or (None,), strict=True):
            added.add_data_point(x, y)
    shapes: Any = slide.shapes
    frame = shapes.add_chart(XL_CHART_TYPE.XY_SCATTER_LINES, *map(Emu, box), data)
    frame._element.nvGraphicFramePr.cNvPr.set("descr", escape.printable(alt))
    native: Any = frame.chart
    alone = first and last
    native.font.name, native.font.size, native.font.color.rgb = FONT, Pt(13 if alone else 11), rgb(theme.muted)
    native.has_title = bool(chart.title)
    if chart.title:
        native.chart_title.text_frame.text = escape.printable(chart.title)
        native.chart_title.include_in_layout = False
        set_font(native.chart_title.text_frame.paragraphs[0].font, 12, theme.ink, bold=True)
    _style_axis(native.category_axis, chart.x, x_limits, theme, title=last, texts=last)
    _style_axis(native.value_axis, chart.y, y_limits, theme, title=alone, texts=True)
    for shape, series in zip(native.plots[0].series, ordered, strict=True):
        _style_series(shape, series, theme)
    _legend(native, ordered, theme)
    if not alone or named:
        _lay_out(native, first=first, last=last, height=box[3], left=0.24 if chart.y.names else 0.08)


def _data_range(chart: Chart, name: str) -> tuple[float, float]:
    """Least and largest of the data, with their errors."""
    ends: list[float] = []
    for series in chart.data:
        nothing = [0.0] * len(series.x)
        above = getattr(series, f"{name}_error") or nothing
        below = getattr(series, f"{name}_below") or above
        for value, up, down in zip(getattr(series, name), above, below, strict=True):
            ends += [value - down, value + up]
    return min(ends), max(ends)


def _from_end_to_end(series: ChartSeries, x: tuple[float, float, float], y: tuple[float, float, float]) -> ChartSeries:
    """A guide along a whole axis as long as this axis: its limits here are rounder than those of the screen."""
    if not series.across:
        return series
    low, high, _ = x if series.across == "x" else y
    start, end = getattr(series, series.across)
    return replace(series, **{series.across: (low, high) if start < end else (high, low)})


def _axis_words(
    chart: Chart, x: tuple[float, float, float], y: tuple[float, float, float], theme: Theme
) -> list[ChartSeries]:
    """Words along an axis, which such charts have numbers for only: labels of points without a marker."""
    corner = x[1] if chart.x.reversed else x[0], y[1] if chart.y.reversed else y[0]
    series = []
    if chart.y.names:
        places = tuple(place for place, _ in chart.y.names)
        labels = {i: ChartLabel(text, "left", theme.muted) for i, (_, text) in enumerate(chart.y.names)}
        series.append(ChartSeries("rows", (corner[0],) * len(places), places, guide=True, labels=labels))
    if chart.x.names:
        places = tuple(place for place, _ in chart.x.names)
        labels = {i: ChartLabel(text, "below", theme.muted) for i, (_, text) in enumerate(chart.x.names)}
        series.append(ChartSeries("columns", places, (corner[1],) * len(places), guide=True, labels=labels))
    return series


def _lay_out(native: Any, *, first: bool, last: bool, height: int, left: float) -> None:
    """Charts above each other begin and end at the same x: the plot area in shares of the chart, without its texts."""
    line = Pt(18) / height
    legend = 1.6 * line if first else 0.0
    top = legend + 1.2 * line
    bottom = line * (2.6 if last else 0.4)
    places = {
        "plotArea": (left, top, 0.98 - left, 1 - top - bottom),
        "title": (0.0, legend, 0, 0),
        "legend": (0.07, 0.0, 0.92, 1.5 * line),
    }
    for area, place in places.items():
        element = native._chartSpace.chart.find(f"{{*}}{area}")
        if element is not None:
            _place_element(element, place, inner=area == "plotArea")


def _style_series(shape: Any, series: ChartSeries, theme: Theme) -> None:
    shape.smooth = False
    if series.line:
        colour, width, dash = series.line
        shape.format.line.color.rgb = rgb(colour, theme.background)
        shape.format.line.width = Pt(0.9 * width)
        if dash in _DASHES:
            shape.format.line.dash_style = _DASHES[dash]
        if series.arrow:
            shape.format.line._get_or_add_ln().append(parse_xml(f'<a:tailEnd {nsdecls("a")} type="triangle"/>'))
    else:
        shape.format.line.fill.background()
    if series.symbols:
        _markers(shape, series, theme)
    else:
        shape.marker.style = XL_MARKER_STYLE.NONE
    for i, label in series.labels.items():
        _label(shape.points[i].data_label, label, theme)
    for direction, errors, below in (("x", series.x_error, series.x_below), ("y", series.y_error, series.y_below)):
        if any(errors):
            colour = str(rgb(series.line[0] if series.line else series.colours[-1], theme.background))
            bars = _error_bars(direction, errors, below or errors, colour)
            shape._element.find("{*}xVal").addprevious(bars)


def _markers(shape: Any, series: ChartSeries, theme: Theme) -> None:
    """Markers of a series, and of every point that looks different."""
    usual = series.symbols[-1], series.sizes[0], series.colours[-1], series.rims[-1]
    _mark(shape.marker, *usual, theme)
    if len(series.colours) > _MOST_COLOURED:
        return
    for i, look in enumerate(zip(series.symbols, series.sizes, series.colours, series.rims, strict=True)):
        if look != usual:
            point = shape.points[i]
            _mark(point.marker, *look, theme)
            if series.line:
                point.format.line.color.rgb = rgb(look[2], theme.background)
                point.format.line.width = Pt(0.9 * series.line[1])


def _mark(marker: Any, symbol: str, size: float, colour: str, rim: str, theme: Theme) -> None:
    """Give a marker the shape nearest to a symbol of Plotly, filled or hollow."""
    marker.style = _MARKERS.get(re.sub("-open|-dot", "", symbol), XL_MARKER_STYLE.CIRCLE)
    marker.size = _points(size)
    hollow = "-open" in symbol and not symbol.startswith("circle-x")  # a cross has no inside
    _fill(marker.format, colour, theme, hollow=hollow)
    if hollow or marker.style in _STROKES:
        marker.format.line.width = Pt(1.5)
    elif rim:
        marker.format.line.color.rgb = rgb(rim, theme.background)
        marker.format.line.width = Pt(2)


def _points(pixels: float) -> int:
    return min(max(round(pixels), 2), 72)


def _fill(target: Any, colour: str, theme: Theme, *, hollow: bool = False) -> None:
    ink = rgb(colour, theme.background)
    target.fill.solid()
    target.fill.fore_color.rgb = rgb(mix(f"#{ink}", theme.background, _PALE)) if hollow else ink
    if hollow:
        # Wholly transparent, yet not without a fill: LibreOffice would draw that as full, and draws this as pale.
        clear = parse_xml(f'<a:alpha {nsdecls("a")} val="0"/>')
        target.fill._xPr.find("{*}solidFill/{*}srgbClr").append(clear)
    target.line.color.rgb = ink


def _label(target: Any, label: ChartLabel, theme: Theme) -> None:
    target.text_frame.text = escape.printable(label.text)
    target.text_frame.word_wrap = False
    target.position = _SIDES[label.side]
    set_font(target.text_frame.paragraphs[0].font, 12, label.colour or theme.ink)


def _error_bars(direction: str, above: tuple[float, ...], below: tuple[float, ...], colour: str) -> Any:
    """Bars of each point's own lengths, one each way."""
    plus, minus = (
        f'<c:numLit><c:formatCode>General</c:formatCode><c:ptCount val="{len(errors)}"/>'
        + "".join(f'<c:pt idx="{i}"><c:v>{float(error)!r}</c:v></c:pt>' for i, error in enumerate(errors))
        + "</c:numLit>"
        for errors in (above, below)
    )
    return parse_xml(
        f'<c:errBars {nsdecls("c", "a")}><c:errDir val="{direction}"/><c:errBarType val="both"/>'
        f'<c:errValType val="cust"/><c:noEndCap val="1"/><c:plus>{plus}</c:plus><c:minus>{minus}</c:minus>'
        f'<c:spPr><a:ln w="9525"><a:solidFill><a:srgbClr val="{colour}"><a:alpha val="60000"/></a:srgbClr>'
        "</a:solidFill></a:ln></c:spPr></c:errBars>"
    )


def _legend(native: Any, series: list[ChartSeries], theme: Theme) -> None:
    """Names of the series that have one on the screen, each once."""
    native.has_legend = sum(one.legend for one in series) > 0
    if not native.has_legend:
        return
    native.legend.position, native.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
    set_font(native.legend.font, 11, theme.ink)
    place = native.legend._element.find("{*}legendPos")
    for number, one in reversed(list(enumerate(series))):
        if not one.legend:
            entry = f'<c:legendEntry {nsdecls("c")}><c:idx val="{number}"/><c:delete val="1"/></c:legendEntry>'
            place.addnext(parse_xml(entry))


def _style_axis(
    native: Any, axis: ChartAxis, limits: tuple[float, float, float], theme: Theme, *, title: bool, texts: bool
) -> None:
    """Title, limits (with the step between two ticks), ticks and lines of one axis."""
    native.has_title = title and bool(axis.title)
    if native.has_title:
        zero = f" (0 stands at {axis.zero:,.0f})" if axis.zero is not None else ""
        native.axis_title.text_frame.text = escape.printable(axis.title + zero)
        set_font(native.axis_title.text_frame.paragraphs[0].font, 12, theme.ink)
    native.has_major_gridlines = True
    native.major_gridlines.format.line.color.rgb = rgb(theme.grid)
    native.format.line.color.rgb = rgb(theme.grid)
    shown = texts and not axis.names
    native.tick_label_position = XL_TICK_LABEL_POSITION.NEXT_TO_AXIS if shown else XL_TICK_LABEL_POSITION.NONE
    native.tick_labels.number_format_is_linked = False
    # Counts as 10k and 1M, as on the screen; everything else as it is.
    native.tick_labels.number_format = '[>=1000000]0.##,,"M";[>=1000]0.##,"k";0' if axis.log else "General"
    native.minimum_scale, native.maximum_scale = limits[:2]
    native.reverse_order = axis.reversed
    # Where the other axis crosses: at the corner, wherever zero is.
    native.crosses = XL_AXIS_CROSSES.MAXIMUM if axis.reversed else XL_AXIS_CROSSES.MINIMUM
    if axis.log:
        scaling = native._element.find("{*}scaling")
        scaling.insert(0, parse_xml(f'<c:logBase {nsdecls("c")} val="10"/>'))
    else:
        native.major_unit = limits[2]


def _limits(axis: ChartAxis, low: float, high: float) -> tuple[float, float, float]:
    """Ends of an axis whose data reach from low to high, and the step between its ticks."""
    if axis.log:
        first, last = axis.limits or (low, high)
        return 10.0 ** math.floor(math.log10(first) + 1e-9), 10.0 ** math.ceil(math.log10(last) - 1e-9), 1.0
    if axis.limits and axis.names:
        return *axis.limits, 1.0
    step = axis.ticks[1] - axis.ticks[0] if axis.ticks else None
    # Limits of the screen have room around the data already.
    return round_limits(*axis.limits, step, slack=0.25) if axis.limits else round_limits(low, high, step)


def round_limits(low: float, high: float, step: float | None = None, slack: float = 0.0) -> tuple[float, float, float]:
    """Round limits that hold both but for a share of a step (slack), and a step of 1, 2 or 5 times a power of ten."""
    if step is None:
        rough = (high - low or 1.0) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= 0.999 * rough)
    first, last = math.floor(low / step + slack + 1e-9), math.ceil(high / step - slack - 1e-9)
    return round(first * step, 10), round(max(last, first + 1) * step, 10), step


def _place_element(element: Any, place: tuple[float, float, float, float], *, inner: bool) -> None:
    """Give a title or a plot area its place: left, top, width and height in shares of the chart."""
    for old in element.findall("{*}layout"):
        element.remove(old)
    left, top, width, height = place
    edges = '<c:xMode val="edge"/><c:yMode val="edge"/>'
    size = f'<c:w val="{width:.4f}"/><c:h val="{height:.4f}"/>' if width else ""
    target = '<c:layoutTarget val="inner"/>' if inner else ""
    layout = parse_xml(
        f'<c:layout {nsdecls("c")}><c:manualLayout>{target}{edges}<c:x val="{left:.4f}"/><c:y val="{top:.4f}"/>{size}'
        "</c:manualLayout></c:layout>"
    )
    before = [child for name in ("tx", "legendPos", "legendEntry") for child in element.findall(f"{{*}}{name}")]
    if before:
        before[-1].addnext(layout)
    else:
        element.insert(0, layout)

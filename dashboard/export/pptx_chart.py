"""One chart of series as a native XY chart of PowerPoint: colours, markers, error bars, labels, axes."""

from typing import Any

from pptx.chart.data import XyChartData
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
)
from pptx.enum.dml import MSO_LINE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.slide import Slide
from pptx.util import Emu, Pt

from dashboard.export import pptx_axes
from dashboard.export.chart_model import Chart, Label, Series
from dashboard.export.pptx_axes import FONT, rgb, styled
from dashboard.figures.template import Look

_MARKERS = {
    "circle": XL_MARKER_STYLE.CIRCLE, "square": XL_MARKER_STYLE.SQUARE, "diamond": XL_MARKER_STYLE.DIAMOND,
    "triangle-up": XL_MARKER_STYLE.TRIANGLE, "triangle-down": XL_MARKER_STYLE.TRIANGLE, "star": XL_MARKER_STYLE.STAR,
    "cross": XL_MARKER_STYLE.PLUS, "x": XL_MARKER_STYLE.X,
}  # fmt: skip
_DASHES = {"dash": MSO_LINE.DASH, "dot": MSO_LINE.ROUND_DOT, "dashdot": MSO_LINE.DASH_DOT}
_SIDES = {
    "left": XL_LABEL_POSITION.LEFT, "right": XL_LABEL_POSITION.RIGHT, "above": XL_LABEL_POSITION.ABOVE,
    "below": XL_LABEL_POSITION.BELOW,
}  # fmt: skip
_MOST_COLOURED = 200
"""Points of one series that get a colour each; more would make a file that opens slowly."""


def draw(
    slide: Slide, chart: Chart, box: tuple[int, int, int, int], look: Look, alt: str, *, first: bool, last: bool
) -> None:
    """Put one chart into a box (left, top, width, height in EMU); of several above each other, the last names x."""
    x_limits, y_limits = pptx_axes.limits(chart.x, *_reach(chart, "x")), pptx_axes.limits(chart.y, *_reach(chart, "y"))
    # LibreOffice drops what is longer than the first series.
    named = _names(chart, x_limits, y_limits, look)
    ordered = sorted([*chart.series, *named], key=lambda series: -len(series.x))
    data = XyChartData(number_format="General")
    for series in ordered:
        added = data.add_series(series.name or "series")
        for x, y in zip(series.x, series.y, strict=True):
            added.add_data_point(x, y)
    shapes: Any = slide.shapes
    frame = shapes.add_chart(XL_CHART_TYPE.XY_SCATTER_LINES, *map(Emu, box), data)
    frame._element.nvGraphicFramePr.cNvPr.set("descr", alt)
    native: Any = frame.chart
    alone = first and last
    native.font.name, native.font.size, native.font.color.rgb = FONT, Pt(13 if alone else 11), rgb(look.muted)
    native.has_title = bool(chart.title)
    if chart.title:
        native.chart_title.text_frame.text = chart.title
        native.chart_title.include_in_layout = False
        styled(native.chart_title.text_frame.paragraphs[0].font, 12, look.ink, bold=True)
    pptx_axes.dress(native.category_axis, chart.x, x_limits, look, title=last, texts=last)
    pptx_axes.dress(native.value_axis, chart.y, y_limits, look, title=alone, texts=True)
    for shape, series in zip(native.plots[0].series, ordered, strict=True):
        _dress(shape, series, look)
    _legend(native, ordered, look)
    if not alone or named:
        _place(native, first=first, last=last, height=box[3], left=0.24 if chart.y.names else 0.08)


def _reach(chart: Chart, name: str) -> tuple[float, float]:
    """Least and largest of the data, with their errors."""
    ends: list[float] = []
    for series in chart.data:
        nothing = [0.0] * len(series.x)
        above = getattr(series, f"{name}_error") or nothing
        below = getattr(series, f"{name}_below") or above
        for value, up, down in zip(getattr(series, name), above, below, strict=True):
            ends += [value - down, value + up]
    return min(ends), max(ends)


def _names(chart: Chart, x: tuple[float, float, float], y: tuple[float, float, float], look: Look) -> list[Series]:
    """Words along an axis, which such charts have numbers for only: labels of points without a marker."""
    corner = x[1] if chart.x.falling else x[0], y[1] if chart.y.falling else y[0]
    found = []
    if chart.y.names:
        places = tuple(place for place, _ in chart.y.names)
        labels = {i: Label(text, "left", look.muted) for i, (_, text) in enumerate(chart.y.names)}
        found.append(Series("rows", (corner[0],) * len(places), places, guide=True, labels=labels))
    if chart.x.names:
        places = tuple(place for place, _ in chart.x.names)
        labels = {i: Label(text, "below", look.muted) for i, (_, text) in enumerate(chart.x.names)}
        found.append(Series("columns", places, (corner[1],) * len(places), guide=True, labels=labels))
    return found


def _place(native: Any, *, first: bool, last: bool, height: int, left: float) -> None:
    """Charts above each other begin and end at the same x: the plot area in shares of the chart, without its texts."""
    line = Pt(18) / height
    top = line * (1.2 + (1.6 if first else 0))
    bottom = line * (2.6 if last else 0.4)
    places = {
        "plotArea": (left, top, 0.98 - left, 1 - top - bottom),
        "title": (0.0, 1.6 * line * first, 0, 0),
        "legend": (0.07, 0.0, 0.92, 1.5 * line),
    }
    for area, place in places.items():
        found = native._chartSpace.chart.find(f"{{*}}{area}")
        if found is not None:
            pptx_axes.put(found, place, inner=area == "plotArea")


def _dress(shape: Any, series: Series, look: Look) -> None:
    shape.smooth = False
    if series.line:
        colour, width, dash = series.line
        shape.format.line.color.rgb = rgb(colour, look.background)
        shape.format.line.width = Pt(0.9 * width)
        if dash in _DASHES:
            shape.format.line.dash_style = _DASHES[dash]
    else:
        shape.format.line.fill.background()
    if series.symbol is None:
        shape.marker.style = XL_MARKER_STYLE.NONE
    else:
        _markers(shape, series, look)
    for i, label in series.labels.items():
        _label(shape.points[i].data_label, label, look)
    for direction, errors, below in (("x", series.x_error, series.x_below), ("y", series.y_error, series.y_below)):
        if any(errors):
            colour = str(rgb(series.line[0] if series.line else series.colours[-1], look.background))
            bars = _error_bars(direction, errors, below or errors, colour)
            shape._element.find("{*}xVal").addprevious(bars)


def _markers(shape: Any, series: Series, look: Look) -> None:
    style = _MARKERS.get((series.symbol or "").removesuffix("-open"), XL_MARKER_STYLE.CIRCLE)
    shape.marker.style, shape.marker.size = style, _points(series.sizes[0])
    _fill(shape.marker.format, series.colours[-1], look, hollow=(series.symbol or "").endswith("-open"))
    if len(series.colours) > _MOST_COLOURED:
        return
    for i, (colour, size) in enumerate(zip(series.colours, series.sizes, strict=True)):
        if (colour, size) != (series.colours[-1], series.sizes[0]):
            point = shape.points[i]
            point.marker.style, point.marker.size = style, _points(size)
            _fill(point.marker.format, colour, look)
            if series.line:
                point.format.line.color.rgb = rgb(colour, look.background)
                point.format.line.width = Pt(0.9 * series.line[1])


def _points(pixels: float) -> int:
    return min(max(round(pixels), 2), 72)


def _fill(target: Any, colour: str, look: Look, *, hollow: bool = False) -> None:
    if hollow:
        target.fill.background()
    else:
        target.fill.solid()
        target.fill.fore_color.rgb = rgb(colour, look.background)
    target.line.color.rgb = rgb(colour, look.background)


def _label(target: Any, label: Label, look: Look) -> None:
    target.text_frame.text = label.text
    target.position = _SIDES[label.side]
    styled(target.text_frame.paragraphs[0].font, 12, label.colour or look.ink)


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


def _legend(native: Any, series: list[Series], look: Look) -> None:
    """Names of the series that have one on the screen, each once."""
    native.has_legend = sum(one.legend for one in series) > 0
    if not native.has_legend:
        return
    native.legend.position, native.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
    styled(native.legend.font, 11, look.ink)
    place = native.legend._element.find("{*}legendPos")
    for number, one in reversed(list(enumerate(series))):
        if not one.legend:
            entry = f'<c:legendEntry {nsdecls("c")}><c:idx val="{number}"/><c:delete val="1"/></c:legendEntry>'
            place.addnext(parse_xml(entry))

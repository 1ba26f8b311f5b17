"""Axes, places, fonts and colours of PowerPoint's charts."""

import math
from typing import Any

from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_AXIS_CROSSES, XL_TICK_LABEL_POSITION
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.util import Pt

from dashboard.export.chart_model import Axis
from dashboard.figures.template import Look

FONT = "Arial"
"""On every machine that opens the file; a presentation cannot name others to fall back on."""


def rgb(colour: str, ground: str = "#FFFFFF") -> RGBColor:
    """'#0072B2' or 'rgba(0,114,178,0.2)' over a ground, as PowerPoint has it."""
    if colour.startswith("#"):
        return RGBColor.from_string(colour[1:7])
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")]
    share = numbers[3] if len(numbers) > 3 else 1.0
    under = [int(ground[i : i + 2], 16) for i in (1, 3, 5)]
    return RGBColor(*(round(share * a + (1 - share) * b) for a, b in zip(numbers[:3], under, strict=True)))


def styled(font: Any, size: float, colour: str, *, bold: bool = False) -> None:
    """Our font at a size in points."""
    font.name, font.size, font.bold, font.color.rgb = FONT, Pt(size), bold, rgb(colour)


def dress(axis: Any, of: Axis, limits: tuple[float, float, float], look: Look, *, title: bool, texts: bool) -> None:
    """Title, limits (with the step between two ticks), ticks and lines of one axis."""
    axis.has_title = title and bool(of.title)
    if axis.has_title:
        zero = f" (0 stands at {of.zero:,.0f})" if of.zero is not None else ""
        axis.axis_title.text_frame.text = of.title + zero
        styled(axis.axis_title.text_frame.paragraphs[0].font, 12, look.ink)
    axis.has_major_gridlines = True
    axis.major_gridlines.format.line.color.rgb = rgb(look.grid)
    axis.format.line.color.rgb = rgb(look.grid)
    shown = texts and not of.names
    axis.tick_label_position = XL_TICK_LABEL_POSITION.NEXT_TO_AXIS if shown else XL_TICK_LABEL_POSITION.NONE
    axis.tick_labels.number_format_is_linked = False
    # Counts as 10k and 1M, as on the screen; everything else as it is.
    axis.tick_labels.number_format = '[>=1000000]0.##,,"M";[>=1000]0.##,"k";0' if of.log else "General"
    axis.minimum_scale, axis.maximum_scale = limits[:2]
    axis.reverse_order = of.falling
    # Where the other axis crosses: at the corner, wherever zero is.
    axis.crosses = XL_AXIS_CROSSES.MAXIMUM if of.falling else XL_AXIS_CROSSES.MINIMUM
    if of.log:
        scaling = axis._element.find("{*}scaling")
        scaling.insert(0, parse_xml(f'<c:logBase {nsdecls("c")} val="10"/>'))
    else:
        axis.major_unit = limits[2]


def limits(of: Axis, low: float, high: float) -> tuple[float, float, float]:
    """Ends of an axis whose data reach from low to high, and the step between its ticks."""
    if of.log:
        first, last = of.limits or (low, high)
        return 10.0 ** math.floor(math.log10(first) + 1e-9), 10.0 ** math.ceil(math.log10(last) - 1e-9), 1.0
    if of.limits and of.names:
        return *of.limits, 1.0
    step = of.ticks[1] - of.ticks[0] if of.ticks else None
    # Limits of the screen have room around the data already.
    return nice(*of.limits, step, slack=0.25) if of.limits else nice(low, high, step)


def nice(low: float, high: float, step: float | None = None, slack: float = 0.0) -> tuple[float, float, float]:
    """Round limits that hold both but for a share of a step (slack), and a step of 1, 2 or 5 times a power of ten."""
    if step is None:
        rough = (high - low or 1.0) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= 0.999 * rough)
    first, last = math.floor(low / step + slack + 1e-9), math.ceil(high / step - slack - 1e-9)
    return round(first * step, 10), round(max(last, first + 1) * step, 10), step


def put(element: Any, place: tuple[float, float, float, float], *, inner: bool) -> None:
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

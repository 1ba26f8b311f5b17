"""Stacked bars of a figure as a native chart of PowerPoint."""

from collections.abc import Sequence
from typing import Any

from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION
from pptx.slide import Slide
from pptx.util import Emu, Pt

from dashboard import escape
from dashboard.export.from_plotly import without_tags
from dashboard.export.pptx_chart import FONT, rgb, set_font
from dashboard.figures.template import Theme

_GAP = 30
"""Room between bars, per cent of their width."""


def add_bars(
    slide: Slide, bars: Sequence[Any], layout: Any, place: tuple[int, int, int, int], theme: Theme, alt: str
) -> None:
    """One chart of all bar traces of a figure, stacked, upright or lying as they are on the page."""
    lying = bars[0].orientation == "h"
    names, axis = (bars[0].y, layout.xaxis) if lying else (bars[0].x, layout.yaxis)
    data = CategoryChartData(number_format="General")
    data.categories = [escape.label(str(name)) for name in names]
    for bar in bars:
        data.add_series(escape.label(bar.name or "series"), list(bar.x if lying else bar.y))
    kind = XL_CHART_TYPE.BAR_STACKED if lying else XL_CHART_TYPE.COLUMN_STACKED
    shapes: Any = slide.shapes
    frame = shapes.add_chart(kind, *map(Emu, place), data)
    frame._element.nvGraphicFramePr.cNvPr.set("descr", escape.printable(alt))
    native: Any = frame.chart
    native.font.name, native.font.size, native.font.color.rgb = FONT, Pt(9 if len(names) > 20 else 12), rgb(theme.muted)
    native.has_title, native.has_legend = False, True
    native.legend.position, native.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
    native.plots[0].gap_width, native.plots[0].overlap = _GAP, 100
    native.category_axis.reverse_order = lying
    native.value_axis.major_gridlines.format.line.color.rgb = rgb(theme.grid)
    native.value_axis.has_title = True
    native.value_axis.axis_title.text_frame.text = escape.printable(without_tags(axis.title.text))
    set_font(native.value_axis.axis_title.text_frame.paragraphs[0].font, 12, theme.ink)
    for series, bar in zip(native.plots[0].series, bars, strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = rgb(bar.marker.color, theme.background)
        series.invert_if_negative = False

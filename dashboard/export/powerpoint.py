"""A deck as PowerPoint: every figure as native charts whose numbers can be edited, a matrix as a table."""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from pptx import Presentation
from pptx.enum.text import MSO_AUTO_SIZE, PP_ALIGN
from pptx.slide import Slide
from pptx.util import Emu, Inches

from dashboard import escape
from dashboard.export.chart_model import Chart
from dashboard.export.contents import DeckExport
from dashboard.export.from_plotly import charts
from dashboard.export.pptx_bars import add_bars
from dashboard.export.pptx_chart import add_chart, rgb, set_font
from dashboard.export.pptx_matrix import add_table
from dashboard.figures.template import Theme

_WIDTH, _HEIGHT = Inches(40 / 3), Inches(7.5)
_EDGE = Inches(0.5)
_TOP, _BOTTOM = Inches(1.25), Inches(6.45)
_TITLE = _EDGE, Inches(0.3), _WIDTH - 2 * _EDGE, Inches(0.9)
_TITLE_SIZES = (28, 24, 21, 18, 16, 14, 12)
"""Points, the largest that fits is taken."""


def deck(export: DeckExport) -> bytes:
    """The deck as bytes of a .pptx file, 16:9, with a chart or a table for every figure."""
    presentation, theme = Presentation(), export.theme
    presentation.slide_width, presentation.slide_height = _WIDTH, _HEIGHT
    presentation.core_properties.title = escape.printable(export.name)[:255]
    for rendered in export.slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])  # a title and nothing else
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = rgb(theme.background)
        _add_title(slide, rendered.title, theme)
        if rendered.problem:
            _add_text(slide, rendered.problem, (_EDGE, Inches(3), _WIDTH - 2 * _EDGE, Inches(1.5)), 20, theme.ink)
        for number, figure in enumerate(rendered.figures):
            _add_figure(slide, figure, _place(number, len(rendered.figures)), theme)
        _add_text(slide, rendered.note, (_EDGE, _BOTTOM, _WIDTH - 2 * _EDGE, _HEIGHT - _BOTTOM), 14, theme.muted)
        alts = [str(figure.layout.meta["alt"]) for figure in rendered.figures]
        notes = [rendered.note, rendered.caption, rendered.link, *alts]
        slide.notes_slide.notes_text_frame.text = "\n\n".join(filter(None, notes))
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def _place(number: int, count: int) -> tuple[int, int, int, int]:
    """Where a figure of several stands: beside each other, four in two rows, more in rows of three."""
    columns = {4: 2}.get(count, min(count, 3))
    rows = -(-count // columns)
    width, height = (_WIDTH - 2 * _EDGE) // columns, (_BOTTOM - _TOP) // rows
    row, column = divmod(number, columns)
    return _EDGE + column * width, _TOP + row * height, width, height


def _add_title(slide: Slide, text: str, theme: Theme) -> None:
    shape: Any = slide.shapes.title
    shape.left, shape.top, shape.width, shape.height = map(Emu, _TITLE)
    shape.text_frame.text = text
    shape.text_frame.auto_size = MSO_AUTO_SIZE.TEXT_TO_FIT_SHAPE  # when it is edited
    size = _title_size(text)
    for paragraph in shape.text_frame.paragraphs:
        set_font(paragraph.font, size, theme.ink, bold=True)
        paragraph.alignment = PP_ALIGN.LEFT


def _title_size(text: str) -> int:
    """Points with which a title stays above the figures, for bold letters 0.58 as wide as they are high."""
    width, height = Emu(_TITLE[2]).pt - 14.4, Emu(_TITLE[3]).pt - 7.2  # without the margins
    for size in _TITLE_SIZES:
        letters = int(width / (0.58 * size))
        lines = sum(len(textwrap.wrap(line, letters)) or 1 for line in text.splitlines())
        if lines * 1.2 * size <= height:
            return size
    return _TITLE_SIZES[-1]


def _add_text(slide: Slide, text: str, place: tuple[int, int, int, int], size: int, colour: str) -> None:
    if text:
        frame = slide.shapes.add_textbox(*map(Emu, place)).text_frame
        frame.word_wrap = True
        frame.text = text
        for paragraph in frame.paragraphs:
            set_font(paragraph.font, size, colour)


def _add_figure(slide: Slide, figure: go.Figure, place: tuple[int, int, int, int], theme: Theme) -> None:
    left, top, width, height = place
    alt = str(figure.layout.meta["alt"])
    for trace in figure.data:
        if trace.type == "heatmap":
            add_table(slide, trace, place, theme, alt)
    if bars := [trace for trace in figure.data if trace.type == "bar"]:
        add_bars(slide, bars, figure.layout, place, theme, alt)
    panels = charts(figure)
    if len({round(chart.place[0], 2) for chart in panels}) > 1:
        _add_grid(slide, panels, place, theme, alt)
        return
    heights = [1.0] * len(panels)
    if panels:
        heights[0] += 0.4  # the legend
        heights[-1] += 0.5  # the title of the x-axis, which all share
    for number, chart in enumerate(panels):
        above, own = sum(heights[:number]) / sum(heights), heights[number] / sum(heights)
        box = (left, top + round(above * height), width, round(own * height))
        add_chart(slide, chart, box, theme, alt, first=number == 0, last=number + 1 == len(panels))


def _add_grid(slide: Slide, panels: Sequence[Chart], place: tuple[int, int, int, int], theme: Theme, alt: str) -> None:
    """Charts beside and below each other, where they stand in the figure."""
    left, top, width, height = place
    columns = sorted({round(chart.place[0], 2) for chart in panels})
    rows = sorted({round(chart.place[3], 2) for chart in panels}, reverse=True)
    for chart in panels:
        column, row = columns.index(round(chart.place[0], 2)), rows.index(round(chart.place[3], 2))
        wide, high = width // len(columns), height // len(rows)
        box = (left + column * wide, top + row * high, wide, high)
        add_chart(slide, chart, box, theme, alt, first=True, last=True)

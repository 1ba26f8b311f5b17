"""A deck as PowerPoint: every figure as native charts whose numbers can be edited, a matrix as a table."""

import io
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from pptx import Presentation
from pptx.enum.text import PP_ALIGN
from pptx.slide import Slide
from pptx.util import Emu, Inches

from dashboard.export.deck import Shown
from dashboard.export.from_plotly import charts
from dashboard.export.pptx_axes import rgb, styled
from dashboard.export.pptx_chart import draw
from dashboard.export.pptx_matrix import table
from dashboard.figures.template import Look

_WIDTH, _HEIGHT = Inches(40 / 3), Inches(7.5)
_EDGE = Inches(0.5)
_TOP, _BOTTOM = Inches(1.25), Inches(6.45)


def pptx(name: str, slides: Sequence[Shown], look: Look) -> bytes:
    """The deck as bytes of a .pptx file, 16:9, with a chart or a table for every figure."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = _WIDTH, _HEIGHT
    deck.core_properties.title = name
    for shown in slides:
        slide = deck.slides.add_slide(deck.slide_layouts[5])  # a title and nothing else
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = rgb(look.background)
        _title(slide, shown.title, look)
        if shown.problem:
            _words(slide, shown.problem, (_EDGE, Inches(3), _WIDTH - 2 * _EDGE, Inches(1.5)), 20, look.ink)
        for number, figure in enumerate(shown.figures):
            width = (_WIDTH - 2 * _EDGE) // len(shown.figures)
            _figure(slide, figure, (_EDGE + number * width, _TOP, width, _BOTTOM - _TOP), look)
        _words(slide, shown.note, (_EDGE, _BOTTOM, _WIDTH - 2 * _EDGE, _HEIGHT - _BOTTOM), 14, look.muted)
        notes = [shown.note, shown.caption, shown.link, *(str(figure.layout.meta["alt"]) for figure in shown.figures)]
        slide.notes_slide.notes_text_frame.text = "\n\n".join(filter(None, notes))
    held = io.BytesIO()
    deck.save(held)
    return held.getvalue()


def _title(slide: Slide, text: str, look: Look) -> None:
    shape: Any = slide.shapes.title
    shape.left, shape.top, shape.width, shape.height = _EDGE, Inches(0.3), _WIDTH - 2 * _EDGE, Inches(0.9)
    shape.text_frame.text = text
    for paragraph in shape.text_frame.paragraphs:
        styled(paragraph.font, 28, look.ink, bold=True)
        paragraph.alignment = PP_ALIGN.LEFT


def _words(slide: Slide, text: str, place: tuple[int, int, int, int], size: int, colour: str) -> None:
    if text:
        frame = slide.shapes.add_textbox(*map(Emu, place)).text_frame
        frame.word_wrap = True
        frame.text = text
        for paragraph in frame.paragraphs:
            styled(paragraph.font, size, colour)


def _figure(slide: Slide, figure: go.Figure, place: tuple[int, int, int, int], look: Look) -> None:
    left, top, width, height = place
    alt = str(figure.layout.meta["alt"])
    for trace in figure.data:
        if trace.type == "heatmap":
            table(slide, trace, place, look, alt)
    found = charts(figure)
    # The first has a legend, the last the name of the axis that all share.
    shares = [1.0 + 0.4 * (i == 0) + 0.5 * (i == len(found) - 1) for i in range(len(found))]
    for number, chart in enumerate(found):
        above, mine = sum(shares[:number]) / sum(shares), shares[number] / sum(shares)
        box = (left, top + round(above * height), width, round(mine * height))
        draw(slide, chart, box, look, alt, first=number == 0, last=number + 1 == len(found))

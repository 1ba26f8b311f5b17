"""A heat map as a native table of PowerPoint: the words and colours of the page, as large as its place allows."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.slide import Slide
from pptx.util import Emu, Pt

from dashboard import escape
from dashboard.export.from_plotly import without_tags
from dashboard.export.pptx_chart import rgb, set_font
from dashboard.figures.template import Theme, along

_LARGEST = 12.0
"""Points of text where there is room."""
_CHARACTER, _NARROW, _LINE, _MARGIN = 0.56, 0.39, 1.2, 0.3
"""Width of a character and of a mark, height of a line and margin of a cell, in sizes of the font."""
_NARROW_CHARACTERS = frozenset(" .,:;*()-")
_TALLEST = 2.6
"""Height of a row of cells in sizes of the font, at most."""


@dataclass(frozen=True)
class _Fit:
    """How a table fits its place, in points."""

    size: float
    turned: bool
    """Whether headings run upwards, since their words would break in their columns."""
    first: float
    column: float
    heading: float
    row: float


def add_table(slide: Slide, trace: Any, place: tuple[int, int, int, int], theme: Theme, alt: str) -> None:
    """Put a heat map into a place (left, top, width, height in EMU); the corner says what the numbers are."""
    columns = (trace.meta or {}).get("columns", trace.x)
    names, headings = [[without_tags(str(value)) for value in values] for values in (trace.y, columns)]
    entries = [[without_tags(text) for text in line] for line in _texts(trace)]
    lines = [[without_tags(trace.colorbar.title.text), *headings]]
    lines += [[name, *line] for name, line in zip(names, entries, strict=True)]
    left, top, width, height = place
    fit = _fit(lines, Emu(width).pt, Emu(height).pt)
    heights, widths = [fit.heading] + [fit.row] * len(names), [fit.first] + [fit.column] * len(headings)
    box = (left, top, int(Pt(sum(widths))), int(Pt(sum(heights))))
    frame = slide.shapes.add_table(len(heights), len(widths), *map(Emu, box))
    frame._element.nvGraphicFramePr.cNvPr.set("descr", escape.printable(alt))
    native: Any = frame.table
    known = [value for line in trace.z for value in line if value is not None and not math.isnan(value)]
    ends = (min(known, default=0), max(known, default=1)) if trace.zmin is None else (trace.zmin, trace.zmax)
    for row, points in zip(native.rows, heights, strict=True):
        row.height = Pt(points)
    for column, points in zip(native.columns, widths, strict=True):
        column.width = Pt(points)
    for i, line in enumerate(lines):
        for j, text in enumerate(line):
            value = trace.z[i - 1][j - 1] if i and j else None
            _write_cell(native.cell(i, j), text, fit.size, _colour(value, trace, ends, theme), theme)
            native.cell(i, j).text_frame.paragraphs[0].alignment = PP_ALIGN.CENTER if j else PP_ALIGN.RIGHT
    for j in range(len(widths)):
        cell = native.cell(0, j)
        if fit.turned and j:
            cell._tc.get_or_add_tcPr().set("vert", "vert270")
            cell.text_frame.paragraphs[0].alignment = PP_ALIGN.LEFT
        else:
            cell.vertical_anchor = MSO_ANCHOR.BOTTOM


def _texts(trace: Any) -> Sequence[Sequence[str]]:
    """What the cells say; of a heat map of colours alone, the values."""
    if trace.text is not None:
        return trace.text
    return [["–" if value is None or math.isnan(value) else f"{value:.3f}" for value in line] for line in trace.z]


def _fit(lines: Sequence[Sequence[str]], width: float, height: float) -> _Fit:
    """The largest text with which no word breaks and no row grows: a table does not shrink what it holds."""
    headings, below = lines[0][1:], lines[1:]
    line = _LINE + 2 * _MARGIN
    first = _width(line[0] for line in lines)
    entry = max(line, _width(text for line in below for text in line[1:]))
    word = _width(word for text in headings for word in text.split())
    column = max(entry, word)
    turned = width < _LARGEST * (first + len(headings) * column)
    if turned:
        column, heading = entry, _width(headings)
    else:
        letters = int(((width / _LARGEST - first) / len(headings) - 2 * _MARGIN) / _CHARACTER)
        heading = _LINE * max(len(textwrap.wrap(text, letters)) for text in headings) + 2 * _MARGIN
    size = min(_LARGEST, width / (first + len(headings) * column), height / (heading + len(below) * line))
    size = max(int(10 * size) / 10, 1.0)  # PowerPoint knows nothing smaller
    row = min(_TALLEST * size, (height - heading * size) / len(below))
    return _Fit(size, turned, first * size, (width - first * size) / len(headings), heading * size, row)


def _width(texts: Iterable[str]) -> float:
    """Width of a cell that holds any of them on one line, in sizes of the font."""
    characters = max(sum(_NARROW if c in _NARROW_CHARACTERS else _CHARACTER for c in text) for text in texts)
    return characters + 2 * _MARGIN


def _colour(value: float | None, trace: Any, ends: tuple[float, float], theme: Theme) -> str:
    """The colour of the page; its scales have evenly spaced colours from the least value to the largest."""
    if value is None or math.isnan(value):
        return theme.background
    low, high = ends
    return along(tuple(colour for _, colour in trace.colorscale), (value - low) / (high - low) if high > low else 0.5)


def _ink(colour: str, theme: Theme) -> str:
    """Black or white on a strong colour, whichever is read better; the ink of the theme on its own ground."""
    if colour == theme.background:
        return theme.ink
    linear = [(int(colour[n : n + 2], 16) / 255) ** 2.2 for n in (1, 3, 5)]
    return "#000000" if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 else "#FFFFFF"


def _write_cell(cell: Any, text: str, size: float, colour: str, theme: Theme) -> None:
    margin = Pt(_MARGIN * size)
    cell.margin_left = cell.margin_right = cell.margin_top = cell.margin_bottom = margin
    cell.vertical_anchor = MSO_ANCHOR.MIDDLE
    cell.fill.solid()
    cell.fill.fore_color.rgb = rgb(colour)
    run = cell.text_frame.paragraphs[0].add_run()
    run.text = text or "\u00a0"  # an empty cell would be as high as 18 points
    set_font(run.font, size, _ink(colour, theme))

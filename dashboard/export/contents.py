"""What is exported: a figure at a size with the rows behind it, or a deck of rendered slides."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.figures.template import Theme

INCH = 96
"""CSS pixels."""
SMALLEST_TEXT, USUAL_TEXT = 11, 14
"""Pixels, of dashboard/figures/template.py and the figures that use it."""


@dataclass(frozen=True)
class Size:
    """Pixels that a figure is drawn at, and how much larger or smaller it is then shown."""

    width: float
    height: float
    scale: float = 1.0

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height as shown."""
        return self.width * self.scale / INCH, self.height * self.scale / INCH


@dataclass(frozen=True)
class SizePreset:
    """A size to choose; inches None is the size on the screen."""

    name: str
    inches: tuple[float, float] | None
    scale: float

    def size(self, on_screen: Size) -> Size:
        """The size to draw at, for a figure of a size on the screen."""
        if self.inches is None:
            return on_screen
        width, height = self.inches
        return Size(width * INCH / self.scale, height * INCH / self.scale, self.scale)

    def describe(self, on_screen: Size) -> str:
        """'85 × 85 mm (3.35 × 3.35 in), text 5.8–7.4 pt'."""
        size = self.size(on_screen)
        width, height = size.inches
        small, usual = (pixels * size.scale * 72 / INCH for pixels in (SMALLEST_TEXT, USUAL_TEXT))
        return (
            f"{25.4 * width:.0f} × {25.4 * height:.0f} mm ({width:.2f} × {height:.2f} in), "
            f"text {small:.1f}–{usual:.1f} pt"
        )


# Columns of a journal are about 85 and 180 mm wide, and text of less than 5 pt is refused; a slide is read from afar.
PRESETS = {
    preset.name: preset
    for preset in (
        SizePreset("As seen", None, 1.0),
        SizePreset("Slide 16:9", (40 / 3, 7.5), 1.6),
        SizePreset("Single column", (85 / 25.4, 85 / 25.4), 0.7),
        SizePreset("Double column", (180 / 25.4, 119 / 25.4), 0.77),
    )
}


@dataclass(frozen=True)
class FigureExport:
    """A figure to write into a file."""

    figure: go.Figure
    size: Size
    theme: Theme
    title: str
    rows: pl.DataFrame | None = None
    """The rows that it was drawn from, where a page knows them."""


@dataclass(frozen=True)
class RenderedSlide:
    """One slide of a deck with its figures rebuilt from its link."""

    title: str
    note: str
    figures: tuple[go.Figure, ...]
    caption: str = ""
    link: str = ""
    problem: str = ""
    """One sentence in place of the figures: what the slide refers to is gone."""


@dataclass(frozen=True)
class DeckExport:
    """A deck to write into a file."""

    name: str
    slides: Sequence[RenderedSlide]
    theme: Theme


def as_seen(figure: go.Figure, seen: Mapping[str, Any] | None) -> go.Figure:
    """A copy of the figure with what the reader changed in the browser: axis ranges, and lines switched off."""
    copy = go.Figure(figure)
    for path, limits in ((seen or {}).get("ranges") or {}).items():
        if re.fullmatch(r"[xy]axis\d*", path):
            copy.update_layout({path: {"range": limits, "autorange": False}})
    hidden = set((seen or {}).get("hidden") or [])
    for number, trace in enumerate(copy.data):
        if number in hidden:
            trace.visible = "legendonly"
    return copy

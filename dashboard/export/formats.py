"""Every format that figures and decks are exported in: a new one is a file that writes it and a line of FORMATS."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from dashboard.export import html, pdf, tables
from dashboard.export.contents import DeckExport, FigureExport


@dataclass(frozen=True)
class FileFormat:
    """One kind of file, and who writes it: the server from Python, or the reader's browser from its own drawing."""

    label: str
    """On the button."""
    suffix: str
    mime: str
    figure: Callable[[FigureExport], bytes] | None = None
    """Writes a figure on the server."""
    deck: Callable[[DeckExport], bytes] | None = None
    """Writes a deck on the server."""
    browser_scale: int | None = None
    """Pixels of the file for each of the screen, where the browser draws a figure (export_menu.js)."""
    missing: Callable[[], str] = str
    """Why this machine cannot write it, with what to do; empty where it can."""


def _pptx(export: DeckExport) -> bytes:
    # Late: no page waits for what only a download needs.
    from dashboard.export import powerpoint

    return powerpoint.deck(export)


PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
FORMATS = (
    FileFormat("SVG", "svg", "image/svg+xml", browser_scale=1),
    FileFormat("PNG 2×", "png", "image/png", browser_scale=2),
    FileFormat("PNG 4×", "png", "image/png", browser_scale=4),
    FileFormat("PDF", "pdf", "application/pdf", figure=pdf.figure, deck=pdf.deck, missing=pdf.missing),
    FileFormat("HTML", "html", "text/html", figure=html.figure, deck=html.deck),
    FileFormat("CSV", "csv", "text/csv", figure=tables.csv),
    FileFormat("Parquet", "parquet", "application/vnd.apache.parquet", figure=tables.parquet),
    FileFormat("PPTX", "pptx", PPTX, deck=_pptx),
)


def file_stem(title: str) -> str:
    """A file name without its ending, of lower-case letters, digits and hyphens.

    >>> file_stem("Plane, order 1")
    'plane-order-1'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "softh"

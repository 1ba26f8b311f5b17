"""Figures and decks as one page of HTML that works without a network: plotly.js, font and data are inside."""

import json
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import plotly
import plotly.graph_objects as go

from dashboard.export import fonts
from dashboard.export.contents import DeckExport, FigureExport
from dashboard.figures.template import FONT, Theme

_HERE = Path(__file__).parent
_CONTROLS = ("updatemenus", "sliders")


def figure(export: FigureExport) -> bytes:
    """The figure alone; it fills the window."""
    return _page("figure.html", {"figure": as_json(export.figure)}, export.theme, export.title, fonts.for_screens())


def printable_figure(export: FigureExport) -> bytes:
    """The page that :mod:`dashboard.export.pdf` prints: the figure alone, of exactly its size."""
    content = {"figure": without_controls(export.figure), "size": [export.size.width, export.size.height]}
    return _page("figure.html", content, export.theme, "softh", fonts.for_print())


def deck(export: DeckExport) -> bytes:
    """The deck, which presents itself: arrow keys turn, figures answer to the mouse."""
    return _page("deck.html", deck_content(export), export.theme, export.name, fonts.for_screens())


def printable_deck(export: DeckExport) -> bytes:
    """The page that :mod:`dashboard.export.pdf` prints: one sheet a slide."""
    content = deck_content(export, printed=True) | {"sheets": True}
    return _page("deck.html", content, export.theme, export.name, fonts.for_print())


def deck_content(export: DeckExport, *, printed: bool = False) -> dict[str, Any]:
    """What deck.js draws, as JSON; printed leaves out what only a screen can use."""
    content_of = without_controls if printed else as_json
    theme = export.theme
    return {
        "name": export.name,
        "inks": {"ground": theme.background, "ink": theme.ink, "muted": theme.muted, "line": theme.grid},
        "slides": [
            {
                "title": slide.title, "note": slide.note, "problem": slide.problem, "link": slide.link,
                "figures": [content_of(figure) for figure in slide.figures],
            }
            for slide in export.slides
        ],
    }  # fmt: skip


def deck_script() -> str:
    """deck.js, which presents in the page and in the file, after what places names."""
    return names_script() + (_HERE / "deck.js").read_text(encoding="utf-8")


def without_controls(figure: go.Figure) -> dict[str, Any]:
    """Plotly's JSON of a figure without what only a screen can use: frames, buttons and sliders."""
    content = as_json(figure)
    content.pop("frames", None)
    for name in _CONTROLS:
        content["layout"].pop(name, None)
    return content


def plotly_folder() -> Path:
    """Where the installed package keeps plotly.min.js: the same version that writes the figures."""
    return Path(plotly.__file__).parent / "package_data"


def names_script() -> str:
    """names.js, which places names beside points for the size that a figure has."""
    return (_HERE.parent / "assets" / "names.js").read_text(encoding="utf-8")


def play_script() -> str:
    """play.js, which lets the paths of a figure grow."""
    return (_HERE.parent / "assets" / "play.js").read_text(encoding="utf-8")


def as_json(figure: go.Figure) -> dict[str, Any]:
    """Plotly's JSON of a figure."""
    return json.loads(str(figure.to_json()))


def template_text(name: str) -> str:
    """One of the HTML files beside this one, with its places."""
    return (_HERE / name).read_text(encoding="utf-8")


def _page(name: str, content: Any, theme: Theme, title: str, font_face: str) -> bytes:
    """One of the HTML files beside this one, filled; the content as JSON that cannot end a script."""
    text = Template(template_text(name))
    filled = text.substitute(
        title=escape(title),
        ground=theme.background,
        font=FONT,
        face=font_face,
        plotly=(plotly_folder() / "plotly.min.js").read_text(encoding="utf-8"),
        deck=deck_script() if "$deck" in text.template else "",
        names=names_script() if "$names" in text.template else "",
        drawing=json.dumps(content).replace("<", "\\u003c"),
    )
    return filled.encode()

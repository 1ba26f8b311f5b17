"""A deck as files: one page of HTML that presents itself, and the same as PDF."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from dashboard.export import files, fonts
from dashboard.export import pdf as printing
from dashboard.figures.template import Look

SHEET = (40 / 3, 7.5)
"""Inches of a slide, 16:9."""


@dataclass(frozen=True)
class Shown:
    """One slide with its figures rebuilt from its link."""

    title: str
    note: str
    figures: tuple[go.Figure, ...]
    caption: str = ""
    link: str = ""
    problem: str = ""
    """One sentence in place of the figures: what the slide refers to is gone."""


def drawing(name: str, slides: Sequence[Shown], look: Look, *, still: bool = False) -> dict[str, Any]:
    """What deck.js presents, as JSON."""
    turned = files.still if still else lambda figure: json.loads(str(figure.to_json()))
    return {
        "name": name,
        "inks": {"ground": look.background, "ink": look.ink, "muted": look.muted, "line": look.grid},
        "slides": [
            {
                "title": shown.title, "note": shown.note, "problem": shown.problem, "link": shown.link,
                "figures": [turned(figure) for figure in shown.figures],
            }
            for shown in slides
        ],
    }  # fmt: skip


def script() -> str:
    """deck.js, which presents in the page and in the file."""
    return (files.HERE / "deck.js").read_text(encoding="utf-8")


def html(name: str, slides: Sequence[Shown], look: Look) -> bytes:
    """One file that works offline: arrow keys, figures that answer to the mouse."""
    return files.page("deck.html", drawing(name, slides, look), look.background, name, fonts.for_screens())


def pdf(name: str, slides: Sequence[Shown], look: Look) -> bytes:
    """One sheet a slide; raises InputError where there is no Chromium."""
    content = drawing(name, slides, look, still=True) | {"sheets": True}
    return printing.pdf(files.page("deck.html", content, look.background, name, fonts.for_print()), SHEET)

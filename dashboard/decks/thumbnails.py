"""Small pictures of the slides of a deck, drawn in the reader's browser; a click chooses one, dragging moves it."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode

import plotly.graph_objects as go
import streamlit as st

from dashboard.controls import browser, session
from dashboard.data import queries
from dashboard.data.caching import cached_by
from dashboard.decks import render
from dashboard.decks.store import Slide
from dashboard.export import html
from dashboard.figures.template import theme_for

_MOST_FIGURES = 4
_pictures = st.components.v2.component(
    "softh_thumbnails",
    js=browser.asset("load.js", "thumbnails.js"),
    css=browser.asset("thumbnails.css"),
    html="<ol aria-label='Pictures of the slides'></ol>",
)


def draw(slides: Sequence[Slide], number: int, move: Callable[[int, int], None] | None) -> None:
    """A picture of every slide; number: the chosen one, counted from 0.

    move: takes a slide from one place to another, counted from 0; None where the reader may not.
    """
    dark = browser.dark()
    shown = [
        _drawing(slide.page, urlencode(slide.query, doseq=True), slide.figure, slide.title, dark) for slide in slides
    ]
    ground = theme_for(dark).background
    data = {
        "slides": shown, "current": number, "movable": move is not None, "ground": ground, **browser.asset_urls()
    }  # fmt: skip
    moved = partial(_moved, move, len(slides))
    _pictures(key=session.THUMBNAILS.key, data=data, on_chosen_change=_choose, on_moved_change=moved)


def _choose() -> None:
    if (number := session.THUMBNAILS.get()["chosen"]) is not None:
        session.DECK_SLIDE.set(str(int(number) + 1))


def _moved(move: Callable[[int, int], None] | None, count: int) -> None:
    """Take a slide to where it was dropped; what a browser says is checked."""
    ends = session.THUMBNAILS.get()["moved"]
    if move and isinstance(ends, list) and len(ends) == 2 and all(end in range(count) for end in ends):
        move(*map(int, ends))


@cached_by(queries.tables_version, entries=256)
def _drawing(page: str, query: str, figure: str | None, title: str, dark: bool) -> dict[str, Any]:
    """Title and figures of a slide as JSON without what only a large figure can use."""
    slide = Slide(page, parse_qs(query, keep_blank_values=True), figure, title)
    [rendered] = render.render([slide], dark=dark)
    return {"title": rendered.title, "figures": [_light(each) for each in rendered.figures[:_MOST_FIGURES]]}


def _light(figure: go.Figure) -> dict[str, Any]:
    """The figure for a picture of a few centimetres: no cards, no legend, no controls."""
    content = html.without_controls(figure)
    for trace in content["data"]:
        for name in ("customdata", "hovertext", "hovertemplate", "meta", "text"):
            trace.pop(name, None)
    layout = content["layout"]
    layout.pop("meta", None)
    layout["showlegend"] = False
    return json.loads(json.dumps(content))

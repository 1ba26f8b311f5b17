"""A deck with its views rebuilt from their links; what is gone is a sentence on its slide."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
import streamlit as st

from dashboard.decks.store import Slide
from dashboard.export.deck import Shown
from dashboard.view import View
from dashboard.views import registry
from softh.errors import InputError


def shown(slides: Sequence[Slide], *, dark: bool, site: str = "") -> list[Shown]:
    """Every slide with its figures as the tables have them now; site is the address that links are followed from."""
    return [_shown(slide, dark, site) for slide in slides]


def link(slide: Slide, site: str = "") -> str:
    """The address of the view on a slide."""
    path = "" if slide.page == registry.PAGES[0].slug else slide.page
    return f"{site}/{path}?{urlencode(slide.query, doseq=True)}"


def query(page: str) -> dict[str, list[str]]:
    """What the controls of a page say, as its whole link.

    The address in the browser leaves out what nobody has touched, and what goes without saying changes with the tables.
    """
    held = _Held()
    if page in registry.VIEWS:
        with suppress(InputError):  # a choice of nothing is a link too
            registry.build(page, held)
    return {**held.asked, **{name: st.query_params.get_all(name) for name in st.query_params}}


class _Held(Mapping[str, Sequence[str]]):
    """The session's controls read like a link; remembers which of them a view asks for."""

    def __init__(self) -> None:
        self.asked: dict[str, list[str]] = {}

    def __getitem__(self, key: str) -> list[str]:
        value: Any = st.session_state.get(key)
        if value is None or value == "":
            raise KeyError(key)
        values = list(value) or [""] if isinstance(value, (list, tuple)) else [value]
        said = [str(one).lower() if isinstance(one, bool) else str(one) for one in values]
        self.asked[key] = said
        return said

    def __iter__(self) -> Iterator[str]:
        return iter(self.asked)

    def __len__(self) -> int:
        return len(self.asked)


def _shown(slide: Slide, dark: bool, site: str) -> Shown:
    address = link(slide, site)
    if slide.page not in registry.VIEWS:
        problem = (
            f"This slide shows the page {slide.page!r}, which is not among {', '.join(registry.VIEWS)}: remove it."
        )
        return Shown(slide.title or "A page that is gone", slide.note, (), link=address, problem=problem)
    try:
        view, notes = registry.build(slide.page, slide.query, dark=dark)
    except InputError as error:
        return Shown(slide.title or slide.page, slide.note, (), link=address, problem=str(error))
    if notes or (slide.figure is not None and slide.figure not in view.figures):
        # What the link names is gone: another model's numbers under the reader's title would be a lie.
        gone = notes or [f"This slide shows the figure {slide.figure!r}, which the page has no more: remove it."]
        return Shown(slide.title or view.title, slide.note, (), link=address, problem=_said(gone))
    figures = tuple(view.figures.values()) if slide.figure is None else (view.figures[slide.figure],)
    return Shown(slide.title or _title(view, figures), slide.note, figures, view.caption, address)


def _title(view: View, figures: Sequence[go.Figure]) -> str:
    """What the view is called, or its one figure where that shows more or less than the view says."""
    own = figures[0].layout.meta.get("title") if len(figures) == 1 else None
    return own or view.title


def _said(notes: Sequence[str]) -> str:
    return " ".join(note.partition(": showing ")[0].rstrip(".") + "." for note in notes)

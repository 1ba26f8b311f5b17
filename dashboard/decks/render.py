"""A deck with its views rebuilt from their links; where a view is gone, its slide says so in a sentence."""

from collections.abc import Sequence
from urllib.parse import urlencode

import plotly.graph_objects as go

from dashboard.decks import store
from dashboard.decks.store import Slide
from dashboard.export.contents import RenderedSlide
from dashboard.view import View
from dashboard.views import registry
from softh.errors import InputError


def render(slides: Sequence[Slide], *, dark: bool, site: str = "") -> list[RenderedSlide]:
    """Every slide with its figures from the tables as they are; site is the address that links begin with."""
    return [_render(slide, dark, site) for slide in slides]


def link(slide: Slide, site: str = "") -> str:
    """The address of the view on a slide."""
    path = "" if slide.page == registry.PAGES[0].slug else slide.page
    return f"{site}/{path}?{urlencode(slide.query, doseq=True)}"


def _render(slide: Slide, dark: bool, site: str) -> RenderedSlide:
    address = link(slide, site)
    if slide.page not in registry.VIEWS:
        problem = (
            f"This slide shows the page {slide.page!r}, which is not among {', '.join(registry.VIEWS)}: remove it."
        )
        return RenderedSlide(slide.title or "A page that is gone", slide.note, (), link=address, problem=problem)
    try:
        view, notes = registry.build(slide.page, slide.query, dark=dark)
    except InputError as error:
        return RenderedSlide(slide.title or slide.page, slide.note, (), link=address, problem=str(error))
    wanted = list(view.figures) if slide.figure is None else slide.figure.split(store.AND)
    if notes or not set(wanted) <= set(view.figures):
        # Another model's numbers under the reader's title would mislead.
        gone = notes or [f"This slide shows the figure {slide.figure!r}, which the page has no more: remove it."]
        return RenderedSlide(slide.title or view.title, slide.note, (), link=address, problem=_sentences(gone))
    figures = tuple(view.figures[key] for key in wanted)
    return RenderedSlide(slide.title or _title(view, figures), slide.note, figures, view.caption, address)


def _title(view: View, figures: Sequence[go.Figure]) -> str:
    """The title of the view, or of its one figure where that shows more or less than the view's title says."""
    figure_title = figures[0].layout.meta.get("title") if len(figures) == 1 else None
    return figure_title or view.title


def _sentences(notes: Sequence[str]) -> str:
    """The notes of a view, without what it shows instead."""
    return " ".join(note.partition(": showing ")[0].rstrip(".") + "." for note in notes)

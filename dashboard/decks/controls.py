"""The controls of a deck: which one, which slide, its words and its place, and its files."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.controls import browser, controls, theme
from dashboard.decks import render as slides
from dashboard.decks import store
from dashboard.decks.store import Slide
from dashboard.export import deck
from dashboard.export import pdf as printing
from dashboard.export.deck import Shown
from dashboard.figures.template import look
from softh import access

PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_stage = st.components.v2.component(
    "softh_stage",
    # One script: the same code presents here and in the file that works offline.
    js=(browser.asset("load.js", "present.js") + "\n" + deck.script()),
)


def choose() -> str | None:
    """The deck that the link or the sidebar names; None where there is none at all."""
    known = store.names()
    return controls.select("Deck", known, "deck", help="Figures are added by the menu above them.") if known else None


def place(content: Sequence[Slide]) -> int:
    """The slide that is chosen from the list of all, counted from 0."""
    numbers = [str(number + 1) for number in range(len(content))]
    words = [slide.title or _name(slide) for slide in content]
    return int(controls.radio("Slides", numbers, "slide", captions=words, where=st.container())) - 1


def words(name: str, at: int, slide: Slide) -> None:
    """Title and note of a slide, kept as soon as they are written."""
    if access.at_work().refusal:
        st.markdown("\n\n".join(filter(None, (f"**{slide.title}**" if slide.title else "", slide.note))))
        return
    title, note = f"title-{name}-{at}", f"note-{name}-{at}"

    def keep() -> None:
        changed = Slide(slide.page, slide.query, slide.figure, st.session_state[title], st.session_state[note])
        store.put(name, at, changed)

    st.session_state.setdefault(title, slide.title)
    st.session_state.setdefault(note, slide.note)
    st.text_input("Title", key=title, on_change=keep, placeholder="The view's own title", max_chars=120)
    st.text_area("Note", key=note, on_change=keep, height=68, max_chars=600, placeholder="What the figure tells")


def order(name: str, at: int, count: int, link: str) -> None:
    """Move a slide up or down, take it out, open its view."""
    with st.container(horizontal=True):
        if access.at_work().refusal:
            st.link_button("Open the view", link, icon=":material/open_in_new:")
            return
        st.button("Up", icon=":material/arrow_upward:", disabled=at == 0, on_click=partial(_move, name, at, -1))
        last = at == count - 1
        st.button("Down", icon=":material/arrow_downward:", disabled=last, on_click=partial(_move, name, at, 1))
        st.button("Remove", icon=":material/delete:", on_click=partial(_drop, name, at, count))
        st.link_button("Open the view", link, icon=":material/open_in_new:")


def show(name: str, content: Sequence[Slide], at: int) -> None:
    """The button that presents, the files of the deck, and its end."""
    with st.container(horizontal=True):
        if st.button(
            "Present", icon=":material/slideshow:", type="primary", help="Arrow keys turn; F fills the screen"
        ):
            st.session_state["presenting"] = True
        for kind, mime, made in (("HTML", "text/html", html), ("PPTX", PPTX, pptx), ("PDF", "application/pdf", pdf)):
            st.download_button(
                kind, partial(made, name, content, theme.dark(), _site()), f"{name}.{kind.lower()}", mime,
                icon=":material/download:", on_click="ignore", disabled=kind == "PDF" and printing.chromium() is None,
            )  # fmt: skip
        if not access.at_work().refusal:
            _delete(name, len(content))
    if printing.chromium() is None:
        st.caption(printing.MISSING)
    if st.session_state.get("presenting"):
        drawn = deck.drawing(name, slides.shown(content, dark=theme.dark(), site=_site()), look(theme.dark()))
        data = {"deck": drawn, "start": at, **browser.places()}
        _stage(key="stage", data=data, on_closed_change=_closed)


def _delete(name: str, slides: int) -> None:
    with st.popover("Delete", icon=":material/delete_forever:"):
        st.markdown(f"Delete the deck **{name}** of {slides} slides? The views stay.")
        st.button("Delete it", type="primary", on_click=store.remove, args=(name,))


def html(name: str, content: Sequence[Slide], dark: bool, site: str) -> bytes:
    """One file that presents itself without a network."""
    return deck.html(name, slides.shown(content, dark=dark, site=site), look(dark))


def pptx(name: str, content: Sequence[Slide], dark: bool, site: str) -> bytes:
    """PowerPoint with charts that can be edited."""
    # Late: no page waits for what only a download needs.
    from dashboard.export.powerpoint import pptx as written

    return written(name, slides.shown(content, dark=dark, site=site), look(dark))


def pdf(name: str, content: Sequence[Slide], dark: bool, site: str) -> bytes:
    """One sheet a slide."""
    return deck.pdf(name, slides.shown(content, dark=dark, site=site), look(dark))


def rebuilt(slide: Slide) -> Shown:
    """One slide with its figures as the tables have them now."""
    return slides.shown([slide], dark=theme.dark(), site=_site())[0]


def _name(slide: Slide) -> str:
    return f"{slide.page.capitalize()}{f', {slide.figure}' if slide.figure else ''}"


def _site() -> str:
    address = str(st.context.url or "")
    return address.rpartition("/")[0] if "://" in address else ""


def _move(name: str, at: int, by: int) -> None:
    _forget(name)
    st.session_state["slide"] = str(store.move(name, at, by) + 1)


def _drop(name: str, at: int, count: int) -> None:
    _forget(name)
    store.drop(name, at)
    st.session_state["slide"] = str(min(at + 1, max(count - 1, 1)))


def _forget(name: str) -> None:
    """Words belong to a slide, the fields that show them to a place."""
    for key in [key for key in st.session_state if str(key).startswith((f"title-{name}-", f"note-{name}-"))]:
        del st.session_state[key]


def _closed() -> None:
    st.session_state["presenting"] = False
    turned = st.session_state["stage"]["closed"]
    if turned is not None:
        st.session_state["slide"] = str(int(turned) + 1)

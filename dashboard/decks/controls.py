"""The controls of a deck: which one, which slide, its text and position, and its files."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard import escape
from dashboard.controls import browser, controls, session
from dashboard.decks import render, store
from dashboard.decks.store import Slide
from dashboard.export import html
from dashboard.export.contents import DeckExport, RenderedSlide
from dashboard.export.formats import FORMATS, FileFormat
from dashboard.figures.template import theme_for
from softh import access

_stage = st.components.v2.component(
    "softh_stage",
    # One script: the same code presents here and in the file that works offline.
    js=(browser.asset("load.js", "present.js") + "\n" + html.deck_script()),
)


def choose_deck() -> str | None:
    """The deck that the link or the sidebar names; None where there is none at all."""
    names = store.names()
    return controls.select("Deck", names, "deck", help="Figures are added by the menu above them.") if names else None


def choose_slide(slides: Sequence[Slide]) -> int:
    """The slide that is chosen from the list of all, counted from 0."""
    numbers = [str(number + 1) for number in range(len(slides))]
    captions = [escape.markdown(slide.title or _label(slide)) for slide in slides]
    place = st.container()
    return int(controls.radio("Slides", numbers, session.DECK_SLIDE.key, captions=captions, where=place)) - 1


def edit_text(name: str, number: int, slide: Slide) -> None:
    """Title and note of a slide, saved as soon as they are written."""
    if access.current_user().refusal:
        head = f"**{escape.markdown(slide.title)}**\n\n" if slide.title else ""
        st.markdown(head + escape.markdown(slide.note))
        return
    title, note = session.slide_title(name, number), session.slide_note(name, number)

    def save() -> None:
        store.replace_slide(name, number, Slide(slide.page, slide.query, slide.figure, title.get(), note.get()))

    st.session_state.setdefault(title.key, slide.title)
    st.session_state.setdefault(note.key, slide.note)
    st.text_input("Title", key=title.key, on_change=save, placeholder="The view's own title", max_chars=120)
    st.text_area("Note", key=note.key, on_change=save, height=68, max_chars=600, placeholder="What the figure tells")


def move(name: str, number: int, to: int) -> None:
    """Take a slide to another place, counted from 0, and choose it there."""
    _forget_text(name)
    session.DECK_SLIDE.set(str(store.move_slide(name, number, to - number) + 1))


def edit_order(name: str, number: int, count: int, link: str) -> None:
    """Move a slide up or down, remove it, open its view."""
    with st.container(horizontal=True):
        if not access.current_user().refusal:
            up, down = partial(move, name, number, number - 1), partial(move, name, number, number + 1)
            st.button("Up", icon=":material/arrow_upward:", disabled=number == 0, on_click=up)
            st.button("Down", icon=":material/arrow_downward:", disabled=number == count - 1, on_click=down)
            st.button("Remove", icon=":material/delete:", on_click=partial(_remove, name, number, count))
        st.link_button("Open the view", link, icon=":material/open_in_new:")


def deck_bar(name: str, slides: Sequence[Slide], number: int) -> None:
    """The button that presents from a slide on, the files of the deck, and its deletion."""
    formats = [target for target in FORMATS if target.deck]
    with st.container(horizontal=True):
        if st.button(
            "Present", icon=":material/slideshow:", type="primary", help="Arrow keys turn; F fills the screen"
        ):
            session.PRESENTING.set(True)
        for target in formats:
            st.download_button(
                target.label, partial(write, target, name, slides, browser.dark(), _site()), f"{name}.{target.suffix}",
                target.mime, icon=":material/download:", on_click="ignore", disabled=bool(target.missing()),
            )  # fmt: skip
        if not access.current_user().refusal:
            _delete(name, len(slides))
    for sentence in filter(None, (target.missing() for target in formats)):
        st.caption(escape.prose(sentence))
    if session.PRESENTING.get():
        content = html.deck_content(_export(name, slides, browser.dark(), _site()))
        data = {"deck": content, "start": number, **browser.asset_urls()}
        _stage(key=session.STAGE.key, data=data, on_closed_change=_take_closed)


def write(target: FileFormat, name: str, slides: Sequence[Slide], dark: bool, site: str) -> bytes:
    """The deck as a file; rendered only when it is asked for."""
    assert target.deck
    return target.deck(_export(name, slides, dark, site))


def rendered(slide: Slide) -> RenderedSlide:
    """One slide with its figures from the tables as they are."""
    return render.render([slide], dark=browser.dark(), site=_site())[0]


def _export(name: str, slides: Sequence[Slide], dark: bool, site: str) -> DeckExport:
    return DeckExport(name, render.render(slides, dark=dark, site=site), theme_for(dark))


def _delete(name: str, count: int) -> None:
    with st.popover("Delete", icon=":material/delete_forever:"):
        st.markdown(f"Delete the deck **{escape.markdown(name)}** of {count} slides? The views stay.")
        st.button("Delete it", type="primary", key="delete-deck", on_click=_forget, args=(name,))


def _forget(name: str) -> None:
    store.delete(name)
    st.toast("Deleted.", icon=":material/delete:")


def _label(slide: Slide) -> str:
    figures = ", ".join((slide.figure or "").split(store.AND))
    return f"{slide.page.capitalize()}{f', {figures}' if figures else ''}"


def _site() -> str:
    address = str(st.context.url or "")
    return address.rpartition("/")[0] if "://" in address else ""


def _remove(name: str, number: int, count: int) -> None:
    _forget_text(name)
    store.remove_slide(name, number)
    session.DECK_SLIDE.set(str(min(number + 1, max(count - 1, 1))))


def _forget_text(name: str) -> None:
    """Forget what the text fields hold: text belongs to a slide, the fields to a position."""
    for number in range(store.MAX_SLIDES):
        session.slide_title(name, number).pop()
        session.slide_note(name, number).pop()


def _take_closed() -> None:
    """Leave the presentation, on the slide where it was closed."""
    session.PRESENTING.set(False)
    if (number := session.STAGE.get()["closed"]) is not None:
        session.DECK_SLIDE.set(str(int(number) + 1))

"""The menu under every figure: files in the size of the reader's choice, the link, and a place in a deck."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard.controls import browser, theme
from dashboard.decks import render, store
from dashboard.export import files, pdf
from dashboard.export.sizes import PRESETS, Size
from dashboard.figures.template import look
from dashboard.format import plain
from softh import access
from softh.errors import InputError

_SEEN = Size(700, 560)
"""Until the browser says how large a figure is."""
_buttons = st.components.v2.component(
    "softh_menu", js=browser.asset("load.js", "menu.js"), css=browser.asset("menu.css"), html="<div class='menu'></div>"
)


@st.fragment
def draw(figure: go.Figure, key: str, rows: pl.DataFrame | None) -> None:
    """A button that opens the menu; its content is made, and Plotly loaded a second time, only then."""
    with st.container(horizontal=True, horizontal_alignment="right"):
        menu = st.popover(
            "Export", type="tertiary", icon=":material/ios_share:", key=f"{key}-menu", on_change="rerun",
            help="This figure as a file, as a link, on a slide",
        )  # fmt: skip
    if menu.open:
        with menu:
            _files(figure, key, rows)
            if refusal := access.at_work().refusal:
                st.caption(plain(refusal))
            else:
                _deck(key)


def stem(key: str) -> str:
    """The name of a figure's files, without their ending."""
    return files.stem(f"softh {st.session_state.get('page', '')} {key}")


def _files(figure: go.Figure, key: str, rows: pl.DataFrame | None) -> None:
    preset = PRESETS[
        st.segmented_control("Size", list(PRESETS), default="As seen", key=f"{key}-size", required=True) or "As seen"
    ]
    words = st.empty()
    seen = _in_the_browser(key, preset.name)
    held = Size(float(seen["width"]), float(seen["height"])) if seen else _SEEN
    words.caption(f"{preset.words(held)}.")
    size, ground, name = preset.size(held), look(theme.dark()).background, stem(key)
    shown = files.as_seen(figure, seen)
    kinds: dict[str, tuple[str, Callable[[], bytes], bool]] = {
        "PDF": (
            "application/pdf",
            lambda: pdf.pdf(files.printable(shown, size, ground), size.inches, size.scale),
            pdf.chromium() is None,
        ),
        "HTML": ("text/html", lambda: files.html(shown, ground, name), False),
        "CSV": ("text/csv", lambda: files.csv(files.behind(figure, rows)), False),
        "Parquet": ("application/vnd.apache.parquet", lambda: files.parquet(files.behind(figure, rows)), False),
    }
    with st.grid(4, min_column_width=60, gap="xsmall"):
        for kind, (mime, made, missing) in kinds.items():
            st.download_button(
                kind, made, f"{name}.{kind.lower()}", mime, key=f"{key}-{kind}", on_click="ignore", disabled=missing,
                width="stretch",
            )  # fmt: skip
    if kinds["PDF"][2]:
        st.caption(pdf.MISSING)


def _in_the_browser(key: str, preset: str) -> dict[str, Any] | None:
    """The files that the reader's browser draws, and how large the figure is there, with its ranges."""
    data = {
        "chart": key, "name": stem(key), "ground": look(theme.dark()).background,
        "inches": PRESETS[preset].inches, "scale": PRESETS[preset].scale, **browser.places(),
        "link": urlencode(render.query(st.session_state["page"]), doseq=True),
    }  # fmt: skip
    return _buttons(key=f"{key}-files", data=data, on_seen_change=lambda: None).seen


def _deck(key: str) -> None:
    """Put this figure, or the page with all its figures, on a slide of a deck."""
    known = store.names()
    deck = st.selectbox(
        "Deck", known or ["talk"], key=f"{key}-deck", accept_new_options=True, help="Type a name to begin another deck."
    )
    with st.container(horizontal=True, gap="small"):
        one = st.button("Add this figure", key=f"{key}-add", icon=":material/add_to_photos:", width="stretch")
        whole = st.button("Add whole page", key=f"{key}-add-page", width="stretch")
    if not (one or whole):
        return
    page = st.session_state["page"]
    try:
        slide = store.Slide(page, render.query(page), key if one else None)
        number = store.add(deck or "", slide)
    except InputError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.success(f"Slide {number} of {deck}.", icon=":material/check:")

"""The menu above every figure: files in the size of the reader's choice, the link, and a place in a deck."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.controls import browser, session
from dashboard.decks import store
from dashboard.export.contents import PRESETS, FigureExport, Size, SizePreset, as_seen
from dashboard.export.formats import FORMATS, file_stem
from dashboard.figures.template import theme_for
from dashboard.server import hosts
from dashboard.views import registry
from softh import access
from softh.errors import InputError

_UNKNOWN_SIZE = Size(700, 560)
"""Until the browser says how large a figure is."""
_browser_files = st.components.v2.component(
    "softh_menu",
    js=browser.asset("load.js", "export_menu.js"),
    css=browser.asset("export_menu.css"),
    html="<div class='menu'></div>",
)


@st.fragment
def draw(
    figure: go.Figure,
    key: str,
    rows: pl.DataFrame | None,
    parameters: Mapping[str, Sequence[str]],
    link: Mapping[str, Sequence[str]],
) -> None:
    """A button that opens the menu, whose content is made only then.

    parameters: what every control says, for a slide; link: the same without defaults, to be shared.
    """
    with st.container(horizontal=True, horizontal_alignment="right"):
        menu = st.popover(
            "Export", type="tertiary", icon=":material/ios_share:", key=f"{key}-menu", on_change="rerun",
            help="This figure as a file, as a link, on a slide",
        )  # fmt: skip
    if menu.open:
        with menu:
            _files(figure, key, rows, link)
            if refusal := access.current_user().refusal:
                st.caption(escape.prose(refusal))
            else:
                _deck(key, parameters)


def _files(figure: go.Figure, key: str, rows: pl.DataFrame | None, link: Mapping[str, Sequence[str]]) -> None:
    """The buttons of all formats: those that the browser writes, then those that the server does."""
    preset = PRESETS[
        st.segmented_control("Size", list(PRESETS), default="As seen", key=f"{key}-size", required=True) or "As seen"
    ]
    description = st.empty()
    name = file_stem(f"softh {session.PAGE.get()} {key}")
    seen = _in_browser(key, name, preset, link)
    on_screen = Size(float(seen["width"]), float(seen["height"])) if seen else _UNKNOWN_SIZE
    description.caption(f"{preset.describe(on_screen)}.")
    export = FigureExport(as_seen(figure, seen), preset.size(on_screen), theme_for(browser.dark()), name, rows)
    formats = [(target, target.figure) for target in FORMATS if target.figure]
    with st.grid(4, min_column_width=60, gap="xsmall"):
        for target, write in formats:
            st.download_button(
                target.label, partial(write, export), f"{name}.{target.suffix}", target.mime,
                key=f"{key}-{target.label}", on_click="ignore", disabled=bool(target.missing()), width="stretch",
            )  # fmt: skip
    for sentence in filter(None, (target.missing() for target, _ in formats)):
        st.caption(escape.prose(sentence))


def _in_browser(key: str, name: str, preset: SizePreset, link: Mapping[str, Sequence[str]]) -> dict[str, Any] | None:
    """The files that the reader's browser draws, and how large the figure is there, with its ranges."""
    data = {
        "chart": key, "name": name, "ground": theme_for(browser.dark()).background, "inches": preset.inches,
        "scale": preset.scale, **browser.asset_urls(), "link": urlencode(link, doseq=True),
        "frames": bool(hosts.framing_sites()),
        "formats": [
            {"label": target.label, "suffix": target.suffix, "mime": target.mime, "scale": target.browser_scale}
            for target in FORMATS if target.browser_scale
        ],
    }  # fmt: skip
    return _browser_files(key=f"{key}-files", data=data, on_seen_change=lambda: None).seen


def _deck(key: str, parameters: Mapping[str, Sequence[str]]) -> None:
    """Put this figure, or the page with all its figures, on a slide of a deck."""
    deck = st.selectbox(
        "Deck", store.names() or ["talk"], key=f"{key}-deck", accept_new_options=True,
        help="Type a name to begin another deck.",
    )  # fmt: skip
    with st.container(horizontal=True, gap="small"):
        figure = st.button("Add this figure", key=f"{key}-add", icon=":material/add_to_photos:", width="stretch")
        page = st.button("Add whole page", key=f"{key}-add-page", width="stretch")
    if figure or page:
        slide = store.Slide(session.PAGE.get(), parameters, key if figure else None)
        try:
            added = _added(deck or "", slide)
        except InputError as error:
            st.error(escape.prose(str(error)), icon=":material/error:")
            return
        session.ADDED.set((key, deck or "", added))
        st.rerun()  # the sidebar counts slides
    for_key, deck, added = session.ADDED.get()
    if for_key == key:
        session.ADDED.pop()
        st.success(f"Added to *{escape.markdown(deck)}*, {added}.", icon=":material/check:")
        st.page_link("pages/present.py", label="Open deck", icon=":material/slideshow:", query_params={"deck": deck})


def _added(deck: str, slide: store.Slide) -> str:
    """Put a figure, or all of the page, on slides of a deck; says on which."""
    if slide.figure is not None:
        return f"slide {store.add_slide(deck, slide)}"
    view, _ = registry.build(slide.page, slide.query)
    first, last = store.add_page(deck, slide, list(view.figures))
    return f"slide {first}" if first == last else f"slides {first} to {last}"

"""What the plane shows, in three sentences and one picture, until the reader has understood it."""

import streamlit as st

from dashboard.controls import browser

_intro = st.components.v2.component(
    "softh_intro",
    html=browser.asset("intro.html"),
    css=browser.asset("intro.css"),
    js=browser.asset("intro.js"),
)


def draw(*, always: bool = False) -> None:
    """On a first visit, with a button that puts it away; always is for the page where it is looked up."""
    _intro(key="intro", data={"always": always})

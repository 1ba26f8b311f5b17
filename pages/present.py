"""Which figures tell your story?"""

import streamlit as st

from dashboard.decks import controls, store
from dashboard.page import frame
from dashboard.server import auth

frame.enter()
st.title("Which figures tell your story?")

may_change = auth.may_change()
name = controls.choose()
if name is None:
    frame.need_estimates()
    st.info("There is no deck yet.", icon=":material/flag:")
    if not may_change:
        st.stop()
    st.markdown(
        "Open a page, choose what it shows, and above a figure take **Export → Add this figure**: it becomes a slide. "
        "A deck holds links, so that its figures are always those of the tables as they are."
    )
    st.stop()

content = store.load(name)
st.markdown(f"**{name}**, {len(content)} {'slide' if len(content) == 1 else 'slides'}")
if not content:
    controls.show(name, content, 0)
    st.info("This deck is empty: above a figure take **Export → Add this figure**.", icon=":material/flag:")
    st.stop()

bar = st.container()
left, right = st.columns([3, 8], gap="medium")
with left:
    at = controls.place(content)
with bar:
    controls.show(name, content, at)
with right:
    slide = content[at]
    controls.words(name, at, slide)
    shown = controls.rebuilt(slide)
    controls.order(name, at, len(content), shown.link)
    if shown.problem:
        st.warning(shown.problem, icon=":material/link_off:")
    for number, figure in enumerate(shown.figures):
        frame.picture(figure, f"slide-{number}")
    st.caption(shown.caption)

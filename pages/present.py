"""Which figures tell your story?"""

import streamlit as st

from dashboard import decks, frame, people, present

frame.enter()
st.title("Which figures tell your story?")

may_change = people.may_change()
name = present.choose()
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

content = decks.load(name)
st.markdown(f"**{name}**, {len(content)} {'slide' if len(content) == 1 else 'slides'}")
if not content:
    present.show(name, content, 0)
    st.info("This deck is empty: above a figure take **Export → Add this figure**.", icon=":material/flag:")
    st.stop()

bar = st.container()
left, right = st.columns([3, 8], gap="medium")
with left:
    at = present.place(content)
with bar:
    present.show(name, content, at)
with right:
    slide = content[at]
    present.words(name, at, slide)
    shown = present.rebuilt(slide)
    present.order(name, at, len(content), shown.link)
    if shown.problem:
        st.warning(shown.problem, icon=":material/link_off:")
    for number, figure in enumerate(shown.figures):
        frame.picture(figure, f"slide-{number}")
    st.caption(shown.caption)

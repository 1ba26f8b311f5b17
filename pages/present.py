"""Build a deck"""

from functools import partial

import streamlit as st

from dashboard import escape
from dashboard.decks import controls, store, thumbnails
from dashboard.page import frame
from dashboard.server import auth

frame.enter()
st.title("Build a deck")

may_change = auth.may_change()
name = controls.choose_deck()
if name is None:
    frame.need_estimates()
    if not may_change:
        st.stop()
    st.info("No deck yet.", icon=":material/flag:")
    st.markdown(
        "Open a page, choose what it shows, and above a figure take **Export → Add this figure**: it becomes a slide. "
        "Slides are live: they update with the data."
    )
    st.stop()

slides = store.load(name)
adding = ". **Export → Add this figure** above any figure adds one." if may_change and slides else ""
st.markdown(f"**{escape.markdown(name)}**, {len(slides)} {'slide' if len(slides) == 1 else 'slides'}{adding}")
if not slides:
    controls.deck_bar(name, slides, 0)
    st.info("This deck is empty: above a figure take **Export → Add this figure**.", icon=":material/flag:")
    st.stop()

bar = st.container()
left, right = st.columns([3, 8], gap="medium")
with left:
    number = controls.choose_slide(slides)
    pictures = st.container()
with bar:
    controls.deck_bar(name, slides, number)
with right:
    controls.edit_text(name, number, slides[number])
    slide = controls.rendered(slides[number])
    controls.edit_order(name, number, len(slides), slide.link)
    if slide.problem:
        st.warning(escape.prose(slide.problem), icon=":material/link_off:")
    for position, figure in enumerate(slide.figures):
        frame.picture(figure, f"slide-{position}")
    st.caption(escape.prose(slide.caption))
with pictures:  # last: the chosen slide does not wait for those of the others
    thumbnails.draw(slides, number, partial(controls.move, name) if may_change else None)

"""Where does your checkpoint land?"""

import streamlit as st

from dashboard import analyze, frame, offer, own, watch

frame.enter()
st.title("Where does your checkpoint land?")
st.markdown(
    "Name a model of the Hugging Face hub, choose a folder of this server, or upload one. Its hidden states are "
    "measured on a text, in a process of its own; minutes later it is a point on every page, among its neighbours."
)

with st.container(border=True), frame.sentences():
    model = analyze.model()
    left, right = st.columns([1, 2], gap="medium")
    with left:
        text = analyze.text()
    with right:
        settings = analyze.settings()
    if model and text:
        offer.offer(analyze.specs(model, text, settings), model.title)

st.subheader("Jobs")
with frame.sentences():
    watch.panel(own.show)

st.subheader("Your estimates")
with frame.sentences():
    own.manage()

"""Where does your checkpoint land?"""

import streamlit as st

from dashboard import frame, offer, own, people, uploads, watch

frame.enter()
st.title("Where does your checkpoint land?")
st.markdown(
    "Name a model of the Hugging Face hub, choose a folder of this server, or upload one. Its hidden states are "
    "measured on a text, in a process of its own; minutes later it is a point on every page, among its neighbours."
)

with frame.sentences():
    if people.may_change():
        offer.form()

if not people.read_only():
    st.subheader("Jobs")
    with frame.sentences():
        watch.panel(own.show)

st.subheader("Your estimates")
with frame.sentences():
    own.manage()
with frame.sentences():
    uploads.manage()

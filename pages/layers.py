"""What does each layer retain, and what does it predict?"""

import streamlit as st

from dashboard import escape
from dashboard.page import frame
from dashboard.views import layers

SURE = (
    "±: one standard error, of reference directions and of documents together. Layers of one model share both, so "
    "differences between layers are more precise than these errors suggest."
)

frame.enter()
st.title("What does each layer retain, and what does it predict?")
frame.need_estimates()

view = layers.view()
frame.finding(view, SURE)
st.markdown(f"**{escape.markdown(view.title)}**, one point per layer")
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data)
with right:
    frame.chart(view.figures["profiles"], "profiles", view.data)
if "context" in view.figures:
    st.subheader("What each longer n-gram explains")
    frame.chart(view.figures["context"], "context", view.data)
if "sources" in view.figures:
    st.subheader("By source")
    for note in view.notes:
        st.caption(escape.markdown(note))
    frame.chart(view.figures["sources"], "sources", view.data)
if "training" in view.figures:
    st.subheader("Along training")
    frame.chart(view.figures["training"], "training", view.data)
if "compared" in view.figures:
    st.subheader("Compared with another model")
    st.markdown(escape.prose(view.text))
    frame.chart(view.figures["compared"], "compared", view.data)
frame.reading(view)
frame.table(view.rows, view.data, f"{view.name}.csv")

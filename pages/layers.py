"""What does each layer keep, and what does it predict?"""

import streamlit as st

from dashboard import escape
from dashboard.page import frame
from dashboard.views import layers

frame.enter()
st.title("What does each layer keep, and what does it predict?")
st.markdown(
    "One point a layer, from the embedding to the last. To the right, a layer keeps more of the words read so far; "
    "upwards, it says more about the words to come."
)
frame.need_estimates()

view = layers.view()
st.subheader(escape.markdown(view.title))
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data)
with right:
    frame.chart(view.figures["profiles"], "profiles", view.data)
st.caption(escape.prose(view.caption))
frame.table(view.rows, view.data, f"{view.name}.csv")

"""How does a model move through the plane while it trains?"""

import streamlit as st

from dashboard import escape
from dashboard.page import frame
from dashboard.views import trajectory

frame.enter()
st.title("How does a model move through the plane while it trains?")
st.markdown(
    "To the right, hidden states keep more of the words read so far. Upwards, they say more about the words to come. "
    "Nearer to the dashed line, more of what they keep helps to predict."
)
frame.need_estimates()

view = trajectory.view()
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data, points=True)
with right:
    frame.chart(view.figures["curves"], "curves", view.data, points=True)
for note in view.notes:
    st.markdown(f"- {escape.prose(note)}")
st.caption(escape.prose(view.caption))
frame.table(view.rows, view.data, f"{view.name}.csv")

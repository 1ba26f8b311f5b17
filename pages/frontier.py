"""Where do finished models land, and which are nearest to the bound?"""

import streamlit as st

from dashboard import frame, frontier
from dashboard.frontier import Where

frame.enter()
st.title("Where do finished models land, and which are nearest to the bound?")
st.markdown(
    "One point a model, at its last checkpoint. To the right, its hidden states keep more of the words read; upwards, "
    "they say more about the words to come. A model on the frontier says most for what it keeps."
)
frame.need_estimates()

row = st.columns([3, 3, 3, 2.2, 5], gap="small", vertical_alignment="bottom")
view = frontier.view(Where(row[:2], row[2], row[3].popover("Filters", icon=":material/filter_list:"), row[4]))
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data, points=True)
with right:
    frame.table(view.rows, view.data, f"{view.name}.csv", points=True, height=560)
st.caption(view.caption)

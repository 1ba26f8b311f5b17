"""Which models make the most of what they retain?"""

import streamlit as st

from dashboard.page import frame
from dashboard.views import frontier
from dashboard.views.frontier import Slots

SURE = (
    "±: one standard error, of reference directions and of documents together. Models measured in the same directions "
    "on the same documents are compared by pairs. Click two models to read their difference. Which model leads was "
    "chosen by looking at all of them, so its lead is slightly overestimated."
)

frame.enter()
st.title("Which models make the most of what they retain?")
introduction = st.container()
frame.need_estimates()

row = st.columns([3, 3, 3, 2.2, 5], gap="small", vertical_alignment="bottom")
filters = row[3].popover("Filters", icon=":material/filter_list:")
view = frontier.view(Slots(row[:2], row[2], filters, row[4]))
with introduction:
    frame.finding(view, *(f"- {note}" for note in view.notes), SURE)
left, right = st.columns([21, 19], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data, points=True)
with right:
    st.space("medium")  # the bar of the table stands above it, and would lie on the controls
    frame.table(view.rows, view.data, f"{view.name}.csv", points=True, height=530)
frame.reading(view)

"""Where do finished models land, and which are nearest to the bound?"""

import streamlit as st

from dashboard import escape
from dashboard.page import frame
from dashboard.views import frontier
from dashboard.views.frontier import Slots

frame.enter()
st.title("Where do finished models land, and which are nearest to the bound?")
introduction = st.container()
frame.need_estimates()

row = st.columns([3, 3, 3, 2.2, 5], gap="small", vertical_alignment="bottom")
filters = row[3].popover("Filters", icon=":material/filter_list:")
view = frontier.view(Slots(introduction, row[:2], row[2], filters, row[4]))
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data, points=True)
with right:
    frame.table(view.rows, view.data, f"{view.name}.csv", points=True, height=560)
for note in view.notes:
    st.markdown(escape.prose(f"- {note}"))
st.caption(escape.prose(view.caption))

"""How does a model move through the plane while it trains?"""

import streamlit as st

from dashboard.data.presets import presets
from dashboard.page import frame
from dashboard.views import trajectory

SURE = (
    "±: one standard error, of reference directions and of documents together; differences of checkpoints and runs are "
    "paired in both, so their errors are smaller than those of the two points. Intervals of phases come from "
    "resampling directions and documents."
)

frame.enter()
st.title("How does a model move through the plane while it trains?")
frame.need_estimates()

view = trajectory.view()
frame.finding(view, *(f"- {note}" for note in view.notes), SURE, presets=presets())
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["plane"], "plane", view.data, points=True)
with right:
    frame.chart(view.figures["curves"], "curves", view.data, points=True)
frame.reading(view)
frame.table(view.rows, view.data, f"{view.name}.csv")

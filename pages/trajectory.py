"""How does a model move through the plane while it trains?"""

import streamlit as st

from dashboard.data.presets import presets
from dashboard.page import frame
from dashboard.views import trajectory

MOST_LINKS = 4
SURE = (
    "±: one standard error, of reference directions and of documents together; differences of checkpoints and runs are "
    "paired in both, so their errors are usually smaller than those of the two points. Intervals of phases come from "
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
if "by-order" in view.figures:
    st.subheader("n-gram orders side by side")
    frame.chart(view.figures["by-order"], "by-order", view.data)
if "compression" in view.figures:
    st.subheader("Compression against size")
    frame.chart(view.figures["compression"], "compression", view.data)
frame.reading(view)
with st.container(horizontal=True):
    for model in view.data["model"].unique().sort().to_list()[:MOST_LINKS]:
        frame.link_to_layers(model)
frame.table(view.rows, view.data, f"{view.name}.csv")

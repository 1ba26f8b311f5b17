"""How does a model move through the plane while it trains?"""

import streamlit as st

from dashboard import figures, frame, queries, selection, tables
from dashboard.words import corpus_note

frame.enter()
st.title("How does a model move through the plane while it trains?")
st.markdown(
    "To the right, hidden states keep more of the words read so far. Upwards, they say more about the words to come. "
    "Nearer to the dashed line, less of what they keep is idle."
)
frame.need_estimates()

chosen = selection.shared()
models = selection.models(queries.comparable(chosen.setup))
if not models:
    st.info("No model is chosen: choose one in the sidebar.", icon=":material/touch_app:")
    st.stop()

points = queries.trajectory(chosen.setup, models)
against = selection.against(points)
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(figures.trajectory_plane(points, chosen.view, queries.models()), "plane")
with right:
    frame.chart(figures.trajectory_curves(points, chosen.view, queries.models(), against), "curves")

st.caption(
    "Mean over layers, embedding excluded. Crosses, bands and ± are one standard error, of reference draws and of "
    "documents combined. Solid rays join points of equal optimality. "
    f"{'' if figures.clock(points) else 'Each of these models has one checkpoint; several become a path. '}"
    f"Text: {corpus_note(chosen.setup.corpus)}; {chosen.setup.label}."
)
shown = chosen.view.of(points)
frame.table(tables.checkpoints(shown), tables.csv(shown), "softh-trajectory.csv")

"""Does the plane predict benchmark scores?"""

import streamlit as st

from dashboard import escape
from dashboard.page import frame
from dashboard.views import benchmarks
from dashboard.workspace import score_upload

frame.enter()
st.title("Does the plane predict benchmark scores?")
st.markdown(
    "Each predictor against each score, with intervals over model families: siblings resemble one another and are not "
    "so many observations. Stars are after correction for the whole matrix."
)
frame.need_estimates()

bring = st.expander("Bring scores of your own", icon=":material/add_chart:")
with bring:
    score_upload.draw()

view = benchmarks.view()
st.subheader(escape.markdown(view.title))
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["scatter"], "scatter", view.data)
with right:
    frame.chart(view.figures["forest"], "forest", view.behind["forest"])
st.markdown(escape.prose(view.text))
st.caption(escape.prose(view.caption))
frame.chart(view.figures["matrix"], "matrix", view.rows)
st.caption(
    "Stars: q < .05 *, < .01 **, < .001 ***, Benjamini–Hochberg over the matrix. p belongs to the interval, which "
    "leaves each family out in turn: below .05 just where the interval leaves out 0. A large coefficient that few "
    "families make has a wide interval. Hover a dash for its reason."
)
frame.table(view.rows, view.data, f"{view.name}.csv")

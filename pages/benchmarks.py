"""Does the plane predict benchmark scores?"""

import streamlit as st

from dashboard import escape
from dashboard.controls import point_selection
from dashboard.page import frame
from dashboard.views import benchmarks
from dashboard.workspace import score_upload

frame.enter()
st.title("Does the plane predict benchmark scores?")
frame.need_estimates()

view = benchmarks.view()
frame.finding(view, view.text)
left, right = st.columns([11, 9], gap="medium")
with left:
    frame.chart(view.figures["scatter"], "scatter", view.data)
with right:
    frame.chart(view.figures["forest"], "forest", view.behind["forest"])
frame.reading(view)
frame.chart(view.figures["matrix"], "matrix", view.rows, points=True, take=point_selection.take_cell)
st.markdown(
    ":small[Click a cell to see it above. Pale cells have an interval that includes 0; ↓ marks scores that are better "
    "when low. Models of one family are not independent, so intervals leave each family out in turn, and p belongs to "
    "the interval: below .05 exactly where it excludes 0. Stars are corrected for multiple testing over the matrix "
    "(Benjamini–Hochberg): q < .05 \\*, < .01 \\*\\*, < .001 \\*\\*\\*. A large coefficient that rests on few "
    "families has a wide interval. Hover over a dash for its reason.]"
)
frame.table(view.rows, view.data, f"{view.name}.csv")

if view.notes:
    st.subheader("Which of two is better?")
    st.markdown(escape.prose(" ".join(view.notes)))
if "selection" in view.figures:
    frame.chart(view.figures["selection"], "selection", view.behind["selection"])
    st.caption(
        "Pairs of the same run or of any two models. The direction of a measure, its layer and its weight added to the "
        "loss are chosen on the other runs or families; intervals leave each of them out. Dotted: the loss."
    )
if "published" in view.figures:
    st.subheader("Beside the published table")
    frame.chart(view.figures["published"], "published", view.behind["published"])
    st.caption(
        "Crosses: Pearson's coefficient with the mean of six benchmarks over 47 open-weight models, raw values of "
        "tokens with back-off (Conklin et al., ICLR 2026). Ours: the models shown and the mean of the selected scores, "
        "standardised. Models and scores both differ from the published ones. Bars: 95 % intervals over families."
    )
    st.dataframe(view.behind["published scores"], hide_index=True)
    st.caption(
        "Pearson's coefficient, 95 % intervals over families; given size: controlling for log parameters. Published "
        "coefficients with single benchmarks were not available, so these columns show only ours. Preference "
        "information always comes from its probes."
    )
with st.expander("Add your own scores", icon=":material/add_chart:"):
    score_upload.draw()

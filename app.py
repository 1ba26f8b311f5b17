"""Router: the pages, and the frame around every one of them."""

import streamlit as st

from dashboard.page import frame
from dashboard.server import auth
from dashboard.workspace import job_panel

st.set_page_config(page_title="softh", page_icon="dashboard/icon.svg", layout="wide")

trajectory = st.Page("pages/trajectory.py", title="Trajectory", icon=":material/timeline:", default=True)
frontier = st.Page("pages/frontier.py", title="Frontier", icon=":material/scatter_plot:")
benchmarks = st.Page("pages/benchmarks.py", title="Benchmarks", icon=":material/trending_up:")
layers = st.Page("pages/layers.py", title="Layers", icon=":material/layers:")
preference = st.Page("pages/preference.py", title="Preference", icon=":material/thumbs_up_down:")
analyze = st.Page("pages/analyze.py", title="Analyze", icon=":material/add_location_alt:")
present = st.Page("pages/present.py", title="Present", icon=":material/slideshow:")
method = st.Page("pages/method.py", title="Method", icon=":material/function:")

pages = [trajectory, frontier, benchmarks, preference, layers, analyze, present, method]
if not auth.welcome():
    st.navigation(pages, position="hidden")
    st.stop()
page = st.navigation(pages, expanded=True)
job_panel.look()
frame.run(page, controls=page not in (preference, analyze, present, method))

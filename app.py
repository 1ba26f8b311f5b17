"""Router: the pages, and the frame around every one of them."""

import streamlit as st

from dashboard import frame

st.set_page_config(page_title="softh", page_icon="dashboard/icon.svg", layout="wide")

trajectory = st.Page("pages/trajectory.py", title="Trajectory", icon=":material/timeline:", default=True)
layers = st.Page("pages/layers.py", title="Layers", icon=":material/layers:")
method = st.Page("pages/method.py", title="Method", icon=":material/function:")

page = st.navigation([trajectory, layers, method], expanded=True)
frame.run(page, controls=page is not method)

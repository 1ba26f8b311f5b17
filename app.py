"""Router: the pages, and the frame around every one of them."""

import streamlit as st

from dashboard import frame

st.set_page_config(page_title="softh", page_icon="dashboard/icon.svg", layout="wide")

frame.run(
    st.navigation(
        [
            st.Page("views/trajectory.py", title="Trajectory", icon=":material/timeline:", default=True),
            st.Page("views/layers.py", title="Layers", icon=":material/layers:"),
            st.Page("views/method.py", title="Method", icon=":material/function:"),
        ],
        expanded=True,
    )
)

"""Where does your checkpoint land?"""

from functools import partial

import streamlit as st

from dashboard.data import neighbours
from dashboard.page import frame
from dashboard.server import auth
from dashboard.workspace import estimate_form, job_panel, my_estimates, my_uploads

frame.enter()
st.title("Where does your checkpoint land?")
if not auth.read_only():
    st.markdown(
        "Enter a Hugging Face model, pick a folder on this server, or upload a checkpoint. It is measured in the "
        "background; a few minutes later it is on every page, among the models measured on the same text. What it "
        "costs, and the button that starts it, are shown once a model is named."
    )

with frame.errors_in_place():
    if auth.may_change():
        estimate_form.form()
    elif auth.read_only():
        st.code("pip install 'softh[app]'\npython -m softh app", language="bash")
        if neighbours.own().is_empty():
            st.stop()

if not auth.read_only():
    st.header("Jobs")
    with frame.errors_in_place():
        job_panel.panel(partial(my_estimates.show, neighbours=False))  # the list below says more

st.header("Your estimates")
with frame.errors_in_place():
    my_estimates.manage()
with frame.errors_in_place():
    my_uploads.manage()

"""Where does your checkpoint land?"""

import streamlit as st

from dashboard.page import frame
from dashboard.server import auth
from dashboard.workspace import estimate_form, job_panel, my_estimates, my_uploads

frame.enter()
st.title("Where does your checkpoint land?")
st.markdown(
    "Name a model of the Hugging Face hub, choose a folder of this server, or upload one. Its hidden states are "
    "measured on a text, in a process of its own; minutes later it is a point on every page, among its neighbours."
)

with frame.sentences():
    if auth.may_change():
        estimate_form.form()

if not auth.read_only():
    st.subheader("Jobs")
    with frame.sentences():
        job_panel.panel(my_estimates.show)

st.subheader("Your estimates")
with frame.sentences():
    my_estimates.manage()
with frame.sentences():
    my_uploads.manage()

"""Router: the pages, and the frame around every one of them."""

from pathlib import Path

import streamlit as st

import dashboard
from dashboard.page import frame
from dashboard.server import auth
from dashboard.views import registry
from dashboard.workspace import job_panel

st.set_page_config(page_title="softh", page_icon=str(Path(dashboard.__file__).with_name("icon.svg")), layout="wide")

pages = [
    st.Page(page.script, title=page.title, icon=page.icon, default=page is registry.PAGES[0]) for page in registry.PAGES
]
auth.identify_readers()
if not auth.require_login():
    st.navigation(pages, position="hidden")
    st.stop()
page = st.navigation(pages, expanded=True)
st.set_page_config(page_title=f"{page.title} · softh")
job_panel.poll()
frame.dress()
frame.run(page, controls=registry.page(page.url_path).shared_controls)

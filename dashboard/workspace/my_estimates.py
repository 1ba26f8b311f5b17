"""The reader's own estimates: where each landed, links to it, its file, its scores and its deletion."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from dashboard import escape
from dashboard.controls import controls
from dashboard.data import neighbours as landing
from dashboard.data import queries
from dashboard.data.neighbours import Landing
from dashboard.format import checkpoint_name
from dashboard.page import frame
from dashboard.views import registry
from dashboard.workspace import score_upload
from softh import access, settings
from softh.errors import InputError
from softh.store import connection, write


def show(estimate_id: str, *, neighbours: bool = True) -> None:
    """Where one estimate landed, and the pages that show it."""
    if estimate_id in queries.probes()["estimate_id"].to_list():
        page = registry.page("preference")
        st.page_link(page.script, label=page.title, icon=page.icon)
        return
    rows = landing.own().filter(pl.col("estimate_id") == estimate_id).to_dicts()
    if not rows:
        st.caption("Its estimate is no longer among yours: it was deleted, or packed into the database.")
        return
    place = landing.landed(rows[0])
    if neighbours:
        st.markdown(escape.prose(place.sentence))
    _pages(place)


def manage() -> None:
    """Choose one of the own estimates to see, download or delete."""
    rows = {_title(row): row for row in landing.own().to_dicts()}
    if not rows:
        st.caption("Nothing yet: your estimates, from this page or the command line, are listed here.")
        return
    row = rows[controls.select("Estimate", list(rows), "estimate", where=st.container())]
    place = landing.landed(row)
    st.markdown(escape.prose(place.sentence))
    _pages(place)
    _actions(row)


def _title(row: Mapping[str, Any]) -> str:
    created = f"{row['created_at']:%Y-%m-%d %H:%M}, {row['estimate_id'][:6]}"
    return f"{row['model']}, {checkpoint_name(row)} on {row['corpus']} ({created})"


def _pages(place: Landing) -> None:
    """Links to every page that shows the estimate."""
    with st.container(horizontal=True):
        for page in registry.PAGES:
            if page.link_to:
                st.page_link(page.script, label=page.title, icon=page.icon, query_params=page.link_to(place))


def _actions(row: Mapping[str, Any]) -> None:
    path = connection.run_file(settings.data(), row["estimate_id"])
    with st.container(horizontal=True):
        if path:
            st.download_button(
                "Export as Parquet", path.read_bytes, f"softh-{path.name}", icon=frame.DOWNLOAD, on_click="ignore",
                help="The whole estimate in one file: in data/runs of another softh it is a point there too.",
            )  # fmt: skip
        if access.current_user().refusal:
            return
        with st.popover("Attach scores …", icon=":material/add_chart:"), frame.errors_in_place():
            score_upload.attach(row)
        with st.popover("Delete …", icon=":material/delete:"):
            st.markdown("Removes it from every page. Cached hidden states are kept.")
            if st.button("Delete this estimate", type="primary", key="delete-estimate"):
                _delete(row["estimate_id"])


def _delete(estimate_id: str) -> None:
    try:
        write.remove(settings.data(), estimate_id)
    except InputError as error:
        st.error(escape.prose(str(error)))
    else:
        st.toast("Deleted.", icon=":material/delete:")
        st.rerun()

"""The frame of every page: what is wrong with the tables, what to do when there are none, a figure with its words."""

import plotly.graph_objects as go
import polars as pl
import streamlit as st
from streamlit.navigation.page import Page
from streamlit.runtime.pages_manager import PagesManager

from dashboard import queries, selection, theme
from softh.errors import InputError

CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "softh"},
}


def enter() -> None:
    """Called first by every page: hands over to the router when Streamlit runs the page without it.

    A folder named `pages` switches Streamlit to its older way of making pages until a router has run once, so the
    first visitor of a fresh server who opens a page by its link would see it without its frame.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def run(page: Page, *, controls: bool) -> None:
    """Run a page, after the shared controls if it has any.

    Says in a sentence which files are left out, or why there is nothing to show.
    """
    try:
        for problem in queries.problems():
            st.warning(problem, icon=":material/warning:")
        if controls and not queries.estimates().is_empty():
            # By the entry point: what a page draws itself leaves the URL with the page.
            selection.draw()
        page.run()
        theme.watch()
    except InputError as error:
        st.error(str(error), icon=":material/error:")


def chart(figure: go.Figure, key: str) -> None:
    """A figure of dashboard.figures as it is, with its alt text."""
    st.plotly_chart(figure, theme=None, key=key, alt=figure.layout.meta["alt"], config=CONFIG)


def table(rows: pl.DataFrame, csv: str, name: str) -> None:
    """A table to read, and the same as a file to take away."""
    st.dataframe(rows, hide_index=True, column_config={"Model": st.column_config.TextColumn(width=275)})
    st.download_button("Download as CSV", csv, name, "text/csv", icon=":material/download:")


def need_estimates() -> None:
    """Where there are no tables yet, say how to make one and end the page."""
    if not queries.estimates().is_empty():
        return
    st.info("There are no estimates yet. The first takes a few minutes on a laptop:", icon=":material/flag:")
    st.code("python -m softh estimate HuggingFaceTB/SmolLM2-135M --documents 64 --context 128", language="bash")
    st.markdown(
        "A hub id, a folder with a model, or a GGUF file will do, on the text that Python itself ships unless "
        "`--corpus` names another. Reload this page when the command ends: the model is then a point here."
    )
    st.stop()

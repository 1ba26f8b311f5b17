"""The frame of every page: problems of the tables, what to do when there are none, figures and tables."""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial

import plotly.graph_objects as go
import polars as pl
import streamlit as st
from streamlit.navigation.page import Page

from dashboard import escape
from dashboard.controls import axis_ranges, browser, links, point_selection, session
from dashboard.controls import controls as shared_controls
from dashboard.data import queries
from dashboard.data.presets import Preset
from dashboard.decks import store
from dashboard.figures.template import theme_for
from dashboard.format import short_model
from dashboard.page import export_menu, glossary
from dashboard.server import auth, metrics, streamlit_internals
from dashboard.view import Empty, View
from dashboard.views import registry
from softh.errors import InputError

_CONFIG = {
    "displaylogo": False,
    "doubleClick": "reset",
    # Pictures are in the menu above, in sizes and with fonts of their own.
    "modeBarButtonsToRemove": ["toImage", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
PAPER = "https://arxiv.org/abs/2604.07569"
"""Conklin et al. (2026), whose measures these are."""
DOWNLOAD = ":material/download:"
_introduction = st.components.v2.component(
    "softh_intro",
    html=browser.asset("intro.html"),
    css=browser.asset("intro.css"),
    js=browser.asset("intro.js"),
)
_COMPACT, _GROUPED, _SMALL = (st.column_config.NumberColumn(format=name) for name in ("compact", "localized", "%.2g"))


def enter() -> None:
    """Called first by every page: hands over to the router when Streamlit runs the page without it."""
    if streamlit_internals.use_navigation():
        st.rerun()
    if not auth.may_view(auth.claims()):
        st.stop()


def dress() -> None:
    """Name, purpose and paper at the head of the sidebar, and what the theme's settings do not reach."""
    dark = browser.dark()
    st.html(f"<style>{browser.asset('page.css', 'page_dark.css' if dark else 'page_light.css')}</style>")
    st.logo(browser.asset("logo.svg").replace("INK", theme_for(dark).ink), size="large", link=PAPER)
    if deck := store.latest():
        name, count = deck
        label = f"{escape.markdown(name)}: {count} {'slide' if count == 1 else 'slides'}"
        st.sidebar.page_link("pages/present.py", label=label, icon=":material/slideshow:", query_params={"deck": name})
    st.sidebar.markdown(f":small[The measures of [Conklin et al., 2026]({PAPER})]")


def run(page: Page, *, controls: bool) -> None:
    """Run a page, after the shared controls if it has any.

    Says in a sentence which files are left out, or why there is nothing to show.
    """
    session.PAGE.set(registry.page(page.url_path).slug)
    session.PARAMETERS.set({})
    session.AT_DEFAULT.set(frozenset())
    try:
        for warning in queries.warnings():
            st.warning(escape.prose(warning), icon=":material/warning:")
        if controls and not queries.estimates().is_empty():
            # By the entry point: what a page draws itself leaves the URL with the page.
            shared_controls.draw()
        if controls:
            introduction()
        with metrics.timed(session.PAGE.get()):
            page.run()
        browser.watch_theme()
        axis_ranges.watch()
    except Empty as nothing:
        st.info(escape.prose(str(nothing)), icon=":material/touch_app:")
    except InputError as error:
        st.error(escape.prose(str(error)), icon=":material/error:")


def introduction(*, always: bool = False) -> None:
    """What the plane shows, in three sentences and a picture, until the reader has put it away; or always."""
    _introduction(key="intro", data={"always": always})


def finding(view: View, *sure: str, presets: Sequence[Preset] = ()) -> None:
    """What the page found, in one sentence, whether others found the same, and, on demand, how sure that is.

    presets: views that one click opens.
    """
    if view.finding:
        with st.container(key="finding"):
            st.header(glossary.linked(_unbroken(escape.prose(view.finding))), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if view.published:
            st.markdown(glossary.linked(_unbroken(escape.prose(view.published))), width="stretch")
        with st.popover("How sure is this?", type="tertiary", icon=":material/help:"):
            for paragraph in filter(None, sure):
                st.markdown(glossary.linked(escape.prose(paragraph)))
        if presets:
            with st.popover("Views to start from", type="tertiary", icon=":material/auto_awesome_mosaic:"):
                for each in presets:
                    page = registry.page(each.page)
                    st.page_link(page.script, label=each.label, icon=page.icon, query_params=dict(each.parameters))


def _unbroken(text: str) -> str:
    """The same with numbers that stay in one line with their errors, units and names."""
    return re.sub(r" ([±=]) |(?<=\d) (%)", lambda found: f"\u00a0{found[1]}\u00a0" if found[1] else "\u00a0%", text)


def link_to_layers(model: str) -> None:
    """A link to the layers of a model; nothing for a mean of several."""
    if model not in queries.models():
        return
    layers = registry.page("layers")
    label = f"Layers of {escape.markdown(short_model(model))}"
    st.page_link(layers.script, label=label, icon=layers.icon, query_params={"model": model})


def reading(view: View) -> None:
    """What is shown of which text, in a line, and, on demand, all that a reader may want to know of the figures."""
    if view.source:
        st.markdown(f":small[{glossary.linked(escape.prose(view.source))}]")
    with st.expander("How to read this", icon=":material/menu_book:"):
        st.markdown(glossary.linked(escape.prose(view.caption)))


@contextmanager
def errors_in_place() -> Generator[None]:
    """Show an error that the reader can correct where it occurred, and go on with the rest of the page."""
    try:
        yield
    except InputError as error:
        st.error(escape.prose(str(error)), icon=":material/error:")


def chart(
    figure: go.Figure,
    key: str,
    rows: pl.DataFrame | None = None,
    *,
    points: bool = False,
    take: Callable[[str], None] = point_selection.toggle_clicked,
    legend: bool = True,
) -> None:
    """A figure with its alt text and its menu; rows are the data behind it. With points a click in it chooses one.

    take: what is done with a click, given the key of the figure. legend: without it the figure is drawn without one,
    since another figure of the page has the same; files and slides keep it.
    """
    with st.container(gap="xxsmall"):
        # Above: a menu below a figure would have no room to open in.
        export_menu.draw(figure, key, rows, links.page_parameters(), links.short_parameters())
        if not legend:
            figure = go.Figure(figure).update_layout(
                showlegend=False, meta={**figure.layout.meta, "legend": "elsewhere"}
            )
        picture(figure, key, points=points, take=take)


def picture(
    figure: go.Figure,
    key: str,
    *,
    points: bool = False,
    take: Callable[[str], None] = point_selection.toggle_clicked,
) -> None:
    """A figure with its alt text, without the menu."""
    alt = figure.layout.meta["alt"]
    if not points:
        st.plotly_chart(figure, theme=None, key=key, alt=alt, config=_CONFIG)
        return
    # Streamlit chooses these in the browser where a figure does not, and on a busy machine a figure was found without:
    # a click then chose nothing.
    figure.update_layout(clickmode="event+select", hovermode="closest", dragmode="zoom")
    clicked = partial(take, key)
    st.plotly_chart(figure, theme=None, key=key, alt=alt, config=_CONFIG, on_select=clicked, selection_mode="points")


def shipped_picture(key: str, draw: Callable[..., go.Figure]) -> None:
    """A figure of results that are shipped, the same for everybody: `draw(dark=…)` draws it once for each theme."""
    picture(_shipped(key, browser.dark(), draw), key)


@st.cache_resource(max_entries=64, show_spinner=False)
def _shipped(key: str, dark: bool, _draw: Callable[..., go.Figure]) -> go.Figure:
    return _draw(dark=dark)


def table(
    rows: pl.DataFrame, data: pl.DataFrame, name: str, *, points: bool = False, height: int | None = None
) -> None:
    """A table to read, and its data as a file to take away; with points its rows are models, and choose them."""
    selection = point_selection.selectable_rows(rows["Model"].to_list()) if points else {}
    model = st.column_config.TextColumn(width=160 if points else 275)  # pinned, it would be grey and hard to read
    # Beside a figure all of these are in sight; the heads of others say how wide they must be.
    widths = dict.fromkeys(("Optimality", "To the bound"), 102) | {"Frontier": 70} if points else {}
    defined = {
        name: st.column_config.Column(width=widths.get(name), help=glossary.of_head(name) or None)
        for name in rows.columns
    }
    config = {**defined, "Model": model, "Parameters": _COMPACT, "Positions": _GROUPED, "p": _SMALL, "q": _SMALL}
    if "Model" in rows.columns:
        rows = rows.with_columns(Model=pl.Series([short_model(name) for name in rows["Model"]], dtype=pl.String))
    st.dataframe(rows, hide_index=True, column_config=config, height=height or "auto", **selection)
    # Written on the click, without a run of the page, which would replace the file while it is being sent.
    st.download_button(
        "Download as CSV", escape.cells(data).write_csv, name, "text/csv", icon=DOWNLOAD, on_click="ignore"
    )


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
    analyze = registry.page("analyze")
    st.page_link(analyze.script, label="Or bring a checkpoint here", icon=analyze.icon)
    st.stop()

"""What runs in the reader's browser: scripts of dashboard/assets, their addresses on this server, and the theme."""

from pathlib import Path

import streamlit as st
from streamlit.components.v1 import declare_component

from dashboard.export import html
from dashboard.server.streamlit_internals import variable_font

_ASSETS = Path(__file__).parents[1] / "assets"
# A component of the older kind serves a folder, so that plotly.min.js has an address here, for a page without the
# Plotly that Streamlit leaves in `window`.
declare_component("plotly", path=html.plotly_folder())


def asset(*names: str) -> str:
    """Files of dashboard/assets one after another."""
    return "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in names)


_theme_watcher = st.components.v2.component("softh_theme", js=asset("theme.js"))


def asset_urls() -> dict[str, str | None]:
    """Where a script of ours finds Plotly and the page's font on this server."""
    base = st.get_option("server.baseUrlPath").strip("/")
    font = variable_font()
    return {
        "base": f"/{base}/" if base else "/",
        "plotly": f"component/{__name__}.plotly/plotly.min.js",
        "font": f"static/media/{font.name}" if font else None,
    }


def dark() -> bool:
    """Whether the reader's page is dark."""
    return st.context.theme.type == "dark"


def watch_theme() -> None:
    """Run the page again when the reader changes the theme: figures are drawn for one."""
    _theme_watcher(key="theme", on_changed_change=lambda: None)

"""What runs in the reader's browser: the scripts of assets/, and Plotly as the installed package ships it."""

from pathlib import Path

import streamlit as st
from streamlit.components.v1 import declare_component

from dashboard.export import files
from dashboard.server.streamlit_internals import variable_font

_ASSETS = Path(__file__).parents[1] / "assets"
# A component of the older kind serves a folder, so that plotly.min.js has an address here. Streamlit 1.67 leaves the
# Plotly that it draws with in `window`, which is used where it is there; nothing promises that it always will be.
declare_component("plotly", path=files.plotly_folder())


def asset(*names: str) -> str:
    """Files of assets/ one after another."""
    return "\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in names)


def places() -> dict[str, str | None]:
    """Where a script of ours finds Plotly and the page's font on this server."""
    base = st.get_option("server.baseUrlPath").strip("/")
    font = variable_font()
    return {
        "base": f"/{base}/" if base else "/",
        "plotly": f"component/{__name__}.plotly/plotly.min.js",
        "font": f"static/media/{font.name}" if font else None,
    }

"""Configuration of the documentation site, which `make docs` builds with Sphinx."""

import json
import sys
from pathlib import Path
from typing import Any

import plotly
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import softh  # noqa: E402  (after its folder is on the path)

project = "softh"
author = "softh"
release = version = softh.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "screenshots/*.py"]

# Pages are GitHub's Markdown, and read well there; MyST adds what a site needs.
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # files that begin below the first level, included into another

# The notebook holds its figures: `python -m docs.site` has run it.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is loaded from elsewhere

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"softh {release}"
html_static_path = [str(Path(plotly.__file__).parent / "package_data" / "plotly.min.js")]
html_favicon = "../dashboard/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "default", "github-dark"

PLOTLY = "application/vnd.plotly.v1+json"


def draw_figures(_: Sphinx, name: str, source: list[str]) -> None:
    """Let the figures of the notebook be drawn by the plotly.js of the site, which is the one that made them."""
    if name != "notebook":
        return
    notebook = json.loads(source[0])
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    figures = [output for output in outputs if PLOTLY in output.get("data", {})]
    for number, output in enumerate(figures):
        load = '<script src="_static/plotly.min.js"></script>' if number == 0 else ""
        output["data"] = {"text/html": load + drawn(f"figure-{number}", output["data"][PLOTLY])}
    source[0] = json.dumps(notebook)


def drawn(place: str, figure: dict[str, Any]) -> str:
    """HTML that draws a figure where it stands, as wide as the page."""
    content = {"data": figure["data"], "layout": figure["layout"] | {"autosize": True, "width": None},
               "config": {"responsive": True, "displaylogo": False}}  # fmt: skip
    inside = json.dumps(content).replace("</", "<\\/")
    return f'<div id="{place}" class="figure"></div><script>Plotly.newPlot("{place}", {inside})</script>'


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", draw_figures)

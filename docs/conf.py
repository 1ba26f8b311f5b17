"""Configuration of the documentation site, which `make docs` builds with Sphinx."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import plotly
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import softh  # noqa: E402  (after its folder is on the path)
from dashboard.figures import amounts, sensitivity  # noqa: E402

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
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"softh {release}"
html_static_path = ["figures.js", str(Path(plotly.__file__).parent / "package_data" / "plotly.min.js")]
html_favicon = "../dashboard/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # a browser refuses to fetch them from a folder
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "default", "github-dark"

PLOTLY = "application/vnd.plotly.v1+json"
COMMENT = re.compile(r"<!-- figure: (\w+) (.+?) -->")
PICTURE = re.compile(r"!\[(.+)\]\((.+)-light\.png\)")
LOADED = "".join(f'<script defer src="_static/{name}"></script>' for name in ("plotly.min.js", "figures.js"))


def draw_figures(_: Sphinx, name: str, source: list[str]) -> None:
    """Put figures in: those of the notebook, where a comment names one, and of pictures also the dark one."""
    source[0] = in_notebook(source[0]) if name == "notebook" else COMMENT.sub(in_page, PICTURE.sub(both, source[0]))


def both(picture: re.Match[str]) -> str:
    """A light and a dark picture, of which the theme shows one."""
    alt, path = picture.groups()
    shown = (f"```{{image}} {path}-{look}.png\n:alt: {alt}\n:class: only-{look}\n```" for look in ("light", "dark"))
    return "\n\n".join(shown)


def in_notebook(text: str) -> str:
    """The notebook with HTML in the place of Plotly's data."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if PLOTLY in output.get("data", {}):
                output["data"] = {"text/html": drawn(output["data"][PLOTLY])}
    return json.dumps(notebook)


def in_page(comment: re.Match[str]) -> str:
    """The figure that a comment names, light and dark, as the page Method shows it."""
    kind, of = comment.groups()
    figures = (
        amounts.curves(amounts.results()[of], dark=dark)
        if kind == "amounts"
        else sensitivity.curves(sensitivity.results(), of, dark=dark)
        for dark in (False, True)
    )
    return f"```{{raw}} html\n{drawn(*(json.loads(figure.to_json()) for figure in figures))}\n```"


def drawn(*figures: dict[str, Any]) -> str:
    """HTML that figures.js draws: one figure, or a light and a dark one."""
    content = [{"data": figure["data"], "layout": figure["layout"]} for figure in figures]
    inside = json.dumps(content).replace("</", "<\\/")
    return f'{LOADED}<div class="drawn"><script type="application/json">{inside}</script><div></div></div>'


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", draw_figures)

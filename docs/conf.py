"""Configuration of the documentation site, which `make docs` builds with Sphinx."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import softh  # noqa: E402  (after its folder is on the path)

project = "softh"
author = "softh"
release = version = softh.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "screenshots/*.py"]

# Pages are GitHub's Markdown, and read well there; MyST adds what a site needs.
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # files that begin below the first level, included into another

# The notebook holds its figures: `python -m docs.site` has run it.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # nothing is loaded from elsewhere
nb_mime_priority_overrides = [("html", "image/svg+xml", 0), ("html", "image/png", 1)]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"softh {release}"
html_static_path = ["_static"]
html_favicon = "../dashboard/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "default", "github-dark"
copybutton_prompt_text = ">>> "

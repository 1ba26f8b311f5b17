"""All that softh uses of Streamlit 1.67 beyond its documented interface: an upgrade is checked here and nowhere else.

tests/test_streamlit_internals.py has one test for every name below.

In the browser, our scripts (dashboard/assets) rely on three more:

- elements with a ``key`` are in an element of the class ``st-key-<key>`` (export_menu.js, figures.js);
- ``window.Plotly`` is the library that drew the page's figures, and where it is missing the copy of the installed
  plotly package is loaded instead (load.js);
- ``_fullLayout`` of a drawn figure has the size and the axis ranges on the screen, and the ranges that a double click
  goes back to (export_menu.js, figures.js); this one is Plotly's own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamlit import file_util
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

UPLOAD_PATH, MEDIA_PATH, METRICS_PATH = "/_stcore/upload_file/", "/media/", "/_stcore/metrics"
"""Streamlit's own endpoints, below the address that the server is given."""
FIGURE_MODULE = "PlotlyChart"
"""Start of the file name of the module that draws figures; the rest is a digest of its content."""


def use_navigation() -> bool:
    """Make pages come from st.navigation only; returns whether Streamlit would have read the folder `pages` itself.

    It does so until a script has called st.navigation once, because the folder has that name: the first visitor of a
    fresh server would see a page without its frame, and a press in such a run would be lost.
    """
    by_folder = bool(PagesManager.uses_pages_directory)
    PagesManager.uses_pages_directory = False
    return by_folder


def in_session() -> bool:
    """Whether this thread runs a script for a reader, so that st.user and st.session_state are theirs."""
    return get_script_run_ctx(suppress_warning=True) is not None


def delete_uploaded(files: Sequence[Any]) -> None:
    """Free the bytes of uploaded files, which Streamlit would hold until the session ends."""
    context = get_script_run_ctx(suppress_warning=True)
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def signed_in_claims(cookies: Mapping[str, str]) -> dict[str, Any]:
    """The claims in the signed cookies of Streamlit's sign-in that a request carries; empty without a valid one."""

    def verified(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1")) if value else None

    claims = get_cookie_with_chunks(verified, USER_COOKIE_NAME)
    return json.loads(claims) if claims else {}


def static_folder() -> Path:
    """The folder with index.html and, below `static`, the files whose names change with their contents."""
    return Path(file_util.get_static_dir())


def variable_font() -> Path | None:
    """The font of the pages at all weights, WOFF2; None where a release keeps it elsewhere."""
    return next((static_folder() / "static" / "media").glob("SourceSansVF-Upright*.woff2"), None)

"""Every private name of Streamlit that softh uses exists in the installed release and means what softh takes it for."""

import json
from pathlib import Path

import pytest
from streamlit import file_util
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.testing.v1 import AppTest
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette import starlette_routes
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value, decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard.server import streamlit_internals

STATIC = streamlit_internals.static_folder() / "static"
SCRIPTS = [path.read_text(encoding="utf-8") for path in (STATIC / "js").glob("*.js")]


def test_pages_of_the_folder_are_replaced_by_those_of_the_router(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    PagesManager(str(Path(__file__).parents[1] / "app.py"))  # a folder named `pages` stands beside it
    assert streamlit_internals.use_navigation()
    assert not streamlit_internals.use_navigation()
    assert PagesManager.uses_pages_directory is False


def test_a_script_of_a_reader_is_in_a_session_and_a_test_is_not() -> None:
    def script() -> None:
        import streamlit as st

        from dashboard.server import streamlit_internals

        st.write(streamlit_internals.in_session())

    assert not streamlit_internals.in_session()
    assert AppTest.from_function(script).run().markdown[0].value == "`True`"


def test_bytes_of_an_upload_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    for name in ("a", "b"):
        manager.add_file("session", UploadedFileRec(name, name, "", b"bytes"))
    context = type("Context", (), {"uploaded_file_mgr": manager, "session_id": "session"})()
    monkeypatch.setattr(streamlit_internals, "get_script_run_ctx", lambda **_: context)
    streamlit_internals.delete_uploaded([type("File", (), {"file_id": "a"})()])
    assert [record.file_id for record in manager.get_files("session", ["a", "b"])] == ["b"]


def test_claims_come_from_a_signed_cookie_alone() -> None:
    claims = {"email": "ada@example.org", "is_logged_in": True}
    value = create_signed_value(get_cookie_secret(), USER_COOKIE_NAME, json.dumps(claims)).decode()
    assert decode_signed_value(get_cookie_secret(), USER_COOKIE_NAME, value) == json.dumps(claims).encode()
    assert streamlit_internals.signed_in_claims({USER_COOKIE_NAME: value}) == claims
    assert streamlit_internals.signed_in_claims({USER_COOKIE_NAME: value[:-4] + "aaaa"}) == {}
    assert streamlit_internals.signed_in_claims({}) == {}


def test_the_endpoints_that_the_guard_asks_about_are_those_of_streamlit() -> None:
    assert f"/{starlette_routes.BASE_ROUTE_UPLOAD_FILE}/" == streamlit_internals.UPLOAD_PATH
    assert f"/{starlette_routes.BASE_ROUTE_MEDIA}/" == streamlit_internals.MEDIA_PATH
    assert f"/{starlette_routes.ROUTE_METRICS}" == streamlit_internals.METRICS_PATH


def test_the_static_folder_has_the_page_the_module_of_figures_and_the_font() -> None:
    folder = streamlit_internals.static_folder()
    assert folder == Path(file_util.get_static_dir())
    assert (folder / "index.html").is_file()
    assert len(list((STATIC / "js").glob(f"{streamlit_internals.FIGURE_MODULE}.*.js"))) == 1
    font = streamlit_internals.variable_font()
    assert font is not None
    assert font.read_bytes()[:4] == b"wOF2"


@pytest.mark.parametrize("name", ["st-key-", "_fullLayout"])
def test_what_our_scripts_look_for_in_the_browser_is_in_those_of_streamlit(name: str) -> None:
    assert any(name in script for script in SCRIPTS)


def test_plotly_is_left_in_the_window() -> None:
    assert any("window.Plotly=" in script for script in SCRIPTS)

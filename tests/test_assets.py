"""What a browser is sent first: files as they are installed, the figures' modules announced, nothing held back."""

import re
import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import file_util

from dashboard.server import plotly_bundle, static_files

STATIC = Path(file_util.get_static_dir()) / "static"


def client() -> TestClient:
    """Behind it an application that knows a page and, for everything else, says so."""
    page = Route("/", lambda request: HTMLResponse("<h1>page</h1>"))
    other = Route("/{path:path}", lambda request: PlainTextResponse("passed on"), methods=["GET", "POST"])
    return TestClient(static_files.Assets(Starlette(routes=[page, other])))


def test_files_are_those_installed_and_may_be_kept() -> None:
    for kind in ("js", "css"):
        path = min((STATIC / kind).iterdir())
        found = client().get(f"/static/{kind}/{path.name}")
        assert found.content == path.read_bytes()
        assert "immutable" in found.headers["cache-control"]
        assert kind in found.headers["content-type"].replace("javascript", "js")


def test_the_module_of_figures_is_sent_lean_and_kept_for_a_day() -> None:
    [path] = (STATIC / "js").glob("PlotlyChart.*.js")
    found = client().get(f"/static/js/{path.name}")
    assert found.text == plotly_bundle.lean(path.read_text(encoding="utf-8"))
    assert found.headers["cache-control"] == "public, max-age=86400"


def test_what_is_not_a_file_of_streamlit_is_passed_on() -> None:
    for path in ("/static/js/nothing.js", "/static/js", "/static/%2e%2e/index.html", "/index.html", "/frontier"):
        assert client().get(path).text == "passed on"
    assert client().post(f"/static/js/{min((STATIC / 'js').iterdir()).name}").text == "passed on"


def test_a_page_announces_the_figures_modules_and_whatever_they_import() -> None:
    announced = re.findall(r"<\./static/js/([^>]+)>; rel=modulepreload", client().get("/").headers["link"])
    assert any(name.startswith("PlotlyChart.") for name in announced)
    named_by_the_page = (STATIC.parent / "index.html").read_text(encoding="utf-8")
    for name in announced:
        script = (STATIC / "js" / name).read_text(encoding="utf-8")
        for imported in re.findall(r"""from["']\./([^"']+)["']""", script):
            assert imported in announced or imported in named_by_the_page
    assert "link" not in client().get("/frontier").headers  # not a page here: plain text


def test_connections_send_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        static_files.send_at_once()
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

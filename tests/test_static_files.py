"""What a browser is sent first: Streamlit's files as they are installed, the figures' modules announced."""

import re

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.server.static_files import StaticFiles
from dashboard.server.streamlit_internals import FIGURE_MODULE, static_folder

STATIC = static_folder() / "static"


def client() -> TestClient:
    """Behind it an application that knows a page and, for everything else, says so."""
    page = Route("/", lambda request: HTMLResponse("<h1>page</h1>"))
    file = Route("/media/figure.html", lambda request: HTMLResponse("<h1>file</h1>"))
    other = Route("/{path:path}", lambda request: PlainTextResponse("passed on"), methods=["GET", "POST"])
    return TestClient(
        StaticFiles(Starlette(routes=[page, file, other], middleware=[Middleware(GZipMiddleware, minimum_size=1)]))
    )


def test_files_are_those_installed_and_may_be_kept() -> None:
    for kind in ("js", "css"):
        path = min((STATIC / kind).iterdir())
        found = client().get(f"/static/{kind}/{path.name}")
        assert found.content == path.read_bytes()
        assert "immutable" in found.headers["cache-control"]
        assert kind in found.headers["content-type"].replace("javascript", "js")


def test_what_is_not_a_file_of_streamlit_is_passed_on() -> None:
    for path in ("/static/js/nothing.js", "/static/js", "/static/%2e%2e/index.html", "/index.html", "/frontier"):
        assert client().get(path).text == "passed on"
    assert client().post(f"/static/js/{min((STATIC / 'js').iterdir()).name}").text == "passed on"


def test_a_page_begins_with_our_script_and_a_file_in_html_stays_as_it_is() -> None:
    page = client().get("/", headers={"accept-encoding": "gzip"})
    assert page.text.startswith("<!doctype html><script>")
    assert page.text.endswith("<h1>page</h1>")
    assert int(page.headers["content-length"]) == len(page.content)
    assert client().get("/media/figure.html").text == "<h1>file</h1>"


def test_a_page_announces_the_figures_modules_and_whatever_they_import() -> None:
    announced = re.findall(r"<\./static/js/([^>]+)>; rel=modulepreload", client().get("/").headers["link"])
    assert any(name.startswith(FIGURE_MODULE) for name in announced)
    named_by_the_page = (STATIC.parent / "index.html").read_text(encoding="utf-8")
    for name in announced:
        script = (STATIC / "js" / name).read_text(encoding="utf-8")
        for imported in re.findall(r"""from["']\./([^"']+)["']""", script):
            assert imported in announced or imported in named_by_the_page
    assert "link" not in client().get("/frontier").headers  # not a page here: plain text

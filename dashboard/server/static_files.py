"""Streamlit's own files from memory, and its page with a script of ours first and the module of figures announced.

A first visit asks for a hundred files; read from disk in a thread each, they take twice the time of a processor. The
module of figures is the largest and would be asked for only once the page's first figure arrives.
"""

import mimetypes
import re
from functools import cache
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.guard import below_base
from dashboard.server.streamlit_internals import FIGURE_MODULE, static_folder

_IMPORT = re.compile(r"""(?:from|import)["']\./([^"']+\.js)["']""")


class StaticFiles:
    """Answers for the files below /static/, whose names change with their contents; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or extend the answer when it is a page."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        name = below_base(scope["path"]).removeprefix("/")
        if name in _files():
            await _response(name)(scope, receive, send)
            return

        may_be_page, is_page = "/" not in name, False
        if may_be_page:
            # What is compressed cannot be put together with anything.
            kept = [(key, value) for key, value in scope["headers"] if key != b"accept-encoding"]
            scope = {**scope, "headers": kept}

        async def extending(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                # A file in HTML, which is sent from below a folder, stays as it was written.
                is_page = may_be_page and headers.get("content-type", "").startswith("text/html")
                if is_page and _preload():
                    headers.append("link", _preload())
                if is_page and "content-length" in headers:
                    headers["content-length"] = str(int(headers["content-length"]) + len(_first_script()))
                    # A browser that has kept the page of an earlier release asks whether it is still the same.
                    del headers["etag"], headers["last-modified"]
                message = {**message, "headers": headers.raw}
            elif is_page and message["type"] == "http.response.body":
                message, is_page = {**message, "body": _first_script() + message.get("body", b"")}, False
            await send(message)

        await self.app(scope, receive, extending)


@cache
def _first_script() -> bytes:
    """A document type and a script, which browsers take into the head of the page that follows."""
    script = (Path(__file__).parents[1] / "assets" / "history.js").read_text(encoding="utf-8")
    return f"<!doctype html><script>\n{script}</script>\n".encode()


@cache
def _files() -> dict[str, Path]:
    """Streamlit's files by their names in an address, such as static/js/….js."""
    folder = static_folder()
    return {path.relative_to(folder).as_posix(): path for path in (folder / "static").rglob("*") if path.is_file()}


@cache
def _response(name: str) -> Response:
    kind, _ = mimetypes.guess_type(name)
    return Response(
        _files()[name].read_bytes(),
        headers={"Cache-Control": "public, immutable, max-age=31536000"},
        media_type=kind or "application/octet-stream",
    )


@cache
def _preload() -> str:
    """The value of a Link header: the figures' module and what it imports, less what index.html names itself."""
    scripts = {Path(name).name: path for name, path in _files().items() if name.endswith(".js")}
    index = (static_folder() / "index.html").read_text(encoding="utf-8")
    modules: list[str] = []
    pending = [name for name in scripts if name.startswith(f"{FIGURE_MODULE}.")]
    while pending:
        name = pending.pop()
        if name in scripts and name not in modules and name not in index:
            modules.append(name)
            pending += _IMPORT.findall(scripts[name].read_text(encoding="utf-8"))
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload; crossorigin" for name in modules)

"""What a browser is sent first, sooner: Streamlit's own files from memory, figures announced early, no held-back parts.

Measured by benchmarks/pages.py; docs/log.md has what each part brought.
"""

import mimetypes
import os
import re
import socket
from functools import cache
from pathlib import Path

import psutil
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import file_util

from dashboard.server.guard import inside
from dashboard.server.plotly_bundle import lean

_FIGURES = "PlotlyChart"
"""The module that draws figures: by far the largest, and asked for only once a page's first figure arrives."""
_IMPORT = re.compile(r"""(?:from|import)["']\./([^"']+\.js)["']""")


class Assets:
    """Answers for the files below /static/, whose names change with their contents; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or announce the figures' modules in the answer when it is a page."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        name = inside(scope["path"]).removeprefix("/")
        if name in _files():
            await _held(name)(scope, receive, send)
            return

        async def announcing(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if headers.get("content-type", "").startswith("text/html") and _announcement():
                    headers.append("link", _announcement())
                    message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, announcing)


def send_at_once() -> None:
    """Let no answer wait for the receipt of its own head: 40 ms for each of a page's hundred files.

    The sockets of connections take this over from the listening one, where asyncio sets it only for a socket that it
    opened itself.
    """
    for found in psutil.Process().net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN:
            with socket.socket(fileno=os.dup(found.fd)) as listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@cache
def _files() -> dict[str, Path]:
    """Streamlit's files by their names in an address, such as static/js/….js."""
    folder = Path(file_util.get_static_dir())
    return {path.relative_to(folder).as_posix(): path for path in (folder / "static").rglob("*") if path.is_file()}


@cache
def _held(name: str) -> Response:
    content, lasting = _files()[name].read_bytes(), "public, immutable, max-age=31536000"
    if name.endswith(".js") and Path(name).name.startswith(f"{_FIGURES}."):
        # Its name is that of Streamlit's content, so that another release of this app would not be asked for.
        content, lasting = lean(content.decode()).encode(), "public, max-age=86400"
    kind, _ = mimetypes.guess_type(name)
    return Response(content, headers={"Cache-Control": lasting}, media_type=kind or "application/octet-stream")


@cache
def _announcement() -> str:
    """The value of a Link header: the figures' module and what it imports, less what the page names itself."""
    scripts = {Path(name).name: path for name, path in _files().items() if name.endswith(".js")}
    page = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    wanted: list[str] = []
    asked = [name for name in scripts if name.startswith(f"{_FIGURES}.")]
    while asked:
        name = asked.pop()
        if name in scripts and name not in wanted and name not in page:
            wanted.append(name)
            asked += _IMPORT.findall(scripts[name].read_text(encoding="utf-8"))
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload; crossorigin" for name in wanted)

"""What the web server answers besides pages: uploads and files only to those who may, /health, and /metrics."""

import hmac
import json
from typing import Any

import streamlit as st
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard.server import auth, metrics
from softh import settings
from softh.errors import InputError
from softh.store import read

_UPLOAD, _FILE, _COUNTS = "/_stcore/upload_file/", "/media/", "/_stcore/metrics"
"""Paths of Streamlit's own, below the address that the server is given."""


class Guard:
    """Asks of every request whether its sender may: pages ask themselves, but Streamlit's own endpoints do not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a sentence."""
        sentence = _refusal(Request(scope)) if scope["type"] == "http" else ""
        await (PlainTextResponse(sentence, 403) if sentence else self.app)(scope, receive, send)


def health(request: Request) -> Response:
    """200 while the tables can be read, else 503; says nothing of what is in them."""
    try:
        read.models(settings.data())
    except InputError:
        return JSONResponse({"status": "the tables cannot be read"}, 503)
    return JSONResponse({"status": "ok"})


def prometheus(request: Request) -> Response:
    """The metrics, in Prometheus' text form."""
    sentence = _counts_refusal(request)
    return PlainTextResponse(sentence, 403) if sentence else Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def inside(path: str) -> str:
    """The path of a request below the address that the server is given."""
    return path.removeprefix(f"/{(st.get_option('server.baseUrlPath') or '').strip('/')}".rstrip("/"))


def _refusal(request: Request) -> str:
    """Why a request is not let through; empty when it is."""
    path = inside(request.url.path)
    try:
        if path.startswith(_UPLOAD) and request.method != "OPTIONS":
            return auth.person(_claims(request)).refusal
        if path.startswith(_FILE) and not auth.may_view(_claims(request)):
            return "Nobody is signed in who may see this; sign in first."
        return _counts_refusal(request) if path == _COUNTS else ""
    except InputError as error:
        return str(error)


def _counts_refusal(request: Request) -> str:
    """Where people sign in, and wherever there is a token, the metrics are for those who have it."""
    token, said = settings.text("SOFTH_METRICS_TOKEN"), request.headers.get("authorization", "")
    if token:
        known = hmac.compare_digest(said.encode(), f"Bearer {token}".encode())
        return "" if known else "The metrics were asked for without their token; expected that of SOFTH_METRICS_TOKEN."
    return "The metrics need a token where people sign in: set SOFTH_METRICS_TOKEN." if auth.signs_in() else ""


def _claims(request: Request) -> dict[str, Any]:
    """What the signed cookie of Streamlit's sign-in says."""

    def one(name: str) -> bytes | None:
        value = request.cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1")) if value else None

    found = get_cookie_with_chunks(one, USER_COOKIE_NAME)
    return json.loads(found) if found else {}

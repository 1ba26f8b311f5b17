"""Access to what is not a page: Streamlit's endpoints for uploads and files, /health and /metrics."""

import hmac

import streamlit as st
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.server import auth, metrics
from dashboard.server.streamlit_internals import MEDIA_PATH, METRICS_PATH, UPLOAD_PATH, signed_in_claims
from softh import settings
from softh.errors import InputError
from softh.store import read


class Guard:
    """Checks the sender of every request: pages check for themselves, but Streamlit's own endpoints do not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a sentence and status 403."""
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
    sentence = _metrics_refusal(request)
    return PlainTextResponse(sentence, 403) if sentence else Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def below_base(path: str) -> str:
    """The path of a request below the address that the server is given."""
    return path.removeprefix(f"/{(st.get_option('server.baseUrlPath') or '').strip('/')}".rstrip("/"))


def _refusal(request: Request) -> str:
    """Why a request is not let through; empty when it is."""
    path = below_base(request.url.path)
    try:
        if path.startswith(UPLOAD_PATH) and request.method != "OPTIONS":
            return auth.person(signed_in_claims(request.cookies)).refusal
        if path.startswith(MEDIA_PATH) and not auth.may_view(signed_in_claims(request.cookies)):
            return "Nobody is signed in who may see this; sign in first."
        return _metrics_refusal(request) if path == METRICS_PATH else ""
    except InputError as error:
        return str(error)


def _metrics_refusal(request: Request) -> str:
    """Where people sign in, and wherever there is a token, the metrics are for those who have it."""
    token, authorization = settings.text("SOFTH_METRICS_TOKEN"), request.headers.get("authorization", "")
    if token:
        valid = hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
        return "" if valid else "The metrics were asked for without their token; expected that of SOFTH_METRICS_TOKEN."
    return "The metrics need a token where people sign in: set SOFTH_METRICS_TOKEN." if auth.signs_in() else ""

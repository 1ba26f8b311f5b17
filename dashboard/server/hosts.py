"""Which names this server answers to, and what its pages may load: for pages, files and WebSockets alike.

A page of somebody else that gives its own name this machine's address (DNS rebinding) would else be read and used by
its scripts as if the reader did it.
"""

import re
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.server.guard import below_base
from softh import settings

_ALWAYS = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[\w.\-\[\]:]+")
_SITE = re.compile(r"https?://(?:\*\.)?[\w.\-\[\]:]+")
_ANY = "*"
_OPEN_TO_ALL = "/health"
"""Asked by programs that know the machine by its number only; it says nothing of what is stored."""


class Hosts:
    """Refuses requests and WebSockets to another name, and adds the headers that keep a page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it: status 400 and a sentence, or a closed WebSocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if sentence := refusal(headers.get("host", ""), headers.get("origin"), below_base(scope["path"])):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": sentence[:120]})
            else:
                await PlainTextResponse(sentence, 400)(scope, receive, send)
            return
        policy = content_policy(headers.get("host", ""))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(raw=list(message["headers"]))
                answer["x-content-type-options"] = "nosniff"
                if not framing_sites():  # the older header knows no list
                    answer["x-frame-options"] = "DENY"
                answer["content-security-policy"], answer["referrer-policy"] = policy, "same-origin"
                message = {**message, "headers": answer.raw}
            await send(message)

        await self.app(scope, receive, guarded)


def refusal(host: str, origin: str | None, path: str) -> str:
    """Why a request to a host (with its port, as in the header) is refused; empty when it is not."""
    allowed = names()
    if _ANY in allowed or path == _OPEN_TO_ALL:
        return ""
    asked = hostname(f"//{host}") if _HOST.fullmatch(host) else ""
    if asked not in allowed:
        return (
            f"This server was asked for as {host[:100]!r}; expected one of {', '.join(sorted(allowed))}: "
            "its administrator adds a name to SOFTH_HOSTS."
        )
    if origin not in {None, "null"} and hostname(origin or "") not in allowed:
        return "A page of another server asked; expected one of this server: open its own address."
    return ""


def names() -> set[str]:
    """The names that this server answers to; with ``*`` all."""
    options = (st.get_option("browser.serverAddress"), st.get_option("server.address"))
    listed = settings.text("SOFTH_HOSTS").split(",")
    own = {hostname(f"//{name}") if name != _ANY else _ANY for name in (*_ALWAYS[:2], "[::1]", *filter(None, options))}
    more = {_ANY if name.strip() == _ANY else hostname(f"//{name.strip()}") for name in listed if name.strip()}
    return {name for name in own | more | {_sign_in()} if name and name != "0.0.0.0"}  # noqa: S104 - not a name to ask for


def framing_sites() -> list[str]:
    """The sites that may show a page in a frame, as browsers write them; what is no site is left out."""
    listed = [site.strip() for site in settings.text("SOFTH_FRAMES").split(",")]
    return [site for site in listed if site == _ANY or _SITE.fullmatch(site)]


def content_policy(host: str) -> str:
    """The Content-Security-Policy of a page: nothing comes from or goes to another server; named sites may frame it."""
    sites = framing_sites()
    ancestors = " ".join(["'self'", *sites]) if sites else "'none'"
    own = host if _HOST.fullmatch(host) else "localhost"
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
        f"connect-src 'self' ws://{own} wss://{own} data: blob:; frame-src 'self' data: blob:; object-src 'none'; "
        f"base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
    )


def hostname(address: str) -> str:
    """The name in an address, in lower case and without a port; empty where there is none."""
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _sign_in() -> str:
    """The host that the provider of the sign-in sends readers back to."""
    section = st.secrets["auth"] if st.secrets.load_if_toml_exists() and "auth" in st.secrets else {}
    return hostname(str(section.get("redirect_uri", "")))

"""The web server: the pages of app.py behind the guard, with /health and /metrics. `streamlit run server.py`."""

import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit.starlette import App

from dashboard.server import guard, hosts, static_files, streamlit_internals
from softh import logs


@asynccontextmanager
async def begin(served: App) -> AsyncGenerator[None]:
    """Set up the logs once all libraries have set up theirs, and let the router make the pages from the first run."""
    logs.set_up()
    streamlit_internals.use_navigation()
    # Two first visitors at once would each import it in a thread of their own, and one would get half of it.
    importlib.import_module("pandas")
    yield


async def home(request: Request) -> RedirectResponse:
    """The first page, which Streamlit knows at / alone, for whoever types its name; with the parameters of a link."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


app = App(
    "app.py",
    routes=[Route("/health", guard.health), Route("/metrics", guard.prometheus), Route("/trajectory", home)],
    middleware=[Middleware(hosts.Hosts), Middleware(static_files.StaticFiles), Middleware(guard.Guard)],
    lifespan=begin,
)

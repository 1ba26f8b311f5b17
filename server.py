"""The web server: the pages of app.py behind the guard, with /health and /metrics. `streamlit run server.py`."""

import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.runtime.pages_manager import PagesManager
from streamlit.starlette import App

from dashboard.server import guard, static_files
from softh import logs


@asynccontextmanager
async def begin(served: App) -> AsyncGenerator[None]:
    """Set up the logs once all libraries have set up theirs, and let the router make the pages from the first run."""
    logs.set_up()
    static_files.send_at_once()
    # A press in a run that was made the older way would be lost; frame.enter says more.
    PagesManager.uses_pages_directory = False
    # Two first visitors at once would else import it each in a thread, and one be given half of it.
    importlib.import_module("pandas")
    yield


app = App(
    "app.py",
    routes=[Route("/health", guard.health), Route("/metrics", guard.prometheus)],
    middleware=[Middleware(static_files.Assets), Middleware(guard.Guard)],
    lifespan=begin,
)

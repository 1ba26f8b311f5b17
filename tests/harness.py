"""The app and a browser for tests, benchmarks and the pictures of docs/: a server, Chromium, and when to look."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
DRAWN = ".js-plotly-plot .main-svg .xtitle"
"""There once Plotly has drawn a figure."""
QUIET = """() => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"
  && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]")"""
"""True once the page has run and nothing of the run before stands there any more."""
PATHS = {
    "trajectory": "/",
    "frontier": "/frontier",
    "benchmarks": "/benchmarks",
    "preference": "/preference",
    "layers": "/layers?correction=raw",
    "analyze": "/analyze",
    "present": "/present",
    "method": "/method",
}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(data: Path, *options: str, port: int | None = None, log: Path | None = None) -> Iterator[str]:
    """The address of an app that shows the tables of a folder; options are Streamlit's.

    log: where all that it says is added, instead of the terminal.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", "server.py", "--server.port", str(port), *options]
    environment = os.environ | {"SOFTH_DATA": str(data)}
    with ExitStack() as opened:
        said = opened.enter_context(log.open("ab")) if log else None
        outputs = {"stdout": said or subprocess.DEVNULL, "stderr": said}
        server = opened.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment, **outputs))
        try:
            wait_for(port)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium as the system has it; Playwright's own needs no download then."""
    quiet = ("background-networking", "component-update", "sync", "gpu")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield opened
        opened.close()


def wait_for(port: int, seconds: float = 60) -> None:
    """Return once something listens on a port of this machine."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"Nothing listens on port {port} after {seconds:.0f} s.")


def settled(page: Page) -> None:
    """Wait until the page has run and all its figures are drawn; one that runs again soon is waited for again."""
    page.wait_for_selector("h1")
    for _ in range(2):
        page.wait_for_timeout(500)
        page.wait_for_function(QUIET)
    page.wait_for_timeout(500)


def tables(folder: Path) -> Path:
    """A copy of the shipped tables with a deck: pictures leave nothing behind in the project."""
    shutil.copy(ROOT / "data" / "softh.duckdb", folder)
    (folder / "decks").mkdir()
    words = {"title": "The larger model compresses more", "note": "After its peak, I(X;Z) falls further with 60 M."}
    slide = {"page": "trajectory", "query": {}, "figure": "plane", **words}
    deck = {"version": 1, "slides": [slide, {"page": "layers", "query": {}, "figure": None}]}
    (folder / "decks" / "lab-meeting.json").write_text(json.dumps(deck), encoding="utf-8")
    return folder

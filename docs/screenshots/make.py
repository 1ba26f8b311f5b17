"""Takes the pictures in this folder from the shipped tables: ``python -m docs.screenshots.make [NAME …]``."""

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
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
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
LOOKS = {"light": ("light", 1400), "dark": ("dark", 1400), "narrow": ("light", 390)}
FIRST_VISIT = "trajectory-narrow"
"""The one picture with the introduction that a reader puts away."""


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
            _wait_for(port)
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


def whole(page: Page, width: int) -> None:
    """Make the window as high as the page, which scrolls inside of it."""
    page.wait_for_timeout(1_500)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(1_000)


def _wait_for(port: int, seconds: float = 60) -> None:
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


def shoot(opened: Browser, address: str, name: str) -> None:
    """One picture, such as layers-dark."""
    place, look = name.split("-")
    scheme, width = LOOKS[look]
    page = opened.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(address + PATHS[place])
    settled(page)
    understood = page.get_by_role("button", name="Understood")
    if name != FIRST_VISIT and understood.count() and understood.is_visible():
        understood.click()
    whole(page, width)
    page.screenshot(path=HERE / f"{name}.png")
    page.close()


def tables(folder: Path) -> Path:
    """A copy of the shipped tables with a deck: pictures leave nothing behind in the project."""
    shutil.copy(ROOT / "data" / "softh.duckdb", folder)
    (folder / "decks").mkdir()
    words = {"title": "The larger model compresses more", "note": "After its peak, I(X;Z) falls further with 60 M."}
    slide = {"page": "trajectory", "query": {}, "figure": "plane", **words}
    deck = {"version": 1, "slides": [slide, {"page": "layers", "query": {}, "figure": None}]}
    (folder / "decks" / "lab-meeting.json").write_text(json.dumps(deck), encoding="utf-8")
    return folder


def main() -> None:
    """Write the pictures that are named, or all."""
    names = sys.argv[1:] or [f"{place}-{look}" for place in PATHS for look in LOOKS]
    with TemporaryDirectory() as folder, serving(tables(Path(folder))) as address, browser() as opened:
        for name in names:
            shoot(opened, address, name)


if __name__ == "__main__":
    main()

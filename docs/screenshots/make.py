"""Takes the pictures in this folder from the shipped tables: ``python -m docs.screenshots.make``."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DRAWN = ".js-plotly-plot .main-svg .xtitle"
"""There once Plotly has drawn a figure."""
SHOTS = {
    "trajectory-light": ("/", "light", 1400),
    "trajectory-dark": ("/", "dark", 1400),
    "trajectory-narrow": ("/", "light", 390),
    "layers-light": ("/layers?correction=raw", "light", 1400),
    "layers-dark": ("/layers?correction=raw", "dark", 1400),
    "layers-narrow": ("/layers", "dark", 390),
}


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The address of an app that shows the tables of a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    environment = os.environ | {"SOFTH_DATA": str(data)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as server:
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


def main() -> None:
    """Write every picture of SHOTS."""
    with serving(ROOT / "data") as address, browser() as opened:
        for name, (path, scheme, width) in SHOTS.items():
            page = opened.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            page.goto(address + path)
            page.wait_for_selector(DRAWN)
            whole(page, width)
            page.screenshot(path=HERE / f"{name}.png")
            page.close()


if __name__ == "__main__":
    main()

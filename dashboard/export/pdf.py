"""Figures and decks as PDF, printed by the Chromium of this machine, which runs only while it prints."""

import asyncio
import base64
import os
import shutil
import tempfile
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from dashboard.export import html
from dashboard.export.contents import DeckExport, FigureExport
from softh.errors import InputError

SLIDE = (40 / 3, 7.5)
"""Inches, 16:9."""
_MISSING = (
    "PDF is printed by Chromium, which this machine lacks: install it (`apt install chromium`), or name one in "
    "BROWSER_PATH, and try again; SVG, PNG and HTML need nothing."
)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS = 60
_AT_ONCE, _QUEUE = 2, 6
"""Browsers that print at a time, each of which takes hundreds of megabytes; and files that print or wait."""
_printing, _waiting = BoundedSemaphore(_AT_ONCE), BoundedSemaphore(_QUEUE)


def figure(export: FigureExport) -> bytes:
    """A sheet of the size of the figure. Raises InputError where there is no Chromium."""
    _need_chromium()  # before the page is made, whose fonts take seconds
    return print_page(html.printable_figure(export), export.size.inches, export.size.scale)


def deck(export: DeckExport) -> bytes:
    """One sheet a slide. Raises InputError where there is no Chromium."""
    _need_chromium()
    return print_page(html.printable_deck(export), SLIDE)


def missing() -> str:
    """What to install where there is no Chromium; empty where there is one."""
    return "" if _chromium() else _MISSING


def _chromium() -> str | None:
    """The browser that would print, or None."""
    named = os.environ.get("BROWSER_PATH")
    return named if named and Path(named).is_file() else next(filter(None, map(shutil.which, _NAMES)), None)


def _need_chromium() -> str:
    path = _chromium()
    if path is None:
        raise InputError(_MISSING)
    return path


def print_page(page: bytes, inches: tuple[float, float], scale: float = 1.0) -> bytes:
    """A page of :mod:`dashboard.export.html` as PDF with sheets of this size, drawn larger or smaller by scale.

    Raises InputError where there is no Chromium, or it does not answer within a minute.
    """
    path = _need_chromium()
    if not _waiting.acquire(blocking=False):
        raise InputError(f"{_QUEUE} files are being printed already; expected fewer at once: try again in a minute.")
    try:
        with _printing:
            return _print_page(path, page, inches, scale)
    finally:
        _waiting.release()


def _print_page(path: str, page: bytes, inches: tuple[float, float], scale: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="softh-print-") as folder:
        file = Path(folder) / "page.html"
        file.write_bytes(page)
        try:
            return asyncio.run(asyncio.wait_for(_print(path, file.as_uri(), inches, scale), _SECONDS))
        except TimeoutError:
            raise InputError(
                f"Chromium at {path} did not print within {_SECONDS} s: try again when the machine is less busy."
            ) from None


async def _print(path: str, address: str, inches: tuple[float, float], scale: float) -> bytes:
    # Late: nobody who only looks at pages waits for it.
    from choreographer import Browser

    async with Browser(path) as browser:
        tab = await browser.create_tab(address)
        await _answer(tab, "Runtime.evaluate", expression=_DRAWN, awaitPromise=True)
        settings = {"paperWidth": inches[0], "paperHeight": inches[1], "scale": scale, "printBackground": True}
        margins = {f"margin{side}": 0 for side in ("Top", "Bottom", "Left", "Right")}
        answer = await _answer(tab, "Page.printToPDF", **settings, **margins, preferCSSPageSize=False)
    return base64.b64decode(answer["data"])


# The file may not have begun to load when the tab is there.
_DRAWN = """
new Promise(done => {
  const look = () => window.drawn ? window.drawn.then(() => done(true)) : setTimeout(look, 20)
  look()
})
"""


async def _answer(tab: Any, command: str, **parameters: object) -> dict:
    """What the browser answers; its error is a bug of ours, not the reader's."""
    reply = await tab.send_command(command, parameters)
    if "error" in reply or "exceptionDetails" in reply["result"]:
        raise RuntimeError(f"{command}: {reply.get('error') or reply['result']['exceptionDetails']}")
    return reply["result"]

"""Takes the pictures in this folder from the shipped tables: ``python -m docs.screenshots.make [NAME …]``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page

from tests.harness import PATHS, browser, serving, settled, tables

HERE = Path(__file__).parent
LOOKS, WIDTH = ("light", "dark"), 1400


def whole(page: Page) -> None:
    """Make the window as high as the page, which scrolls inside of it."""
    page.wait_for_timeout(1_500)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(1_000)


def shoot(opened: Browser, address: str, name: str) -> None:
    """One picture, such as layers-dark."""
    place, look = name.split("-")
    page = opened.new_page(color_scheme="dark" if look == "dark" else "light", viewport={"width": WIDTH, "height": 900})
    page.goto(address + PATHS[place])
    settled(page)
    understood = page.get_by_role("button", name="Got it")
    if understood.count() and understood.is_visible():
        understood.click()
    whole(page)
    page.screenshot(path=HERE / f"{name}.png")
    page.close()


def main() -> None:
    """Write the pictures that are named, or all."""
    names = sys.argv[1:] or [f"{place}-{look}" for place in PATHS for look in LOOKS]
    with TemporaryDirectory() as folder, serving(tables(Path(folder))) as address, browser() as opened:
        for name in names:
            shoot(opened, address, name)


if __name__ == "__main__":
    main()

"""Every control of every page at three widths: `python -m benchmarks.walk [WIDTH …]` (1440, 1024 and 390 pixels).

After each change: names of points that lie on each other, texts of a figure that leave it, a page wider than its
window, errors of the page or of the console. Prints what was found; exits with 1 where anything was.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Locator, Page
from playwright.sync_api import Error as PlaywrightError

from tests.browser.test_walk import PROBE, change, controls, label, paths, settle, unfold, visit
from tests.harness import browser, serving, tables

WIDTHS = 1440, 1024, 390
LOOK = """() => {
  const found = []
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    const whole = plot.getBoundingClientRect()
    if (!whole.width) continue
    for (const text of plot.querySelectorAll(".main-svg text")) {
      const box = text.getBoundingClientRect(), shown = getComputedStyle(text)
      if (!box.width || !text.textContent.trim() || shown.opacity === "0" || shown.visibility === "hidden") continue
      const sides = [whole.left - box.left, box.right - whole.right, whole.top - box.top, box.bottom - whole.bottom]
      const out = Math.max(...sides)
      if (out > 3) found.push(`cut by ${Math.round(out)} px: ${text.textContent}`)
    }
    const names = new Set((plot.layout.meta?.names ?? []).map(name => name.text.replace(/<[^>]*>/g, "")))
    // A box holds the height of the line, not that of the letters.
    const texts = [...plot.querySelectorAll(".annotation-text")].filter(text => names.has(text.textContent))
    const boxes = texts.map(text => {
      const box = text.getBoundingClientRect()
      return [box.left + 2, box.top + 3, box.right - 2, box.bottom - 3, text.textContent]
    })
    boxes.forEach((one, i) => boxes.slice(i + 1).forEach(other => {
      if (one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3])
        found.push(`on each other: ${one[4]} and ${other[4]}`)
    }))
  }
  const main = document.querySelector("[data-testid=stMain]")
  const wide = main.scrollWidth - main.clientWidth
  if (wide > 1) found.push(`page wider than its window by ${wide} px`)
  return found
}"""


def within_reach(page: Page, control: Locator) -> None:
    """Open or close the sidebar, which lies over a narrow page."""
    inside = control.evaluate("element => Boolean(element.closest('[data-testid=stSidebar]'))")
    seen = page.evaluate("document.querySelector('[data-testid=stSidebar]')?.getBoundingClientRect().right > 0")
    if inside != bool(seen):
        name = "stExpandSidebarButton" if inside else "stSidebarCollapseButton"
        button = page.get_by_test_id(name)
        (button if inside else button.locator("button")).first.evaluate("button => button.click()")
        page.wait_for_timeout(500)


def walked(opened: Browser, url: str, width: int) -> Iterator[str]:
    """What each control of a page left wrong; the last line is how many there were."""
    page = opened.new_page(viewport={"width": width, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.extend([f"{said.text} {said.location['url']}"] * (said.type == "error")))
    visit(page, url)
    done: set[tuple[str, str]] = set()
    yield from (f"at first: {each}" for each in page.evaluate(LOOK))
    while left := [found for found in controls(page) if (found[0], label(page, *found)) not in done]:
        kind, place = left[0]
        name = label(page, kind, place)
        done.add((kind, name))
        control = page.get_by_test_id(kind).nth(place)
        if control.locator("input:disabled, button:disabled").count():
            continue
        try:
            if width < 800:
                within_reach(page, control)
            change(page, kind, control)
            settle(page)
            unfold(page)
        except PlaywrightError as error:
            yield f"{name}: {str(error).splitlines()[0]}"
            continue
        yield from (f"{name}: {each}" for each in page.evaluate(LOOK))
    yield from (fault for fault in faults if not PROBE.search(fault))
    page.close()
    yield f"{len(done)}"


def main() -> None:
    """All pages at the widths that are named, or at all three."""
    widths = [int(one) for one in sys.argv[1:]] or WIDTHS
    wrong = 0
    with TemporaryDirectory() as folder, serving(tables(Path(folder))) as address, browser() as opened:
        for width in widths:
            for path in paths():
                *found, count = walked(opened, address + path, width)
                wrong += len(found)
                print(json.dumps({"width": width, "page": path, "controls": int(count), "wrong": found}), flush=True)
    print(f"{wrong} wrong", flush=True)
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()

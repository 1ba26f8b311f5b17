"""Figures in a real browser: names that keep apart, a run that plays, a cell that opens its scatter."""

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness import settled

pytestmark = pytest.mark.browser

NAMES = """() => { const plot = document.querySelector(".js-plotly-plot")
  const texts = new Set(plot.layout.meta.names.map(name => name.text.replace(/<[^>]*>/g, "")))
  return [...plot.querySelectorAll(".annotation-text")].filter(text => texts.has(text.textContent))
    .map(text => { const box = text.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom] }) }"""
SIDES = """() => { const box = document.querySelector(".js-plotly-plot").getBoundingClientRect()
  return [box.left, box.right] }"""
LONG_NAMES = f"/?corpus=weymouth-nt&settings={quote('256 documents × 256 tokens, labels words')}&layer=1"
"""Models of four names, two of them longer than half a narrow figure and close together."""
HEADS = "document.querySelector('.softh-trail circle')?.getAttribute('cx')"


def opened(chromium: Browser, url: str, width: int = 1440) -> Page:
    page = chromium.new_page(viewport={"width": width, "height": 1300})
    page.set_default_timeout(60_000)
    page.goto(url)
    settled(page)
    return page


@pytest.mark.parametrize("width", [1440, 1024, 390])
@pytest.mark.parametrize("path", ["/", "/frontier", "/frontier?ablations=true", "/benchmarks", LONG_NAMES])
def test_names_do_not_lie_on_each_other_and_are_whole(chromium: Browser, shipped: str, path: str, width: int) -> None:
    page = opened(chromium, shipped + path, width)
    page.wait_for_timeout(800)
    boxes, (left, right) = page.evaluate(NAMES), page.evaluate(SIDES)
    page.close()
    assert boxes
    assert [box for box in boxes if box[0] < left - 3 or box[2] > right + 3] == []
    shrunk = [(a + 2, b + 3, c - 2, d - 3) for a, b, c, d in boxes]  # a box holds the line's height, not the letters'
    pairs = [(one, other) for i, one in enumerate(shrunk) for other in shrunk[i + 1 :]]
    hit = [p for p in pairs if p[0][0] < p[1][2] and p[1][0] < p[0][2] and p[0][1] < p[1][3] and p[1][1] < p[0][3]]
    assert hit == []


def test_a_run_plays_on_the_figure_and_leaves_it_as_it_was(chromium: Browser, shipped: str) -> None:
    page = opened(chromium, shipped)
    page.get_by_role("button", name="Play the training").click()
    page.wait_for_function(f"{HEADS} !== undefined")
    begun = page.evaluate(HEADS)
    page.wait_for_function(f"{HEADS} !== '{begun}'")
    page.get_by_role("button", name="Play the training").click()
    expect(page.locator(".softh-trail")).to_have_count(0)
    faint = "[...document.querySelectorAll('.cartesianlayer')].filter(e => e.style.opacity).length"
    assert page.evaluate(faint) == 0
    page.close()


def test_a_click_on_a_cell_of_the_matrix_opens_its_scatter(chromium: Browser, shipped: str) -> None:
    page = opened(chromium, f"{shipped}/benchmarks")
    plot = page.locator(".js-plotly-plot").nth(2)
    plot.scroll_into_view_if_needed()
    at = plot.evaluate("""plot => { const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect()
      const trace = plot._fullData.find(t => t.type === "scatter")
      const i = trace.customdata.findIndex(each => each[0].startsWith("complexity") && each[1] === "grammar")
      return [box.x + xaxis._offset + xaxis.d2p(trace.x[i]), box.y + yaxis._offset + yaxis.d2p(trace.y[i])] }""")
    page.mouse.move(*at)
    page.wait_for_timeout(300)
    page.mouse.click(*at)
    page.wait_for_url("**predictor=complexity**")
    settled(page)
    expect(page.locator(".js-plotly-plot .xtitle").first).to_contain_text("complexity")
    expect(page.locator(".js-plotly-plot .ytitle").first).to_contain_text("grammar")
    page.close()


def test_a_preset_of_the_same_page_is_in_the_address_and_back_leaves_it(chromium: Browser, shipped: str) -> None:
    page = opened(chromium, shipped)
    before = page.locator(".st-key-finding h2").first.inner_text()
    page.get_by_role("button", name="Views to start from").click()
    page.get_by_text("Do seeds agree?").click()
    page.wait_for_url("**seeds=averaged**")
    settled(page)
    averaged = page.locator(".st-key-finding h2").first.inner_text()
    assert averaged != before
    page.reload()
    settled(page)
    assert page.locator(".st-key-finding h2").first.inner_text() == averaged
    page.evaluate("history.back()")
    settled(page)
    expect(page.locator(".st-key-finding h2").first).to_have_text(before)
    page.close()


def test_a_preset_opens_the_view_that_it_names(chromium: Browser, shipped: str) -> None:
    page = opened(chromium, shipped)
    page.get_by_role("button", name="Views to start from").click()
    page.get_by_text("The same by layer").click()
    expect(page).to_have_title("Layers · softh")
    settled(page)
    expect(page.get_by_text("Compared with another model")).to_be_visible()
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    page.close()

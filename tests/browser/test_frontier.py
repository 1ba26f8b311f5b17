"""The frontier page in a real browser: a click on a point, a row and the link are one choice."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page

from softh.store import write
from tests.harness import DRAWN, browser, serving, settled

pytestmark = pytest.mark.browser

MODELS = ("Alpha", "Beta", "Gamma")
PLACE = """
([plot, wanted]) => {
  for (const trace of plot._fullData) {
    const at = (trace.customdata || []).findIndex(point => point[1].includes(`<b>${wanted}`))
    if (at < 0) continue
    const box = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout
    return [box.x + xaxis._offset + xaxis.d2p(trace.x[at]), box.y + yaxis._offset + yaxis.d2p(trace.y[at])]
  }
}
"""
"""Where a point of a model lies in the window."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, record: Callable) -> Iterator[Page]:
    data: Path = tmp_path_factory.mktemp("data")
    for place, name in enumerate(MODELS):
        made = record(name, shape=lambda depth, order, more=place / 10: (0.9, 0.2 + more, 0.1 + more / 2, 0.02))
        write.save(made, data)
    with serving(data) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 1300})
        page.goto(f"{address}/frontier")
        page.wait_for_selector(DRAWN)
        yield page


def chosen(page: Page, expected: list[str]) -> None:
    """Wait until the link names these models."""
    page.wait_for_function(
        "n => new URL(location).searchParams.getAll('points').filter(p => p).length === n", arg=len(expected)
    )
    assert sorted(parse_qs(urlparse(page.url).query).get("points", [])) == expected


def click(page: Page, model: str) -> None:
    settled(page)
    plot = page.locator(".js-plotly-plot").first.element_handle()
    x, y = page.evaluate(PLACE, [plot, model])
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def test_points_rows_and_link_are_one_choice(page: Page) -> None:
    click(page, "Beta")
    chosen(page, ["Beta"])
    click(page, "Gamma")
    chosen(page, ["Beta", "Gamma"])
    # The figure is drawn anew after the link has changed.
    page.wait_for_function("document.querySelector('.js-plotly-plot')?.data?.some(trace => trace.name === 'selected')")
    click(page, "Beta")
    chosen(page, ["Gamma"])
    settled(page)  # the table is drawn anew with its rows marked
    table = page.locator("[data-testid=stDataFrame]").first
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 35 * 2.5)  # the second row: Beta, below Gamma
    chosen(page, ["Beta", "Gamma"])

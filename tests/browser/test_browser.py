"""The pages in a real browser: drawn in time and without an error, controls that work, links that come back."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from softh.store import write
from tests.harness import DRAWN, serving, settled

pytestmark = pytest.mark.browser

PATHS = {"/": 2, "/layers": 4, "/method": 14}
"""Path → how many figures it has."""
# A page opened by its own path first looks for a server below that path; the browser reports the two misses.
PROBE = re.compile(r"/(layers|method)/_stcore/(health|host-config)$")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, record: Callable) -> Iterator[str]:
    """An app on two runs of a dozen checkpoints and two finished models."""
    data = tmp_path_factory.mktemp("data")
    for model, top in (("Run-1M", 0.3), ("Run-4M", 0.4)):
        for step in (0, *(2**power for power in range(11))):
            write.save(record(model, f"step{step}", step=step, tokens=4_096 * step, shape=learning(step, top)), data)
    for model in ("First (dequantised Q4_1)", "Second"):
        write.save(record(model, weights="dequantised GGUF Q4_1"), data)
    with serving(data) as found:
        yield found


def learning(step: int, top: float) -> Callable:
    fitted = top * step / (step + 30)
    return lambda depth, order: (0.9, 0.05 * order + fitted, 0.05 * order + fitted * (0.3 + 0.2 * depth), 0.04 * order)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A new session whose errors end up in `page.faults`."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.faults.append(told(message)))
    yield page
    context.close()
    assert [fault for fault in page.faults if not PROBE.search(fault)] == []


def told(message) -> str:
    return f"{message.text} {message.location['url']}"


def visit(page: Page, url: str) -> float:
    """Open a link and wait until it is drawn; seconds from the navigation."""
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(DRAWN)
    return time.perf_counter() - began


def drawn(page: Page, number: int = 0) -> list:
    """The data of a figure as Plotly holds it."""
    settled(page)
    script = "([plot]) => plot.data.map(t => [t.name, t.x, t.y, t.marker && t.marker.color])"
    return page.evaluate(script, [page.locator(".js-plotly-plot").nth(number).element_handle()])


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_drawn_without_an_error(page: Page, address: str, path: str) -> None:
    seconds = visit(page, address + path)
    print(f"{path} drawn {seconds:.2f} s after the navigation")  # noqa: T201  (benchmarks/pages.py measures)
    settled(page)
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    expect(page.locator(".js-plotly-plot")).to_have_count(PATHS[path])


@pytest.mark.parametrize("path", ["/", "/layers"])
def test_the_correction_changes_the_figure_and_the_link(page: Page, address: str, path: str) -> None:
    visit(page, address + path)
    before = drawn(page)
    page.get_by_role("radio", name="raw").or_(page.get_by_role("button", name="raw")).first.click()
    expect(page.locator(DRAWN).first).to_contain_text("raw")
    page.wait_for_url("**correction=raw**")
    assert before != drawn(page)


@pytest.mark.parametrize(
    "link",
    [
        "/?order=3&correction=raw&models=Run-4M&along=step",
        "/layers?model=Run-4M&revision=step16&order=2&correction=null",
    ],
)
def test_a_link_opens_the_same_selection_in_another_session(
    page: Page, chromium: Browser, address: str, link: str
) -> None:
    visit(page, address + link)
    first = [drawn(page, number) for number in (0, 1)]
    other = chromium.new_context().new_page()
    visit(other, page.url)
    assert [drawn(other, number) for number in (0, 1)] == first
    for part in link.partition("?")[2].split("&"):
        assert part in page.url
    other.context.close()


def test_order_and_correction_go_along_to_another_page(page: Page, address: str) -> None:
    visit(page, f"{address}/?order=2&correction=raw")
    settled(page)
    page.get_by_role("link", name="Layers", exact=True).click()
    page.wait_for_url("**/layers?**")
    settled(page)
    expect(page.locator(DRAWN).first).to_contain_text("order 2 (bigram), raw")
    assert {"order=2", "correction=raw"} <= set(page.url.partition("?")[2].split("&"))


def test_a_page_opened_first_by_its_own_path_has_its_frame(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as fresh:
        page = chromium.new_page()
        page.goto(f"{fresh}/method")
        page.wait_for_selector("h1")
        expect(page.get_by_role("link", name="Trajectory")).to_have_count(1)
        page.close()


def test_figures_follow_when_the_theme_changes(page: Page, address: str) -> None:
    visit(page, address)
    # Between two themes there is no figure for a moment.
    ink = "document.querySelector('.js-plotly-plot')?.layout?.template.layout.font.color"
    settled(page)
    light = page.evaluate(ink)
    assert light
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} && {ink} !== '{light}'")


def test_figures_have_alt_text(page: Page, address: str) -> None:
    visit(page, address)
    settled(page)
    labels = page.evaluate("[...document.querySelectorAll('[aria-label]')].map(e => e.ariaLabel).join(' ')")
    assert "Information plane, order 1 (token), debiased" in labels


@pytest.mark.parametrize("path", PATHS)
def test_a_narrow_screen_scrolls_in_one_direction_only(page: Page, address: str, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, address + path)
    settled(page)
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth")

"""Every page for readers without a mouse or without sight: axe-core's rules, points by keyboard, terms that explain."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.views import registry
from tests.harness import settled

pytestmark = pytest.mark.browser

SERIOUS = {"serious", "critical"}


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def serious(page: Page) -> list[tuple[str, str, str]]:
    """Rule, place and reason of every serious finding; none is excused, Streamlit's own widgets included."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], str(node["target"]), node["failureSummary"])
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("slug", [each.slug for each in registry.PAGES])
def test_no_page_has_a_serious_finding_of_axe(chromium: Browser, shipped: str, slug: str, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{shipped}/{slug}")
    settled(page)
    assert serious(page) == []
    context.close()


def test_the_keyboard_reaches_points_and_chooses_one(page: Page, shipped: str) -> None:
    page.goto(shipped)
    settled(page)
    plot = page.locator(".js-plotly-plot").first
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(plot.locator(".hoverlayer .hovertext")).to_have_count(1)
    first = plot.locator("[aria-live=polite]").inner_text()
    assert "complexity" in first
    page.keyboard.press("ArrowRight")
    expect(plot.locator("[aria-live=polite]")).not_to_have_text(first)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "points=" in url)
    settled(page)
    page.keyboard.press("Escape")
    expect(plot.locator(".hoverlayer .hovertext")).to_have_count(0)


def test_a_term_says_what_it_means_and_leads_to_its_place_on_method(page: Page, shipped: str) -> None:
    page.goto(f"{shipped}/layers")
    settled(page)
    term = page.get_by_test_id("stMain").locator("a[href*='method#term-']").first
    assert len(term.get_attribute("title") or "") > 20
    with page.context.expect_page() as opened:
        term.click()
    method = opened.value
    settled(method)
    anchor = (term.get_attribute("href") or "").partition("#")[2]
    expect(method.locator(f"#{anchor}")).to_be_in_viewport()

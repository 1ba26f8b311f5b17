"""What a visitor does to a page without thinking: back, forth, reload, double clicks, the legend, a second tab."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.views import registry
from tests.harness import settled

pytestmark = pytest.mark.browser

SHOWN = """() => [...document.querySelectorAll(".js-plotly-plot")].map(plot => plot.data
  .map(t => [t.name, t.customdata?.length]))"""
RANGES = """() => { const { xaxis, yaxis } = document.querySelector(".js-plotly-plot")._fullLayout
  return [...xaxis.range, ...yaxis.range] }"""
VISIBLE = """() => [...document.querySelectorAll(".js-plotly-plot")].map(plot =>
  plot.data.filter(t => t.legendgroup && (t.visible ?? true) === true).map(t => t.legendgroup))"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 1300})
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def visit(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)


def follow(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click()
    expect(page).to_have_title(f"{title} · softh")
    settled(page)


def go(page: Page, by: int, title: str) -> None:
    page.evaluate(f"history.go({by})")
    expect(page).to_have_title(f"{title} · softh")
    settled(page)


def area(page: Page) -> dict[str, float]:
    found = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert found is not None
    return found


def test_back_and_forward_open_what_was_seen_on_every_page(page: Page, shipped: str) -> None:
    visit(page, shipped)
    seen, pages = {}, [each for each in registry.PAGES if each.view]
    for each in pages:
        if each is not pages[0]:
            follow(page, each.title)
        seen[each.slug] = page.evaluate(SHOWN)
        assert seen[each.slug], each.slug
        assert "?" not in page.url  # nothing was chosen, so the shipped is that of the page
    assert page.evaluate("history.length") == len(pages) + 1  # the empty tab, and one entry a page
    for step in (-1, 1):
        for each in pages[-2::-1] if step < 0 else pages[1:]:
            go(page, step, each.title)
            assert page.evaluate(SHOWN) == seen[each.slug], each.slug


def test_what_was_chosen_comes_back_with_its_page_and_on_reload(page: Page, shipped: str) -> None:
    visit(page, f"{shipped}/?models=zoo-olmo2-60m+%28trained+here%29&order=2")
    first = page.evaluate(SHOWN)
    page.get_by_test_id("stButtonGroup").filter(has_text="raw").get_by_role("radio", name="raw").or_(
        page.get_by_role("button", name="raw")
    ).first.click()
    page.wait_for_url("**correction=raw**")
    settled(page)
    follow(page, "Layers")
    assert "order=2" in page.url
    assert "models=" not in page.url
    go(page, -1, "Trajectory")
    assert {"order=2", "correction=raw"} <= set(page.url.partition("?")[2].split("&"))
    assert "models=toy-60M-seed0" in page.url  # the name of today
    assert page.evaluate(SHOWN)[0][-1][0] == first[0][-1][0]
    page.reload()
    settled(page)
    assert {"order=2", "correction=raw"} <= set(page.url.partition("?")[2].split("&"))
    assert page.get_by_text("No model is chosen").count() == 0


def test_two_tabs_do_not_disturb_each_other(page: Page, shipped: str) -> None:
    visit(page, f"{shipped}/frontier")
    other = page.context.new_page()
    visit(other, f"{shipped}/frontier?order=3")
    settled(page)
    page.reload()
    settled(page)
    assert "order" not in page.url
    assert "order=3" in other.url


@pytest.mark.parametrize("path", ["/", "/frontier", "/layers"])
def test_a_double_click_shows_all_again_however_the_page_was_opened(page: Page, shipped: str, path: str) -> None:
    visit(page, shipped + path)
    whole = page.evaluate(RANGES)
    visit(page, f"{shipped}{path}?plane-axes=x+0.1%3A0.2")
    assert page.evaluate(RANGES) != whole
    box = area(page)
    for _ in range(2):  # the second shows no more than all
        page.mouse.dblclick(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.95)
        page.wait_for_url(lambda url: "plane-axes" not in url)
        settled(page)
        assert page.evaluate(RANGES) == pytest.approx(whole)


def test_an_entry_of_the_legend_hides_its_run_in_all_figures(page: Page, shipped: str) -> None:
    visit(page, shipped)
    plane, curves = page.evaluate(VISIBLE)
    runs = sorted(set(curves))
    assert len(runs) == 2
    assert set(runs) <= set(plane)
    page.locator(".js-plotly-plot").nth(1).locator(".legendtoggle").first.click()
    page.wait_for_function(f"() => ({VISIBLE})().every(groups => new Set(groups).size === 1)")
    page.locator(".js-plotly-plot").nth(1).locator(".legendtoggle").first.click()
    page.wait_for_function(f"() => ({VISIBLE})().every(groups => new Set(groups).size === 2)")


POINT = """number => {
  const plot = document.querySelector(".js-plotly-plot")
  const trace = plot._fullData.find(t => /markers/.test(t.mode) && t.legendgroup && t.customdata?.length > 5)
  const { x, y } = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout
  return [x + xaxis._offset + xaxis.d2p(trace.x[number]), y + yaxis._offset + yaxis.d2p(trace.y[number])] }"""
FADED = """() => [...document.querySelectorAll(".js-plotly-plot")].map(plot => plot._fullData
  .filter(t => t.legendgroup && plot.querySelector(`.trace${t.uid}`)?.style.opacity < 0.5).length)"""
RINGS = "() => document.querySelectorAll('.softh-ring circle').length"


def test_a_point_under_the_mouse_is_ringed_elsewhere_and_other_runs_fade(page: Page, shipped: str) -> None:
    visit(page, shipped)
    page.mouse.move(*page.evaluate(POINT, 10), steps=4)
    page.wait_for_function(f"() => ({RINGS})() >= 4")
    assert min(page.evaluate(FADED)) > 0
    page.mouse.move(2, 2, steps=4)
    page.wait_for_function(f"() => !({RINGS})()")
    assert max(page.evaluate(FADED)) == 0


def test_a_point_without_an_id_rings_nothing_elsewhere(page: Page, shipped: str) -> None:
    visit(page, f"{shipped}/preference")
    page.mouse.move(*page.evaluate(POINT, 3), steps=4)
    page.wait_for_function(f"() => ({FADED})()[0] > 0")
    assert page.evaluate(RINGS) == 0


def test_a_click_on_the_ring_of_a_phase_fades_nothing(page: Page, shipped: str) -> None:
    visit(page, shipped)
    at = page.evaluate("""() => {
      const plot = document.querySelector(".js-plotly-plot"), { xaxis, yaxis } = plot._fullLayout
      const ring = plot.data.find(t => t.marker?.symbol === "circle-open" && t.marker.size === 19)
      const box = plot.getBoundingClientRect()
      return [box.x + xaxis._offset + xaxis.d2p(ring.x[0]), box.y + yaxis._offset + yaxis.d2p(ring.y[0])] }""")
    page.mouse.move(*at)
    page.wait_for_timeout(300)
    page.mouse.click(*at)
    page.wait_for_timeout(1_000)
    settled(page)
    points = """[...document.querySelectorAll(".js-plotly-plot path.point")].map(p => Number(p.style.opacity))"""
    assert min(page.evaluate(points)) > 0.9


@pytest.mark.parametrize("slug", [each.slug for each in registry.PAGES])
def test_a_page_opens_by_its_own_address(page: Page, shipped: str, slug: str) -> None:
    title = registry.page(slug).title
    visit(page, f"{shipped}/{slug}")
    expect(page).to_have_title(f"{title} · softh")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0

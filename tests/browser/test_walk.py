"""A walk through every page and control of the shipped tables, and every page opened again by its link."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from dashboard.views import registry
from tests.harness import QUIET

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
# A page opened by its own path first looks for a server below that path; the browser reports the two misses.
PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")
KINDS = (
    "stButtonGroup",
    "stRadio",
    "stSelectbox",
    "stMultiSelect",
    "stCheckbox",
    "stSlider",
    "stTextInput",
    "stNumberInput",
)
SHOWN = """() => [...document.querySelectorAll(".js-plotly-plot")].map(plot => ({
  data: plot.data.map(t => [t.name, t.mode, LIST(t.x), LIST(t.y), LIST(t.z), t.marker && t.marker.size,
                            LIST(t.customdata)]),
  axes: Object.entries(plot._fullLayout).filter(([n]) => /^[xy]axis\\d*$/.test(n))
    .map(([n, a]) => [n, a.title.text, a.range]),
}))""".replace("LIST", "(v => v && v[Symbol.iterator] ? [...v] : v)")


DRAWN = """() => !document.querySelector("[data-testid=stSkeleton]")
  && [...document.querySelectorAll("[data-testid=stPlotlyChart], .stPlotlyChart")]
    .every(chart => chart.querySelector(".js-plotly-plot .main-svg"))"""


OTHERWISE = """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot => plot._fullData
  .map(t => [plot.data[t.index].type || "scatter", t.type]).filter(([asked, drawn]) => asked !== drawn))"""
"""Traces of a kind that the served module does not have: Plotly draws them as another and says nothing."""


def paths() -> list[str]:
    """The path of every page of the app."""
    return ["/" if page is registry.PAGES[0] else f"/{page.slug}" for page in registry.PAGES]


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A new session whose errors end up in `page.faults`."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.faults.append(f"{said.text} {said.location['url']}"))
    yield page
    context.close()
    assert [fault for fault in page.faults if not PROBE.search(fault)] == []


def visit(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("h1")
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page has run and Plotly has drawn, and see that nothing broke."""
    page.wait_for_timeout(400)
    page.wait_for_function(QUIET)
    page.wait_for_function(DRAWN)
    page.wait_for_timeout(300)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate(OTHERWISE) == []


def unfold(page: Page) -> None:
    """Open what is closed: what is closed is drawn, but cannot be reached."""
    closed = page.locator("[data-testid=stExpander] details:not([open]) summary")
    while closed.count():
        closed.first.evaluate("summary => summary.click()")  # the sidebar lies over a narrow page
        page.wait_for_timeout(50)


def controls(page: Page) -> list[tuple[str, int]]:
    """Every control that can be seen, by kind and place."""
    found = [(kind, place) for kind in KINDS for place in range(page.get_by_test_id(kind).count())]
    return [(kind, place) for kind, place in found if page.get_by_test_id(kind).nth(place).is_visible()]


def change(page: Page, kind: str, control: Locator) -> None:
    """Do what a reader does to a control: choose the second option, flip, move, write."""
    control.scroll_into_view_if_needed()
    if kind == "stButtonGroup":
        options = control.locator("button:not([aria-label^='Help'])")
        options.nth(min(1, options.count() - 1)).click()
    elif kind == "stRadio":  # by the keyboard: the list of slides lies below their pictures
        options = control.locator("input[type=radio]")
        options.nth(min(1, options.count() - 1)).press("Space")
    elif kind == "stCheckbox":
        control.locator("label").first.click()
    elif kind == "stSlider":
        control.get_by_role("slider").first.press("ArrowLeft")
    elif kind in ("stSelectbox", "stMultiSelect"):
        take_second(page, control)
    else:
        field = control.locator("input").first
        field.fill("y 0:0.4" if (field.get_attribute("placeholder") or "") == "all" else "1")
        field.press("Enter")


def take_second(page: Page, control: Locator) -> None:
    """Choose the second option of a list, the first where it has one; a page that is still being drawn closes it."""
    options = page.get_by_role("option")
    for patience in (5_000, 5_000, 30_000):
        control.locator("input").first.click()
        page.wait_for_timeout(300)
        if not (count := options.count()):
            break
        try:
            options.nth(min(1, count - 1)).click(timeout=patience)
            break
        except PlaywrightTimeout:
            page.keyboard.press("Escape")
            if patience > 5_000:
                raise
    page.keyboard.press("Escape")


def walk(page: Page) -> int:
    """Change every control once, those that appear on the way too; how many there were."""
    unfold(page)
    done: set[tuple[str, str]] = set()
    while left := [(kind, place) for kind, place in controls(page) if (kind, label(page, kind, place)) not in done]:
        kind, place = left[0]
        done.add((kind, label(page, kind, place)))
        control = page.get_by_test_id(kind).nth(place)
        if control.locator("input:disabled, button:disabled").count() == 0:
            change(page, kind, control)
            settle(page)
            unfold(page)
    return len(done)


def same_axes(first: list, second: list) -> None:
    """The same titles and ranges; a range that Plotly chose itself depends on the pixels of the moment."""
    for (name, title, here), (other, words, there) in zip(first, second, strict=True):
        assert (other, words) == (name, title)
        assert there == pytest.approx(here, abs=0.03 * abs(here[1] - here[0])), name


def label(page: Page, kind: str, place: int) -> str:
    return page.get_by_test_id(kind).nth(place).inner_text().partition("\n")[0] or str(place)


@pytest.mark.parametrize("path", paths())
def test_every_control_of_every_page_works_and_the_link_opens_what_was_seen(
    page: Page, chromium: Browser, shipped: str, path: str
) -> None:
    visit(page, shipped + path)
    changed = walk(page)
    if path not in ("/method", "/present", "/analyze"):
        assert changed > 4
    first, link = page.evaluate(SHOWN), page.url
    other = chromium.new_context(viewport={"width": 1400, "height": 900}).new_page()
    visit(other, link)
    again = other.evaluate(SHOWN)
    assert json.dumps([figure["data"] for figure in again]) == json.dumps([figure["data"] for figure in first])
    for here, there in zip(first, again, strict=True):
        same_axes(here["axes"], there["axes"])
    assert "The link asks for" not in other.locator("[data-testid=stMain]").inner_text()
    other.context.close()


def test_a_zoom_and_chosen_points_are_in_the_link(page: Page, chromium: Browser, shipped: str) -> None:
    visit(page, shipped)
    for number, index in enumerate((20, 24), 1):
        pick(page, index, number)
    area = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert area is not None
    corners = [(area["x"] + area["width"] * share, area["y"] + area["height"] * share) for share in (0.3, 0.8)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=8)
    page.mouse.up()
    page.wait_for_url(lambda url: url.count("points=") == 2 and "plane-axes=" in url)
    settle(page)
    first = page.evaluate(SHOWN)
    other = chromium.new_context(viewport={"width": 1400, "height": 900}).new_page()
    visit(other, page.url)
    second = other.evaluate(SHOWN)
    assert json.dumps([figure["data"] for figure in second]) == json.dumps([figure["data"] for figure in first])
    for (name, _, here), (_, _, there) in zip(first[0]["axes"], second[0]["axes"], strict=True):
        assert there == pytest.approx(here, rel=1e-3, abs=1e-4), name
    other.mouse.dblclick(*corners[0])
    other.wait_for_url(lambda url: "plane-axes=" not in url)
    other.context.close()


def pick(page: Page, index: int, number: int) -> None:
    """Click a point until so many are in the link: a busy browser misses a click before it knows what it is over."""
    for _ in range(3):
        x, y = page.evaluate(POINT, index)
        page.mouse.move(x - 40, y - 40)
        page.mouse.move(x, y, steps=4)
        with suppress(PlaywrightTimeout):  # Plotly takes a click for the point whose text it shows
            page.wait_for_selector(".hoverlayer .hovertext", timeout=10_000)
        page.wait_for_timeout(300)
        page.mouse.click(x, y)
        with suppress(PlaywrightTimeout):
            page.wait_for_url(lambda url: url.count("points=") == number, timeout=10_000)
            break
    settle(page)


POINT = """index => {
  const plot = document.querySelector(".js-plotly-plot")
  const trace = plot._fullData[plot.data.findIndex(t => t.customdata)]
  const { xaxis, yaxis } = plot._fullLayout
  const box = plot.getBoundingClientRect()
  return [box.x + xaxis._offset + xaxis.d2p(trace.x[index]), box.y + yaxis._offset + yaxis.d2p(trace.y[index])]
}"""


def test_a_run_plays_in_the_browser_without_the_server(page: Page, shipped: str) -> None:
    visit(page, f"{shipped}/?play=true")
    heads = "document.querySelector('.js-plotly-plot').data.at(-1).x.map(Number)"
    begun = page.evaluate(heads)
    sent: list[str] = []
    page.on("websocket", lambda _: sent.append("a new connection"))
    page.locator(".updatemenu-button").first.click()
    page.wait_for_function(f"JSON.stringify({heads}) !== '{json.dumps(begun, separators=(',', ':'))}'")
    page.wait_for_timeout(1_000)
    assert page.locator("[data-testid=stApp]").get_attribute("data-test-script-state") == "notRunning"
    assert sent == []


def test_the_introduction_is_put_away_for_good(page: Page, shipped: str) -> None:
    visit(page, shipped)
    page.get_by_role("button", name="Got it").click()
    expect(page.locator(".intro")).to_be_hidden()
    visit(page, f"{shipped}/layers")
    expect(page.locator(".intro")).to_be_hidden()
    visit(page, f"{shipped}/method")
    expect(page.locator(".intro")).to_be_visible()


@pytest.mark.parametrize(
    "query", ["%FF%FE=%80", "order=%E0%A4%A", "models=%00&order=%F0", "plane-axes=x+1:&corpus=%C0"]
)
def test_broken_encoding_in_a_link_is_a_note_at_most(page: Page, shipped: str, query: str) -> None:
    visit(page, f"{shipped}/?{query}")
    expect(page.locator(".js-plotly-plot")).to_have_count(2)


def test_a_reader_gets_everywhere_with_the_keyboard(page: Page, shipped: str) -> None:
    visit(page, shipped)
    page.locator("[data-testid=stSidebarNavLink]").first.focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.update(page.evaluate(ANCESTORS))
    assert {"stButtonGroup", "stSelectbox", "stMultiSelect", "stExpander"} <= reached


ANCESTORS = """() => {
  const found = []
  for (let e = document.activeElement; e; e = e.parentElement) if (e.dataset.testid) found.push(e.dataset.testid)
  return found
}"""

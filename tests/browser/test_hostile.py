"""Every stored text is hostile at once, in a real browser: no request to elsewhere, no script, no live link."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page

from dashboard.decks import render
from dashboard.decks import store as decks
from dashboard.export import html, pdf
from dashboard.export.contents import DeckExport
from dashboard.figures.template import LIGHT
from dashboard.views import registry
from softh import access, jobs
from softh.jobs import records
from softh.store import write
from tests.harness import PATHS, QUIET, serving
from tests.probe_rows import hostile_probe
from tests.store_rows import HOSTILE, hostile_record

pytestmark = pytest.mark.browser
LIVE = """() => [...document.querySelectorAll("a, img, iframe, object, embed, form, area, link, image")]
  .flatMap(each => ["href", "xlink:href", "src", "data", "action"].map(name => each.getAttribute(name)).filter(Boolean))
  .filter(address => !["", location.host].includes(new URL(address, location.href).host))"""
"""Addresses of elsewhere in the page, whatever element has them."""
PICTURES = """() => Promise.all([...document.querySelectorAll(".js-plotly-plot")]
  .map(figure => Plotly.toImage(figure, {format: "svg"})))"""
"""Every figure as the SVG that a reader saves."""
OWN = {"https://arxiv.org/abs/2604.07569"}
"""The paper that every page names."""


def fill(data: Path) -> None:
    """Store hostile estimates, scores, jobs and a deck."""
    access.set_identity_provider(access.Person)
    for step in (0, 10, 100):
        write.save(hostile_record(step=step, tokens=1_000 * step), data)
    for number, name in enumerate("abcde"):
        shape = lambda depth, order, by=number / 50: (0.9, 0.3 + by * by + depth / 9, 0.2 + by + depth / 9, 0.02)  # noqa: E731
        write.save(hostile_record(name, shape=shape), data)
    for number, stage in enumerate(("base", "sft", None)):
        write.save(hostile_probe(number, stage=stage, scale=1 + number / 9), data)
    about = {"revision": None, "metric": HOSTILE, "stderr": 0.1, "source": HOSTILE}
    scores = [(f"{name}{HOSTILE}", f"{task}{HOSTILE}") for name in "abcde" for task in (1, 2)]
    write.save_scores(
        [{"model": name, "task": task, "score": i / 9, **about} for i, (name, task) in enumerate(scores)], data
    )
    with records.connect(jobs.folder(data)) as connection:
        for state in ("failed", "cancelled", "done", "queued", "running", "interrupted"):
            connection.execute(
                "INSERT INTO jobs (kind, spec, submitted, ended, state, title, message, phase, result, person) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ("sweep", json.dumps(state), 0.0, 1.0, state, *[HOSTILE] * 5),
            )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_DATA", str(folder))
        slides = [decks.Slide(page, {}, key, HOSTILE[:100], HOSTILE[:500])
                  for page, key in (("trajectory", "plane"), ("frontier", "frontier"))]  # fmt: skip
        decks.save("deck", slides)
    (folder / "runs" / "![x](http:evil.example)<a href='http:evil'>.parquet").write_bytes(b"no run")
    return folder


@pytest.fixture(scope="module")
def address(data: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_WORKER_IDLE", "0")  # no page starts a worker for the open jobs
        with serving(data) as found:
            yield found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 2400})
    opened = context.new_page()
    yield opened
    context.close()


@pytest.mark.parametrize("name", PATHS)
def test_no_page_asks_elsewhere_runs_a_script_or_holds_a_link(page: Page, address: str, name: str) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"{address}{PATHS[name]}")
    page.wait_for_function(QUIET, timeout=60_000)
    page.wait_for_timeout(1_500)
    for plot in page.locator(".js-plotly-plot .nsewdrag").all()[:4]:
        plot.hover(timeout=5_000, force=True)
        page.wait_for_timeout(200)
    assert [url for url in asked if "evil" in url] == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert page.evaluate("window.hostile") is None
    assert set(page.evaluate(LIVE)) <= OWN
    assert refused == []  # nothing of our own is held back by the policy either
    if name != "method":
        assert "evil.example" in page.inner_text("body")


@pytest.fixture(scope="module")
def exported(data: Path) -> DeckExport:
    """A deck of every figure of every page, its titles and notes hostile, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_DATA", str(data))
        slides = [
            decks.Slide(slug, {}, key, HOSTILE[:100], HOSTILE[:500])
            for slug in registry.VIEWS for key in registry.build(slug, {})[0].figures
        ]  # fmt: skip
        return DeckExport(HOSTILE, render.render(slides, dark=False, site="http://localhost"), LIGHT)


@pytest.mark.parametrize("form", [html.deck, html.printable_deck])
def test_no_exported_page_asks_elsewhere_runs_a_script_or_holds_a_link(
    chromium: Browser, exported: DeckExport, form: Callable[[DeckExport], bytes], tmp_path: Path
) -> None:
    file = tmp_path / "deck.html"
    file.write_bytes(form(exported))
    context = chromium.new_context(viewport={"width": 1440, "height": 2400})
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file.as_uri())
    opened.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    opened.wait_for_timeout(3_000)
    assert [url for url in asked if not url.startswith((file.as_uri(), "data:", "blob:"))] == []
    assert opened.evaluate("window.hostile") is None
    assert [link for link in opened.evaluate(LIVE) if "evil" in link] == []
    assert "evil.example" in opened.inner_text("body")
    context.close()


def test_no_exported_picture_or_pdf_holds_a_link(chromium: Browser, exported: DeckExport, tmp_path: Path) -> None:
    file = tmp_path / "deck.html"
    file.write_bytes(html.printable_deck(exported))
    context = chromium.new_context()
    opened = context.new_page()
    opened.goto(file.as_uri())
    opened.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    opened.wait_for_timeout(3_000)
    pictures = opened.evaluate(PICTURES)
    assert len(pictures) > 10
    for picture in pictures:
        for part in ElementTree.fromstring(unquote(picture.partition(",")[2])).iter():
            assert part.tag.rpartition("}")[2] not in {"a", "script", "foreignObject"}
            addresses = [value for name, value in part.items() if name.endswith(("href", "src"))]
            assert all(
                address.startswith(("#", "data:image/png;")) for address in addresses
            )  # a scale of colours is one
    context.close()
    with ThreadPoolExecutor(1) as pool:  # Playwright's loop runs in this thread
        printed = pool.submit(pdf.deck, exported).result()
    assert b"evil" not in b"".join(re.findall(rb"/URI ?\([^)]*\)", printed))


def test_a_page_of_another_name_reaches_nothing(chromium: Browser, address: str) -> None:
    port = address.rpartition(":")[2]
    context = chromium.new_context()
    opened = context.new_page()
    sockets: list[str] = []
    opened.on("websocket", lambda socket: sockets.append(socket.url))
    answer = opened.request.get(f"{address}/analyze", headers={"Host": f"evil.example:{port}"})
    assert answer.status == 400
    assert "SOFTH_HOSTS" in answer.text()
    assert sockets == []
    context.close()

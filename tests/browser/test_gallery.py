"""The static site in a real browser, opened from its folder: no request, both themes, phones, hostile names."""

import functools
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from dashboard.gallery import site
from softh.store import write
from tests.harness import DRAWN, ROOT, serving, settled
from tests.store_rows import hostile_record

pytestmark = pytest.mark.browser
LIVE = """() => [...document.querySelectorAll("a, img, iframe, image")]
  .map(each => each.href?.baseVal ?? each.href ?? each.src)
  .filter(place => /^https?:.*evil/.test(place))"""
"""Addresses of elsewhere that a name brought."""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def built(data: Path, folder: Path) -> Path:
    """The site of the tables of a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTH_DATA", str(data))
        content, _ = site.files()
    site.write(folder, content)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    shutil.copy(ROOT / "data" / "softh.duckdb", data)
    return built(data, tmp_path_factory.mktemp("site") / "out")


class Opened:
    """A page in a session without a network, what it asked for, and what went wrong."""

    def __init__(self, chromium: Browser, width: int, *, dark: bool = False) -> None:
        self.context = chromium.new_context(
            offline=True, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
        )  # fmt: skip
        self.page, self.asked, self.faults = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def open(self, path: Path) -> Page:
        self.page.goto(path.as_uri())
        self.page.evaluate("window.drawn")
        return self.page


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_opens_from_its_folder_without_a_request(chromium: Browser, folder: Path, width: int) -> None:
    with Opened(chromium, width) as opened:
        for path in sorted(folder.glob("*.html")):
            page = opened.open(path)
            assert page.locator(".plot").count() == page.locator(".plot.js-plotly-plot").count() > 0
            assert page.evaluate(WIDER) <= 0, path.name
        assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert opened.faults == []


def test_the_theme_follows_the_reader_and_can_be_changed(chromium: Browser, folder: Path) -> None:
    view = sorted(path for path in folder.glob("*.html") if path.name != "index.html")[0]
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    ink = "document.querySelector('.plot')._fullLayout.font.color"
    with Opened(chromium, 1440, dark=True) as opened:
        page = opened.open(view)
        assert (page.evaluate(ground), page.evaluate(ink)) == ("rgb(18, 22, 27)", "#E4E8EC")
        page.get_by_role("button", name="Light theme").click()
        page.wait_for_function(f"{ink} === '#1F2933'")
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert opened.faults == []


def test_a_figure_saved_as_one_file_opens_elsewhere(chromium: Browser, folder: Path, tmp_path: Path) -> None:
    view = sorted(path for path in folder.glob("*.html") if path.name != "index.html")[0]
    with Opened(chromium, 1440) as opened:
        page = opened.open(view)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as one file").first.click()
        alone = tmp_path / download.value.suggested_filename
        download.value.save_as(alone)
        seen = page.evaluate("document.querySelector('.plot').data.map(t => [t.name, t.x, t.y])")
    with Opened(chromium, 1000) as opened:
        page = opened.page
        page.goto(alone.as_uri())
        page.wait_for_selector(DRAWN)
        assert page.evaluate("document.querySelector('#figure').data.map(t => [t.name, t.x, t.y])") == seen
        assert opened.asked == [alone.as_uri()]
        assert opened.faults == []


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a server of the files of a folder."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def test_the_code_of_an_iframe_shows_the_figure_in_another_page(
    chromium: Browser, folder: Path, tmp_path: Path
) -> None:
    view = next(path for path in sorted(folder.glob("*.html")) if path.name != "index.html")
    with served(folder) as address, served(tmp_path) as elsewhere:
        page = chromium.new_page()
        page.goto(f"{address}/{view.name}")
        page.evaluate("window.drawn")
        page.get_by_text("Embed", exact=True).first.click()
        code = page.locator("textarea").first.input_value()
        assert re.match(rf'<iframe src="{address}/figures/[\w-]+\.html" title=', code)
        (tmp_path / "blog.html").write_text(f"<!doctype html><title>blog</title>{code}", encoding="utf-8")
        page.goto(f"{elsewhere}/blog.html")
        page.frame_locator("iframe").locator(DRAWN).first.wait_for()
        page.close()


def test_a_site_that_a_setting_names_shows_a_view_by_the_code_of_the_menu(
    chromium: Browser, tmp_path: Path, record: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (0, 8, 64):
        write.save(record("Run", f"step{step}", step=step, tokens=64 * step), tmp_path / "data")
    (tmp_path / "blog").mkdir()
    codes = []
    with served(tmp_path / "blog") as elsewhere:
        for named in ("", elsewhere):
            monkeypatch.setenv("SOFTH_FRAMES", named)
            with serving(tmp_path / "data") as address:
                page = chromium.new_page()
                page.goto(f"{address}/?spread=bands")
                page.wait_for_selector(DRAWN)
                settled(page)
                page.get_by_role("button", name="Export").first.click()
                page.get_by_role("button", name="Embed").click()
                page.locator("textarea").first.wait_for()
                codes.append([each.input_value() for each in page.locator(".menu textarea").all()])
                if named:
                    (tmp_path / "blog" / "index.html").write_text(f"<!doctype html>{codes[-1][0]}", encoding="utf-8")
                    page.goto(elsewhere)
                    page.frame_locator("iframe").locator(DRAWN).first.wait_for()
                page.close()
    (alone,), (live, file) = codes
    assert file == alone
    assert 'src="softh-trajectory-plane.html"' in file
    assert re.search(r'src="http://localhost:\d+/\?spread=bands&#38;embed=true"', live)


def test_hostile_names_do_nothing(chromium: Browser, tmp_path: Path) -> None:
    for step in (0, 10, 100, 1_000):
        write.save(hostile_record(step=step, tokens=1_000 * step), tmp_path / "data")
    for number, name in enumerate("abc"):
        shape = lambda depth, order, by=number / 50: (0.9, 0.3 + by + depth / 9, 0.2 + by + depth / 9, 0.02)  # noqa: E731
        write.save(hostile_record(name, shape=shape), tmp_path / "data")
    folder = built(tmp_path / "data", tmp_path / "out")
    with Opened(chromium, 1440) as opened:
        for path in [*folder.glob("*.html"), *folder.glob("figures/*.html")]:
            page = opened.open(path)
            assert page.evaluate("window.hostile") is None
            assert page.evaluate(LIVE) == []
        assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert opened.faults == []

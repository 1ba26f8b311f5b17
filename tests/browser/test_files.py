"""The menu of a figure in a real browser; what it exports is opened again by other software."""

import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from pptx import Presentation

from softh.store import write
from tests.browser.pictures import TOLERANCE, difference, of_pdf, of_svg
from tests.harness import DRAWN, serving, settled

pytestmark = pytest.mark.browser

NO_PLAY = ".softh-play { visibility: hidden }"
"""What plays is no part of a figure on paper."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, record: Callable) -> Iterator[str]:
    """An app on a run of eight checkpoints and a finished model."""
    data = tmp_path_factory.mktemp("data")
    for step in (0, *(2**power for power in range(3, 10))):
        fitted = 0.3 * step / (step + 60)
        write.save(record("Run-1M", f"step{step}", step=step, tokens=4_096 * step, shape=shaped(fitted)), data)
    write.save(record("Done"), data)
    with serving(data) as found:
        yield found


def shaped(fitted: float) -> Callable:
    return lambda depth, order: (0.9, 0.05 * order + fitted, 0.05 * order + 0.4 * fitted**1.3, 0.04 * order)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def menu(page: Page, number: int = 0) -> None:
    """Open the menu of a figure, and wait until it knows how large the figure is."""
    page.wait_for_selector(DRAWN)
    settled(page)
    page.get_by_role("button", name="Export").nth(number).click()
    page.get_by_role("button", name="SVG").wait_for()
    settled(page)


def saved(page: Page, name: str, folder: Path) -> Path:
    # The first PDF of a server cuts its fonts; a busy machine takes its time.
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name=name, exact=True).click()
    download.value.save_as(folder / download.value.suggested_filename)
    return folder / download.value.suggested_filename


def picture(where: Locator) -> Image.Image:
    return Image.open(io.BytesIO(where.screenshot()))


def test_svg_and_pdf_are_what_is_seen(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    menu(page)
    svg, pdf = saved(page, "SVG", tmp_path), saved(page, "PDF", tmp_path)
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    settled(page)
    page.add_style_tag(content=NO_PLAY)
    screen = picture(page.locator(".st-key-plane .svg-container"))
    others = {"svg": of_svg(svg, screen.width, tmp_path), "pdf": of_pdf(pdf)}
    apart = {name: difference(screen, other) for name, other in others.items()}
    curves = difference(screen, picture(page.locator(".st-key-curves .svg-container")))
    print(f"mean difference from the screen: {apart}; of another figure {curves:.4f}")  # noqa: T201
    assert max(apart.values()) < TOLERANCE < curves
    assert [abs(a - b) <= 1 for a, b in zip(others["pdf"].size, screen.size, strict=True)] == [True, True]
    fonts = subprocess.run(["pdffonts", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert "SourceSans3" in fonts
    assert "Type 3" not in fonts


def test_a_zoomed_figure_is_exported_zoomed(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    page.wait_for_selector(DRAWN)
    settled(page)
    before = picture(page.locator(".st-key-plane .svg-container"))
    page.evaluate(
        "Plotly.relayout(document.querySelector('.st-key-plane .js-plotly-plot'), {'xaxis.range': [0.1, 0.2]})"
    )
    menu(page)
    svg, pdf = saved(page, "SVG", tmp_path), saved(page, "PDF", tmp_path)
    page.keyboard.press("Escape")
    settled(page)
    page.add_style_tag(content=NO_PLAY)
    screen = picture(page.locator(".st-key-plane .svg-container"))
    for drawn in (of_svg(svg, screen.width, tmp_path), of_pdf(pdf)):
        assert difference(screen, drawn) < TOLERANCE < difference(before, drawn)


def test_a_column_has_the_width_that_it_says(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    menu(page)
    page.get_by_role("radio", name="Single column").or_(page.get_by_role("button", name="Single column")).first.click()
    page.get_by_text("85 × 85 mm (3.35 × 3.35 in)").wait_for()
    settled(page)
    svg, pdf = saved(page, "SVG", tmp_path), saved(page, "PDF", tmp_path)
    assert float(
        re.search(r'<svg[^>]* width="([\d.]+)in"', svg.read_text(encoding="utf-8"))[1]
    ) * 25.4 == pytest.approx(85)
    size = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert float(re.search(r"Page size: +([\d.]+)", size)[1]) / 72 * 25.4 == pytest.approx(85, abs=0.5)
    sharp = Image.open(saved(page, "PNG 4×", tmp_path))
    assert sharp.size == pytest.approx((85 / 25.4 * 384,) * 2, abs=1)
    assert difference(sharp.resize((642, 642)), of_svg(svg, 642, tmp_path)) < TOLERANCE


def test_pictures_are_two_and_four_times_the_screen(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    menu(page)
    screen = page.evaluate(
        "(p => [p.width, p.height])(document.querySelector('.st-key-plane .js-plotly-plot')._fullLayout)"
    )
    for times in (2, 4):
        drawn = Image.open(saved(page, f"PNG {times}×", tmp_path))
        assert drawn.size == tuple(round(side * times) for side in screen)


def test_html_works_without_a_network(page: Page, chromium: Browser, address: str, tmp_path: Path) -> None:
    page.goto(address)
    menu(page)
    html = saved(page, "HTML", tmp_path)
    seen = page.evaluate("document.querySelector('.st-key-plane .js-plotly-plot').data.map(t => [t.name, t.x, t.y])")
    with offline(chromium) as (other, asked):
        other.goto(html.as_uri())
        other.wait_for_selector(DRAWN)
        assert other.evaluate("document.querySelector('#figure').data.map(t => [t.name, t.x, t.y])") == seen
        assert asked == [html.as_uri()]


def test_data_are_the_rows_of_the_page_and_the_link_opens_it(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/?order=2&correction=raw")
    menu(page)
    csv, parquet = saved(page, "CSV", tmp_path), saved(page, "Parquet", tmp_path)
    rows = pl.read_parquet(parquet)
    assert pl.read_csv(csv, infer_schema_length=None)["input"].to_list() == rows["input"].to_list()
    assert set(rows["ngram"]) == {2}
    page.get_by_role("button", name="Link", exact=True).click()
    page.get_by_text("in the clipboard").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert {"order=2", "correction=raw"} <= set(link.partition("?")[2].split("&"))
    data = "document.querySelector('.st-key-plane .js-plotly-plot').data.map(t => [t.name, t.x, t.y])"
    first = page.evaluate(data)
    page.goto(link)
    page.wait_for_selector(DRAWN)
    settled(page)
    assert page.evaluate(data) == first


class offline:  # noqa: N801 - reads as a word
    """A new session without any network, and what it asked for."""

    def __init__(self, chromium: Browser) -> None:
        self.context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 720})

    def __enter__(self) -> tuple[Page, list[str]]:
        page, asked, self.faults = self.context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        return page, asked

    def __exit__(self, *error: object) -> None:
        self.context.close()
        assert self.faults == []


def test_a_deck_of_two_pages_is_ordered_presented_and_exported(
    page: Page, chromium: Browser, address: str, tmp_path: Path
) -> None:
    page.goto(address)
    menu(page)
    csv = saved(page, "CSV", tmp_path)
    page.get_by_role("button", name="Add this figure").click()
    page.get_by_text("Added to talk, slide 1.").wait_for()
    page.goto(f"{address}/layers?model=Run-1M&revision=step64&correction=raw")
    menu(page, 1)
    page.get_by_role("button", name="Add whole page").click()
    page.get_by_text("Added to talk, slide 2.").wait_for()

    page.goto(f"{address}/present?deck=talk&slide=2")
    page.wait_for_selector(DRAWN)
    page.get_by_role("button", name="Up").click()
    page.wait_for_url(lambda url: "slide=" not in url)  # the first goes without saying
    settled(page)
    pictures = page.locator("[aria-label='Pictures of the slides'] li")
    pictures.nth(0).drag_to(pictures.nth(1))
    page.wait_for_url("**slide=2**")
    settled(page)
    pictures.nth(1).drag_to(pictures.nth(0))
    page.wait_for_url(lambda url: "slide=" not in url)
    settled(page)
    page.get_by_label("Title").fill("By layer")
    page.get_by_label("Title").press("Enter")
    page.get_by_label("Note").fill("The middle keeps least.")
    page.get_by_label("Note").press("Control+Enter")
    settled(page)
    expect(page.get_by_role("radiogroup")).to_contain_text("By layer")

    page.get_by_role("button", name="Present").click()
    page.wait_for_selector(".softh-deck[data-slide='1'] .xtitle")
    assert page.locator(".softh-deck h1").inner_text() == "By layer"
    assert page.locator(".softh-deck .note").inner_text() == "The middle keeps least."
    large = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.softh-deck h1')).fontSize)")
    assert large >= 36
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".softh-deck[data-slide='2'] .xtitle")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(".softh-deck[data-slide='1'] .xtitle")
    page.keyboard.press("End")
    page.wait_for_selector(".softh-deck[data-slide='2'] .xtitle")
    page.keyboard.press("Escape")
    expect(page.locator(".softh-deck")).to_have_count(0)
    page.wait_for_url("**slide=2**")
    settled(page)

    _html_presents_itself(chromium, saved(page, "HTML", tmp_path))
    _powerpoint_holds_the_rows(saved(page, "PPTX", tmp_path), pl.read_csv(csv, infer_schema_length=None), tmp_path)
    pages = subprocess.run(
        ["pdftotext", str(saved(page, "PDF", tmp_path)), "-"], capture_output=True, text=True, check=True
    ).stdout.split("\f")
    assert ["By layer" in pages[0], "Trajectory" in pages[1], len(pages)] == [True, True, 3]


def _html_presents_itself(chromium: Browser, file: Path) -> None:
    with offline(chromium) as (other, asked):
        other.goto(file.as_uri())
        other.wait_for_selector(".softh-deck[data-slide='1'] .xtitle")
        assert other.locator(".softh-deck .js-plotly-plot").count() == 4
        other.keyboard.press("ArrowRight")
        other.wait_for_selector(".softh-deck[data-slide='2'] .xtitle")
        box = other.locator(".softh-deck .scatterlayer .point").last.bounding_box()
        other.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        other.wait_for_selector(".softh-deck .hoverlayer .hovertext")
        assert asked == [file.as_uri()]


def _powerpoint_holds_the_rows(file: Path, rows: pl.DataFrame, folder: Path) -> None:
    slides = Presentation(str(file)).slides
    [chart] = [shape.chart for shape in slides[1].shapes if shape.has_chart]
    series = {one.name: [float(value) for value in one.iter_values()] for one in chart.plots[0].series}
    wanted = rows.filter(pl.col("model") == "Run-1M").sort("tokens")["output"].to_list()
    assert series["Run-1M"] == pytest.approx(wanted, abs=1e-12)
    assert len([shape for shape in slides[0].shapes if shape.has_chart]) == 6
    command = ["soffice", "--headless", f"-env:UserInstallation={(folder / 'office').as_uri()}", "--convert-to", "pdf"]
    subprocess.run([*command, "--outdir", str(folder / "office-pdf"), str(file)], check=True, capture_output=True)
    [pdf] = (folder / "office-pdf").glob("*.pdf")
    drawn = subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout.split("\f")
    assert "By layer" in drawn[0]
    assert "complexity" in drawn[0]
    assert "Run-1M" in drawn[1]
    # A chart that did not open is an empty frame; these have the colours of their lines.
    colours = {colour for _, colour in of_pdf(pdf, 2).convert("RGB").getcolors(1 << 24)}
    assert len(colours) > 50


def test_a_deck_whose_model_is_gone_says_so_and_shows_the_rest(
    chromium: Browser, record: Callable, tmp_path: Path
) -> None:
    write.save(record("Here"), tmp_path)
    slide = {"page": "layers", "query": {"model": ["Gone"]}, "figure": None, "title": "Old", "note": ""}
    rest = slide | {"query": {"model": ["Here"]}, "title": "New"}
    (tmp_path / "decks").mkdir()
    (tmp_path / "decks" / "talk.json").write_text(json.dumps({"version": 1, "slides": [slide, rest]}), encoding="utf-8")
    with serving(tmp_path) as found:
        page = chromium.new_page()
        page.goto(f"{found}/present?deck=talk&slide=1")
        page.get_by_text("model Gone, which is not among Here").wait_for()
        page.get_by_role("button", name="Present").click()
        page.wait_for_selector(".softh-deck .problem")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".softh-deck[data-slide='2'] .xtitle")
        page.close()

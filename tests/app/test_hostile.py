"""Every stored text is hostile at once: no element of any page, figure or file holds a link, an image or a formula."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import plotly.graph_objects as go
import pytest
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from dashboard.decks import render, store
from dashboard.export import tables
from dashboard.export.contents import DeckExport, FigureExport, Size
from dashboard.export.powerpoint import deck as powerpoint
from dashboard.figures.template import LIGHT
from dashboard.views import registry
from softh import jobs
from softh.jobs import records
from softh.store import write
from tests.probe_rows import hostile_probe
from tests.store_rows import HOSTILE, hostile_record

APP = str(Path(__file__).parents[2] / "app.py")
AUTOMATIC = re.compile(r"(?i)(https?://|www\.)evil|[\w]@evil")
OWN = re.compile(r"(?:/[\w/]*)?method#[\w-]+")
"""Where a term of ours leads."""
LIVE = {"link_open", "image", "html_inline", "html_block"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder in which nothing is harmless; the pages do not change it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("hostile")
        patch.setenv("SOFTH_DATA", str(folder))
        patch.setenv("SOFTH_WORKER_IDLE", "0")  # no page starts a worker for the open jobs
        fill(folder)
        yield folder


def fill(folder: Path) -> None:
    for step in (0, 10, 100):
        write.save(hostile_record(step=step, tokens=1_000 * step), folder)
    for number, name in enumerate("abcde"):
        shape = lambda depth, order, by=number / 50: (0.9, 0.3 + by * by + depth / 9, 0.2 + by + depth / 9, 0.02)  # noqa: E731
        write.save(hostile_record(name, shape=shape), folder)
    for number, stage in enumerate(("base", "sft", None)):
        write.save(hostile_probe(number, stage=stage, scale=1 + number / 9), folder)
    with records.connect(jobs.folder()) as connection:
        states = ("failed", "cancelled", "done", "queued", "running", "interrupted")
        rows = [("steps", f"[{n}]", 0.0, state, *[HOSTILE] * 5) for n, state in enumerate(states)]
        columns = "kind, spec, submitted, state, title, message, phase, result, person"
        connection.executemany(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    about = {"revision": None, "metric": HOSTILE, "stderr": 0.1, "source": HOSTILE}
    scores = [(f"{name}{HOSTILE}", f"{task}{HOSTILE}") for name in "abcde" for task in (1, 2)]
    write.save_scores(
        [{"model": name, "task": task, "score": i / 9, **about} for i, (name, task) in enumerate(scores)], folder
    )
    pages = [("trajectory", "plane"), ("frontier", "frontier"), ("layers", "plane")]
    pages += [("preference", "profile"), ("preference", "others")]
    store.save("deck", [store.Slide(page, {}, figure, HOSTILE[:100], HOSTILE[:500]) for page, figure in pages])
    (folder / "runs" / "![x](http:evil.example)<a href='http:evil'>.parquet").write_bytes(b"no run")


def markdown(app: AppTest) -> Iterator[tuple[str, str]]:
    """Type and text of every element whose text the browser renders as Markdown."""
    pending: list[Any] = [app._tree]
    while pending:
        node = pending.pop()
        pending += list(getattr(node, "children", {}).values())
        proto = getattr(node, "proto", None)
        for name in ("body", "label", "help", "text", "caption"):
            value = getattr(proto, name, None)
            if isinstance(value, str) and value:
                yield f"{type(node).__name__}.{name}", value


def live(text: str) -> list[str]:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    inline = [
        child for token in tokens for child in token.children or () if not OWN.fullmatch(str(child.attrGet("href")))
    ]
    kinds = {child.type for child in inline} | {token.type for token in tokens}
    shown = " ".join(child.content for token in tokens for child in token.children or () if child.type == "text")
    found = sorted(kinds & LIVE) if "evil" in text else []
    return found + [match[0] for match in AUTOMATIC.finditer(shown)]


@pytest.mark.parametrize("page", [page.script for page in registry.PAGES])
def test_no_text_of_a_page_is_live(data: Path, page: str) -> None:
    app = AppTest.from_file(APP, default_timeout=60).run()
    if page != registry.PAGES[0].script:
        app = app.switch_page(page).run()
    assert not app.exception
    texts = [*markdown(app)]
    assert any("evil" in text for _, text in texts) or page.endswith("method.py")
    assert [(kind, found, text[:200]) for kind, text in texts if (found := live(text))] == []


@pytest.mark.parametrize("slug", registry.VIEWS)
def test_no_figure_has_a_link_and_no_cell_a_formula(data: Path, slug: str) -> None:
    view, _ = registry.build(slug, {})
    for key, figure in view.figures.items():
        drawn = go.Figure(figure).update_layout(meta=None)  # the alt text is an attribute, not markup
        assert not re.search(r"<(a|img|script)[ >]", str(drawn.to_json()).replace("\\u003c", "<"))
        export = FigureExport(figure, Size(800, 600), LIGHT, view.title, view.behind.get(key, view.data))
        lines = tables.csv(export).decode().splitlines()
        assert not [cell for line in lines for cell in line.split(",") if cell.strip('"').startswith(("=", "@", "+"))]


def test_no_workbook_of_a_presentation_has_a_formula(data: Path) -> None:
    deck = powerpoint(DeckExport(HOSTILE, render.render(store.load("deck"), dark=False), LIGHT))
    books = 0
    with ZipFile(BytesIO(deck)) as file:
        for name in file.namelist():
            if name.endswith(".xlsx"):
                books += 1
                with ZipFile(BytesIO(file.read(name))) as book:
                    assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
            elif name.endswith(".rels"):
                assert b"http://evil" not in file.read(name)
    assert books

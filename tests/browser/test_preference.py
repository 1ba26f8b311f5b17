"""The preference page in a real browser: a reader's own pairs go in, and a profile comes out."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from softh.store import read, write
from tests.harness import serving
from tests.probe_rows import probe
from tests.tiny import llama, save_model, texts

pytestmark = pytest.mark.browser

MINUTE = 120_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Probes of a model before and after DPO."""
    folder = tmp_path_factory.mktemp("data")
    write.save(probe("aa00", model="zoo-x (trained here)"), folder)
    write.save(probe("aa01", model="zoo-x-dpo (trained here)", stage="dpo", scale=1.4), folder)
    return folder


@pytest.fixture(scope="module")
def address(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app that offers a tiny model."""
    models = tmp_path_factory.mktemp("models")
    save_model(models / "tiny", llama(max_position_embeddings=512))
    os.environ["SOFTH_MODELS"] = str(models)
    with serving(data) as found:
        yield found
    del os.environ["SOFTH_MODELS"]


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(MINUTE)
    yield page
    context.close()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "my-pairs.jsonl"
    said = texts(80, 40)
    rows = [
        {"prompt": f"Passage {n}?", "chosen": f"Yes: {said[n]}", "rejected": f"No: {said[n + 40]}", "source": "mine"}
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], {**rows[1], "chosen": ""}]))
    return path


def test_own_pairs_are_uploaded_probed_and_drawn(page: Page, address: str, pairs: Path, data: Path) -> None:
    page.goto(f"{address}/preference")
    page.get_by_text("How sure is this?").click()
    page.get_by_text("clearly more than chance").wait_for()
    page.locator("input[type=file]").first.set_input_files(pairs)
    page.get_by_text("40 pairs of my-pairs, 40 with a prompt").wait_for()
    expect(page.get_by_text("an earlier duplicate (1)")).to_be_visible()
    page.get_by_text("Server folder").click()
    page.get_by_role("button", name="Probe", exact=True).click()
    page.get_by_text("Choose my-pairs under Pairs").wait_for()
    assert read.probes(data)["model"].to_list().count("tiny") == 1
    page.goto(f"{address}/preference?pairs=my-pairs%2C+300+×+256+tokens")
    page.get_by_text("tiny, 40 pairs").or_(page.locator("strong", has_text="tiny")).first.wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()


def test_pairs_without_the_columns_are_refused_in_a_sentence(page: Page, address: str, tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text('{"text": "a", "label": 1}\n')
    page.goto(f"{address}/preference")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "odd.jsonl")
    page.get_by_text("odd has columns text, label; expected chosen and rejected").wait_for()

"""From nothing to a point, in a real browser: a checkpoint is uploaded, or named on a hub, and found on the pages."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from softh import jobs
from softh.jobs import processes
from softh.store import read
from tests.harness import DRAWN, serving
from tests.hub import Hub, Repo, files_of, serve
from tests.tiny import save_model

pytestmark = pytest.mark.browser

DEMO = Path(__file__).parents[2] / "data" / "demo" / "toy-olmo2-3m-seed0.tar.gz"
MINUTES = 60_000.0


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as server:
        yield server


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Iterator[Path]:
    """An empty place for everything; the worker that the app starts ends soon and at the latest with the test."""
    for name in ("data", "cache", "hub"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SOFTH_WORKER_IDLE", "30")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield tmp_path / "data"
    for process in psutil.process_iter(["cmdline"]):
        if str(tmp_path) in " ".join(process.info["cmdline"] or []) and process.pid != os.getpid():
            process.kill()
    processes.kill_orphans(jobs.folder())


@pytest.fixture
def address(data: Path) -> Iterator[str]:
    with serving(data) as found:
        yield found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


def few_documents(address: str, way: str) -> str:
    """The page with settings that take seconds."""
    return f"{address}/analyze?way={way}&documents=32&context=64&draws=4"


def test_an_upload_becomes_a_point_with_a_link(page: Page, chromium: Browser, address: str, data: Path) -> None:
    page.goto(few_documents(address, "Upload"))
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(DEMO)
    expect(page.get_by_text("Olmo2ForCausalLM")).to_be_visible(timeout=2 * MINUTES)
    assert "UploadedFileManager" not in page.request.get(f"{address}/_stcore/metrics").text()  # no bytes are held
    page.get_by_role("button", name="Estimate", exact=True).click()
    expect(page.get_by_role("progressbar").first).to_be_visible(timeout=MINUTES)
    expect(page.get_by_text("Position: I(X;Z)").first).to_be_visible(timeout=10 * MINUTES)
    assert read.estimates(data)["model"].to_list() == ["toy-olmo2-3m-seed0"]
    page.get_by_role("link", name="Trajectory").last.click()
    page.wait_for_selector(DRAWN)
    assert "toy-olmo2-3m-seed0" in page.locator(".js-plotly-plot").first.text_content()
    assert "points=toy-olmo2-3m-seed0" in page.url
    other = chromium.new_context().new_page()
    other.goto(page.url)
    other.wait_for_selector(DRAWN)
    assert "toy-olmo2-3m-seed0" in other.locator(".js-plotly-plot").first.text_content()
    other.goto(f"{address}/frontier")
    other.wait_for_selector(DRAWN)
    assert "toy-olmo2-3m-seed0" in other.locator(".js-plotly-plot").first.text_content()
    other.context.close()


def test_revisions_of_a_hub_become_a_path(page: Page, address: str, data: Path, hub: Hub, tmp_path: Path) -> None:
    revisions = {
        name: files_of(save_model(tmp_path / name, seed=seed))
        for seed, name in enumerate(("main", "step0", "step1", "step10", "step100", "step1000"))
    }
    hub.repos["models/owner/run-1m"] = Repo(revisions)
    page.goto(few_documents(address, "Hub") + "&hub=owner/run-1m&checkpoints=a trajectory&points=3")
    page.get_by_role("button", name="Estimate 3 checkpoints").click(timeout=2 * MINUTES)
    # Each by its number, not by counting: while the jobs are drawn anew, one drawn before may stand there twice.
    for number, step in enumerate((0, 10, 1000), 1):
        card = page.locator(f".st-key-job-{number}").first
        expect(card).to_contain_text(re.compile(rf"step{step}\b.* done,"), timeout=15 * MINUTES)
    expect(page.get_by_text("Position: I(X;Z)")).to_have_count(1)  # of the last, not of each
    assert sorted(read.estimates(data)["step"].to_list()) == [0, 10, 1000]
    page.goto(address)
    page.wait_for_selector(DRAWN)
    expect(page.locator(".js-plotly-plot").first).to_contain_text("run-1m")


def test_a_job_is_cancelled_from_the_page(page: Page, address: str, data: Path) -> None:
    page.goto(f"{address}/analyze?way=Upload&documents=1024&context=256")
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(DEMO)
    page.get_by_role("button", name="Estimate", exact=True).click(timeout=2 * MINUTES)
    expect(page.get_by_text(re.compile("running the text|counting")).first).to_be_visible(timeout=3 * MINUTES)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text(re.compile("cancelled, submitted"))).to_be_visible(timeout=5_000 + 3_000)
    assert not processes.orphans(jobs.folder())

"""What docs/tasks.md says of the dashboard: each task is done in so many clicks, and the page answers it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.harness import settled

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


def frontier(page: Page) -> int:
    page.get_by_role("link", name="Frontier").first.click()
    settled(page)
    assert "make the most of what they retain" in page.locator("h1").inner_text()
    return 1


def benchmarks(page: Page) -> int:
    page.get_by_role("link", name="Benchmarks").first.click()
    settled(page)
    assert "predict benchmark scores" in page.locator("h1").inner_text()
    return 1


def export(page: Page) -> int:
    page.get_by_role("button", name="Export").first.click()
    page.get_by_role("button", name="PNG 2×").wait_for()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG 2×", exact=True).click()
    assert download.value.suggested_filename.endswith(".png")
    return 2


def own_model(page: Page) -> int:
    page.get_by_role("link", name="Analyze").first.click()
    settled(page)
    assert "does your checkpoint land" in page.locator("h1").inner_text()
    assert page.get_by_text("Where is the checkpoint?").count()
    return 1


TASKS = {
    "see which models make the most of what they retain": frontier,
    "see whether the plane predicts benchmark scores": benchmarks,
    "keep a figure as a picture": export,
    "place a checkpoint from the browser": own_model,
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_of_a_newcomer_takes_so_many_clicks(task: str, chromium: Browser, shipped: str) -> None:
    told = next(line for line in (ROOT / "docs" / "tasks.md").read_text("utf-8").splitlines() if task in line)
    page = chromium.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(shipped)
    settled(page)
    clicks = TASKS[task](page)
    assert told.endswith(f"| {clicks} |"), told
    page.close()

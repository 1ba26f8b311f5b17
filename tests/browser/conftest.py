"""What all browser tests share: one browser a file, and the app on a copy of the shipped tables."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.harness import ROOT, browser, serving


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; every test opens windows of its own."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app; decks and jobs that a test leaves behind stay out of the project."""
    data = tmp_path_factory.mktemp("shipped")
    shutil.copy(ROOT / "data" / "softh.duckdb", data)
    with serving(data) as found:
        yield found

"""The folder of a training run becomes a trajectory on the page with one command."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.harness import ROOT, browser, serving, settled
from tests.tiny import save_model, save_text

pytestmark = pytest.mark.browser

STEPS = range(100, 1300, 100)
SMALL = ("--documents", "8", "--context", "32", "--draws", "2", "--bins", "16", "--folds", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twelve checkpoints as the Trainer of transformers leaves it, steps and tokens included."""
    folder = tmp_path_factory.mktemp("runs") / "my-run"
    for step in STEPS:
        checkpoint = save_model(folder / f"checkpoint-{step}", seed=step)
        state = {"global_step": step, "num_input_tokens_seen": 4_096 * step, "best_model_checkpoint": None}
        (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    return folder


@pytest.fixture(scope="module")
def data(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables into which one command has put the run."""
    folder = tmp_path_factory.mktemp("data")
    text = save_text(folder.with_name("text.jsonl"), 16)
    command = [sys.executable, "-m", "softh", "estimate", run, "--corpus", f"file:{text}", *SMALL, "--data", folder]
    environment = os.environ | {"SOFTH_CACHE": str(folder.with_name("cache"))}
    ended = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("my-run") == len(STEPS)
    return folder


@pytest.fixture(scope="module")
def page(data: Path) -> Iterator[Page]:
    with serving(data) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(address)
        settled(page)
        yield page


def test_twelve_checkpoints_are_one_trajectory_in_the_order_of_their_steps(page: Page) -> None:
    expect(page.get_by_text("my-run").first).to_be_visible()
    script = "plots => plots.map(plot => plot.data.map(t => [t.name, [...(t.x || [])]]))"
    plane, *panels = page.evaluate(script, page.locator(".js-plotly-plot").element_handles())
    assert [len(x) for name, x in plane if name == "my-run"] == [len(STEPS)]
    along = [x for traces in panels for name, x in traces if name == "my-run"]
    assert along
    for x in along:  # tokens, on an axis of powers of ten
        assert x == pytest.approx([math.log10(4_096 * step) for step in STEPS])

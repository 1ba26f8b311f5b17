"""A real pretrained model, end to end: the published package's numbers, and the same estimate twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks._real import smollm2
from benchmarks.oracle import ORDERS, compare
from softh.estimator.pipeline import estimate
from softh.models.hidden_states import open_cache
from softh.spec import EstimateSpec

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


def test_every_layer_agrees_with_the_published_package(folder: Path) -> None:
    spec = EstimateSpec(model=smollm2(), documents=16, context=64, orders=ORDERS, draws=1)
    with open_cache(folder / "cache") as cache:
        found = compare(spec, cache)
    assert len(found.worst) == 1 + 2 * len(ORDERS)
    assert max(found.worst.values()) < 1e-4


def test_the_same_estimate_twice_is_equal_to_the_bit_and_runs_the_model_once(folder: Path) -> None:
    spec = EstimateSpec(model=smollm2(), documents=16, context=64, draws=4)
    with open_cache(folder / "cache") as cache:
        first, second = estimate(spec, cache=cache), estimate(spec, cache=cache)
    assert second.forward_passes == 0
    assert first.measures == second.measures
    assert first.checkpoint.name == "SmolLM2-135M-Instruct (dequantised Q4_1)"
    (loss,) = [row for row in first.measures if row.quantity == "bits_per_byte"]
    assert loss.value is not None
    assert 0.5 < loss.value < 2


def test_the_command_line_estimates_stores_and_shows_a_real_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTH_CACHE", str(folder / "cache"))
    command = [sys.executable, "-m", "softh"]
    where = ["--data", str(folder / "data"), "--json"]
    asked = ["estimate", smollm2(), "--documents", "16", "--context", "64", "--draws", "4"]
    printed = subprocess.run([*command, *asked, *where], capture_output=True, text=True, check=True).stdout
    record = json.loads(printed)
    assert {row["layer"] for row in record["measures"]} == {None, *range(31)}
    shown = [*command, "show", record["estimate"]["estimate_id"][:8], *where]
    assert json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout) == record

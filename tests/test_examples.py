"""Every example runs as its first line says; a loop without a framework ends as a point on a page."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import softh
from dashboard.views import registry
from softh import Accumulator, FrozenSample, InputError
from softh.store import read
from softh.text import corpus
from tests.tiny import save_model, texts, tokenizer

ROOT = Path(__file__).parent.parent


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"SOFTH_DATA": str(folder), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_numpy_trainer_ends_as_points_on_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "examples.numpy_trainer")
    rows = read.trajectory(tmp_path, correction="debiased", order=1).sort("step")
    assert rows["step"].to_list() == [0, 10, 50, 200]
    assert not read.warnings(tmp_path)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    view, _ = registry.build("trajectory", {}, dark=False)
    assert all("numpy-toy" in figure.to_json() for figure in view.figures.values())


def test_a_model_of_time_series_ends_as_points_on_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(tmp_path, "examples.time_series")
    assert out.count("I(X;Z)") == 4
    rows = read.trajectory(tmp_path, correction="debiased", order=1).sort("step")
    assert rows["step"].to_list() == [0, 10, 50, 200]
    assert rows["output"][3] > 2 * rows["output"][0] > 0  # it learns what comes next
    assert not read.warnings(tmp_path)
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    view, _ = registry.build("trajectory", {}, dark=False)
    assert "Trajectory, time series" in view.title
    assert all("series-toy" in figure.to_json() for figure in view.figures.values())


def test_what_is_accumulated_is_stored_as_the_same_estimate(tmp_path: Path) -> None:
    text = corpus.sample("some", texts(16), 16, 0, "English of Python's help.")
    sample = FrozenSample.write(tmp_path / "sample", tokenizer(), text, context=32, orders=(1, 2))
    folder = save_model(tmp_path / "model")
    expected = softh.estimate(
        str(folder), corpus=f"file:{sample.folder}", documents=16, context=32, orders=(1, 2), draws=3, save=False
    )
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    accumulator = Accumulator(["0", "1", "2"], sample.label_sets, positions=1000, draws=3, sample=sample.digest)
    for batch in sample.batches(4):
        with torch.no_grad():
            found = model.model(
                input_ids=torch.from_numpy(batch.ids), attention_mask=torch.from_numpy(batch.mask),
                output_hidden_states=True,
            ).hidden_states  # fmt: skip
        hidden = {str(layer): states.flatten(0, 1)[batch.rows] for layer, states in enumerate(found)}
        accumulator.update(hidden, batch.labels, document=batch.document, position=batch.position)
    stored = softh.save_accumulated(accumulator, sample, "mine", parameters=1000, step=3, data=tmp_path / "data")
    theirs = {key(row): row for row in expected.measures}
    compared = 0
    for row in stored.measures:
        other = theirs[key(row)]
        compared += row.value is not None
        assert row.value == pytest.approx(other.value, abs=3e-4)
        assert row.se_documents == pytest.approx(other.se_documents, abs=3e-4)
    assert compared > 100
    [found] = read.estimates(tmp_path / "data").to_dicts()
    assert (found["model"], found["step"], found["documents"], found["corpus"]) == ("mine", 3, 16, "some")
    other = Accumulator(["0"], sample.label_sets, positions=10)
    with pytest.raises(InputError, match="was made with the sample None"):
        softh.save_accumulated(other, sample, "mine", parameters=1, data=tmp_path / "data")


def key(row: Any) -> tuple[Any, ...]:
    return row.layer, row.quantity, row.variable, row.ngram, row.correction


def test_label_sets_and_widths_that_are_no_model_are_sentences() -> None:
    accumulator = Accumulator(["a", "b"], ["colour"], positions=10, draws=2)
    with pytest.raises(InputError, match="A label set is called 'colour'"):
        accumulator.entropies()
    accumulator = Accumulator(["a", "b"], ["input 1"], positions=10, draws=2)
    accumulator.update({"a": np.ones((4, 8)), "b": np.ones((4, 6))}, np.arange(4))
    with pytest.raises(InputError, match="expected one width"):
        accumulator.entropies()


@pytest.mark.real
def test_a_plain_loop(tmp_path: Path) -> None:
    assert "none failed" in run(tmp_path, "examples.plain_loop")
    assert read.estimates(tmp_path)["step"].max() == 60


@pytest.mark.real
def test_fsdp_over_two_processes(tmp_path: Path) -> None:
    out = run(tmp_path, "torch.distributed.run", "--nproc-per-node", "2", "-m", "examples.fsdp")
    assert "none failed" in out
    assert read.estimates(tmp_path)["step"].sort().to_list()[-1] == 20


@pytest.mark.real
@pytest.mark.parametrize("tracker", ["none", "tensorboard"])
def test_a_tracked_trainer(tmp_path: Path, tracker: str) -> None:
    if tracker != "none":
        pytest.importorskip(tracker)
    run(tmp_path, "examples.tracker", tracker)
    assert read.estimates(tmp_path)["step"].max() == 20


@pytest.mark.real
def test_a_dpo_training_by_trl_has_its_plane_and_its_preference_information(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    assert "none failed" in run(tmp_path, "examples.trl_dpo")
    assert read.estimates(tmp_path)["step"].sort().to_list() == [0, 10, 20, 40, 80]
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    view, _ = registry.build("preference", {}, dark=False)
    [line] = [trace for trace in view.figures["training"].data if trace.mode == "lines+markers"]
    assert list(line.x) == [0, 10, 20, 40, 80]
    assert line.y[-1] > 1.3 * line.y[0] > 0


@pytest.mark.real
def test_a_training_by_lightning(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    assert "none failed" in run(tmp_path, "examples.lightning_loop")
    assert read.estimates(tmp_path)["step"].sort().to_list()[-1] == 40

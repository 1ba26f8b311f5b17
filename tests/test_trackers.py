"""Estimates in trackers: sent through the trainer's own logging, and read back with each tracker's own reader."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from benchmarks import trackers
from softh.callback import InformationPlane
from softh.store import write
from softh.trackers import Curve, metrics, senders
from tests.store_rows import build_record
from tests.test_callback import SETTINGS
from tests.tiny import llama, tokenizer


@pytest.mark.parametrize("tracker", list(trackers.READERS))
def test_what_trackers_hold_is_what_the_store_has(
    tracker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(tracker) is None:  # Trackio takes its folder when it is imported
        pytest.skip(f"{tracker} is not installed")
    for key, value in trackers.environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    sent = trackers.train(tracker, tmp_path)
    found = trackers.READERS[tracker](tmp_path)
    assert {step for name, step in sent.numbers if name.startswith("softh/some/")} == set(trackers.DUE)
    assert f"{trackers.MADE_UP}/collapse" in sent.sentences
    assert len(sent.pictures) == len(trackers.DUE) - 1 + len(trackers.TURNS)  # that of step 0 went before
    largest, pictures, sentences = trackers.differences(sent, found)
    assert largest < 1e-6
    assert pictures == sentences == 0


def test_metrics_have_the_mean_with_errors_and_layers_at_the_lowest_order() -> None:
    record = build_record("Tiny", orders=(1, 2), layers=2, corpus="a text: mine")
    found = metrics(record)
    rows = {
        (row["layer"], row["ngram"]): row
        for row in record["measures"]
        if (row["quantity"], row["variable"], row["correction"]) == ("information", "input", "debiased")
    }
    assert found["softh/a_text__mine/2/input"] == rows[None, 2]["value"]
    assert found["softh/a_text__mine/1/input_se_documents"] == rows[None, 1]["se_documents"]
    assert found["softh/a_text__mine/1/layer02/input"] == rows[2, 1]["value"]
    assert "softh/a_text__mine/2/layer02/input" not in found
    assert found["softh/a_text__mine/1/entropy"] > found["softh/a_text__mine/1/input"]


def test_a_plain_loop_logs_as_trackers_take_it_and_a_failing_one_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, logged, records = AutoModelForCausalLM.from_config(llama()), [], []

    def log(numbers: dict[str, float], step: int) -> None:
        logged.append((step, numbers))
        if step:
            raise ConnectionError("the tracker is offline")

    plane = InformationPlane(
        "mine", tokenizer(), 1, points=[0, 1], share=None, save=records.append, log=log, **SETTINGS
    )
    with caplog.at_level(logging.CRITICAL):
        for step in (0, 1):
            plane.at(model, step)
    assert [step for step, _ in logged] == [0, 1]
    assert len(records) == 2
    assert logged[0][1] == metrics(records[0])
    assert plane.failures == ["Step 1 of mine was not logged in full: ConnectionError: the tracker is offline"]


def turning(step: int, entropy: float, output: float) -> dict[str, Any]:
    """A made-up estimate of a step."""
    return build_record(
        revision=f"step{step}", step=step, orders=(1,), shape=lambda depth, order: (entropy, 0.5, output, 0.0)
    )


def test_the_end_of_a_phase_is_told_once_and_only_when_it_is_sure_twice() -> None:
    told: list[tuple[str, int]] = []
    logged: dict[int, dict[str, float]] = {}
    plane = InformationPlane(
        "mine", tokenizer(), 128, save=lambda record: None, log=lambda numbers, step: logged.update({step: numbers}),
        tell=lambda name, sentence, step: told.append((f"{name}: {sentence}", step)),
    )  # fmt: skip
    for power, (entropy, output) in enumerate(trackers.TURNS):
        plane.report(turning(2**power, entropy, output), 2**power)
    sure = [step for step, numbers in logged.items() if "softh/python-docs/1/end_of_collapse" in numbers]
    assert sure[0] >= 8  # four estimates and one after the least
    [(sentence, step)] = [each for each in told if "/collapse" in each[0]]
    assert step == sure[1]
    assert sentence.startswith("softh/python-docs/1/collapse: The collapse ended at step ")
    assert (
        logged[64]["softh/python-docs/1/end_of_collapse_low"]
        <= 8
        <= (logged[64]["softh/python-docs/1/end_of_collapse_high"])
    )


def test_a_curve_that_only_falls_has_no_phase() -> None:
    curve = Curve()
    for power in range(8):
        curve.add(turning(2**power, 0.9 - 0.05 * power, 0.1 + 0.02 * power))
        assert curve.news(curve.ends()) == []


def test_a_resumed_curve_has_the_stored_estimates_before_it(tmp_path: Path) -> None:
    for power in range(3):
        write.save(turning(2**power, *trackers.TURNS[power]), tmp_path)
    write.save(build_record(revision="other", step=1, orders=(1,), context=99), tmp_path)  # of another curve
    pictures: list[np.ndarray] = []
    plane = InformationPlane(
        "Tiny", tokenizer(), 128, data=tmp_path, draw=lambda name, picture, step: pictures.append(picture)
    )
    plane.report(turning(8, *trackers.TURNS[3]), 8)
    whole = Curve()
    for power in range(4):
        whole.add(turning(2**power, *trackers.TURNS[power]))
    assert np.array_equal(pictures[0], whole.picture())


def test_without_matplotlib_numbers_go_on_and_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(self: Curve) -> np.ndarray:
        raise ImportError

    monkeypatch.setattr(Curve, "picture", missing)
    logged: list[int] = []
    plane = InformationPlane(
        "mine", tokenizer(), 4, save=lambda record: None, draw=lambda *picture: pytest.fail("drawn"),
        log=lambda numbers, step: logged.append(step),
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            plane.report(turning(step, 0.9, 0.1), step)
    assert logged == [1, 2]
    assert [record.message for record in caplog.records] == [
        "Trackers get no picture of the plane: matplotlib is not installed (pip install matplotlib)."
    ]


def test_a_tracker_that_cannot_take_pictures_costs_the_picture_alone() -> None:
    class WandbCallback:
        """Of a trainer whose tracker is not installed."""

    class Handler:
        callbacks = (WandbCallback(),)

    class Trainer:
        callback_handler = Handler()

    model, records, logged = AutoModelForCausalLM.from_config(llama()), [], []
    plane = InformationPlane(
        "mine", tokenizer(), 1, save=records.append, log=lambda numbers, step: logged.append(step), **SETTINGS
    )
    plane.draw, plane.tell = senders(Trainer())
    plane.at(model, 0)
    assert len(records) == len(logged) == len(plane.failures) == 1
    assert plane.failures[0].startswith("Step 0 of mine was not logged in full: ")


def test_numbers_of_a_preference_probe() -> None:
    rows = [
        {"layer": layer, "quantity": quantity, "variable": variable, "ngram": None, "correction": correction,
         "value": value, "se_draws": 0.01, "se_documents": None}
        for layer, quantity, variable, correction, value in (
            (None, "information", "preference", "corrected", 0.2), (1, "information", "preference", "corrected", 0.3),
            (1, "information", "preference", "raw", 0.4), (2, "accuracy", "linear", "raw", 0.8),
            (None, "pairs", "measured, in plain form", "raw", 64.0),
        )
    ]  # fmt: skip
    assert metrics({"estimate": {"corpus": "my pairs", "labels": "preference"}, "measures": rows}) == {
        "softh/my_pairs/preference": 0.2, "softh/my_pairs/preference_se_draws": 0.01,
        "softh/my_pairs/layer01/preference": 0.3, "softh/my_pairs/layer02/linear": 0.8,
    }  # fmt: skip

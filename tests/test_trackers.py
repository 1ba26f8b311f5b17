"""Estimates in trackers: sent through the trainer's own logging, and read back with each tracker's own reader."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

from softh.callback import InformationPlane, InformationPlaneCallback, metrics
from softh.store import read
from tests.store_rows import build_record
from tests.test_callback import SETTINGS, Rows
from tests.tiny import llama, texts, tokenizer

Read = Callable[[Path], dict[tuple[str, int], float]]


def tensorboard(folder: Path) -> dict[tuple[str, int], float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[tuple[str, int], float] = {}
    for path in folder.rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(path))
        events.Reload()
        tags = [tag for tag in events.Tags()["scalars"] if "softh" in tag]
        found |= {(tag, each.step): each.value for tag in tags for each in events.Scalars(tag)}
    return found


def mlflow(folder: Path) -> dict[tuple[str, int], float]:
    from mlflow import MlflowClient

    client = MlflowClient((folder / "mlflow").as_uri())
    [run] = client.search_runs([each.experiment_id for each in client.search_experiments()])
    names = [name for name in run.data.metrics if "softh" in name]
    return {
        (name, each.step): each.value for name in names for each in client.get_metric_history(run.info.run_id, name)
    }


def trackio(folder: Path) -> dict[tuple[str, int], float]:
    from trackio.sqlite_storage import SQLiteStorage

    found: dict[tuple[str, int], float] = {}
    for project in SQLiteStorage.get_projects():
        for run in SQLiteStorage.get_runs(project):
            for row in SQLiteStorage.get_logs(project, run):
                step = row.get("train/global_step", row["step"])
                found |= {(name, step): value for name, value in row.items() if "softh" in name}
    return found


@pytest.mark.parametrize("reader", [tensorboard, mlflow, trackio], ids=lambda reader: reader.__name__)
def test_values_read_back_are_those_of_the_store(reader: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = reader.__name__
    pytest.importorskip(name)
    settings = {
        "MLFLOW_TRACKING_URI": (tmp_path / "mlflow").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1", "TENSORBOARD_LOGGING_DIR": str(tmp_path),
    }  # fmt: skip
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(llama())
    callback = InformationPlaneCallback(
        "mine", tokenizer(), data=tmp_path / "data", points=[0, 2, 4], share=None, **SETTINGS
    )
    ids = [tokenizer()(text, truncation=True, max_length=32)["input_ids"][:32] for text in texts(24)]
    arguments = TrainingArguments(
        str(tmp_path / "out"), max_steps=4, per_device_train_batch_size=4, save_strategy="no", report_to=[name],
        use_cpu=True, disable_tqdm=True, logging_strategy="no", seed=0, run_name="tiny",
    )  # fmt: skip
    trainer = Trainer(
        model, arguments, train_dataset=Rows([row for row in ids if len(row) == 32]), callbacks=[callback]
    )
    callback.report(trainer)
    trainer.train()
    assert callback.plane is not None
    assert callback.plane.failures == []
    with suppress(RuntimeError, KeyError):  # a trainer may have finished it already, and TensorBoard needs no end
        __import__(name).__dict__["end_run" if name == "mlflow" else "finish"]()
    found = {(key[key.index("softh") :], step): value for (key, step), value in reader(tmp_path).items()}
    stored = {row["step"]: row["estimate_id"] for row in read.estimates(tmp_path / "data").to_dicts()}
    expected = {
        (key, step): value
        for step, estimate_id in stored.items()
        for key, value in metrics(read.record(tmp_path / "data", estimate_id)).items()
    }
    assert set(stored) == {0, 2, 4}
    assert found.keys() == expected.keys()
    assert [found[key] for key in found] == pytest.approx([expected[key] for key in found], rel=1e-6)


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
    assert plane.failures == ["Step 1 of mine was not logged: ConnectionError: the tracker is offline"]

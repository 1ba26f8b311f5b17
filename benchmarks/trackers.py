"""What four trackers hold of a training, read back with the reader of each, against what was sent and stored.

`python -m benchmarks.trackers`: a tiny model is trained by transformers.Trainer whose `report_to` names the tracker,
Weights & Biases offline. Every number, every pixel of the plane's pictures and the sentences about phases are compared.
Phases come from made-up estimates whose curves turn, since a training of seconds has none. Prints a table, and exits
with 1 where anything differs. Trackers that are not installed are named and left out.
"""

import io
import json
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

from softh.callback import InformationPlaneCallback
from softh.store import read
from softh.text import corpus
from softh.trackers import metrics
from tests.store_rows import build_record
from tests.tiny import llama, texts, tokenizer

STEPS, DUE = 7, (0, 2, 4, 6)
TURNS = [(0.90, 0.10), (0.75, 0.20), (0.60, 0.30), (0.45, 0.40), (0.60, 0.50), (0.75, 0.35), (0.90, 0.20)]
"""H(Z) and I(Y;Z) of the made-up estimates, one a step: both turn."""
MADE_UP = "softh/made-up/1"


@dataclass
class Found:
    """What a tracker holds, or was sent."""

    numbers: dict[tuple[str, int], float] = field(default_factory=dict)
    pictures: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)


def environment(folder: Path) -> dict[str, str]:
    """Variables that keep every tracker in a folder and off the network."""
    return {
        "WANDB_MODE": "offline", "WANDB_DIR": str(folder), "WANDB_SILENT": "true", "WANDB_PROJECT": "softh",
        "MLFLOW_TRACKING_URI": (folder / "mlflow").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true",
        "TRACKIO_DIR": str(folder / "trackio"), "HF_HUB_OFFLINE": "1", "TENSORBOARD_LOGGING_DIR": str(folder),
    }  # fmt: skip


def image(content: bytes | Path) -> np.ndarray:
    """Pixels of a picture, uint8 [height, width, 3]."""
    from PIL import Image  # comes with every tracker that takes pictures

    return np.asarray(Image.open(io.BytesIO(content) if isinstance(content, bytes) else content).convert("RGB"))


def plain(name: str) -> str:
    """A name without what a tracker puts before it."""
    return name[name.index("softh/") :]


def records(path: Path) -> Iterator[bytes]:
    """Records of a .wandb file: after a head of 7 bytes, blocks of 32 KiB in the format of LevelDB's log.

    A piece has checksum, length and kind before it (1 whole, 2 first, 3 middle, 4 last); none crosses a block.
    """
    content, place, record = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B"), path
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, place)
        piece = content[place + 7 : place + 7 + length]
        assert zlib.crc32(piece, zlib.crc32(bytes([kind]))) == checksum, f"{path} is damaged at {place}"
        record = piece if kind in {1, 2} else record + piece
        if kind in {1, 4}:
            yield record
        place += 7 + length


def wandb(folder: Path) -> Found:
    """Read the offline run with the messages that wandb itself writes."""
    from wandb.proto.wandb_internal_pb2 import Record  # ty: ignore[import-not-found]

    found = Found()
    for path in (folder / "wandb").glob("offline-run-*/*.wandb"):
        for content in records(path):
            items = Record.FromString(content).history.item
            row: dict[str, Any] = {}
            for item in items:
                name, *inside = [item.key] if item.key else item.nested_key
                value = json.loads(item.value_json)
                row[name] = {**row.get(name, {}), inside[0]: value} if inside else value
            for name, value in row.items():
                if "softh/" not in name:
                    continue
                place = plain(name), row["train/global_step"]
                if isinstance(value, dict):
                    found.pictures[place] = image(path.parent / "files" / value["path"])
                elif isinstance(value, str):
                    found.sentences[plain(name)] = value
                else:
                    found.numbers[place] = value
    return found


def mlflow(folder: Path) -> Found:
    """Read the run with MLflow's client."""
    from mlflow import MlflowClient  # ty: ignore[import-not-found]

    client = MlflowClient((folder / "mlflow").as_uri())
    [run] = client.search_runs([each.experiment_id for each in client.search_experiments()])
    names = [name for name in run.data.metrics if "softh/" in name]
    found = Found(sentences={plain(name): text for name, text in run.data.tags.items() if "softh/" in name})
    found.numbers = {
        (plain(name), each.step): each.value
        for name in names
        for each in client.get_metric_history(run.info.run_id, name)
    }
    for each in client.list_artifacts(run.info.run_id, "images"):
        if each.path.endswith(".png"):
            name, _, step, *_ = re.split(r"[+%]", Path(each.path).name)
            name = re.sub("[~#]", "/", name)
            found.pictures[plain(name), int(step)] = image(Path(client.download_artifacts(run.info.run_id, each.path)))
    return found


def tensorboard(folder: Path) -> Found:
    """Read the event files with TensorBoard's accumulator."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # ty: ignore[import-not-found]

    found = Found()
    for path in folder.rglob("events.out.tfevents.*"):
        events = EventAccumulator(str(path), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
        events.Reload()
        tags = events.Tags()
        found.numbers |= {
            (plain(tag), each.step): each.value
            for tag in tags["scalars"]
            if "softh/" in tag
            for each in events.Scalars(tag)
        }
        found.pictures |= {
            (plain(tag), each.step): image(each.encoded_image_string)
            for tag in tags["images"]
            for each in events.Images(tag)
        }
        for tag in tags["tensors"]:
            if "softh/" in tag:
                found.sentences[plain(tag).removesuffix("/text_summary")] = (
                    events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
                )
    return found


def trackio(_: Path) -> Found:
    """Read the database with Trackio's storage class."""
    from trackio.sqlite_storage import SQLiteStorage  # ty: ignore[import-not-found]
    from trackio.utils import MEDIA_DIR  # ty: ignore[import-not-found]

    found = Found()
    for project in SQLiteStorage.get_projects():
        for run in SQLiteStorage.get_runs(project):
            for row in SQLiteStorage.get_logs(project, run):
                step = row.get("train/global_step", row["step"])
                for name, value in row.items():
                    if "softh/" not in name:
                        continue
                    if isinstance(value, dict):
                        found.pictures[plain(name), step] = image(MEDIA_DIR / value["file_path"])
                    elif isinstance(value, str):
                        found.sentences[plain(name)] = value
                    else:
                        found.numbers[plain(name), step] = value
    return found


READERS: dict[str, Callable[[Path], Found]] = {
    "wandb": wandb, "mlflow": mlflow, "tensorboard": tensorboard, "trackio": trackio,
}  # fmt: skip


class MadeUp(TrainerCallback):
    """Reports an estimate of the list TURNS after every step, through the plane of the trainer's callback."""

    def __init__(self, callback: InformationPlaneCallback) -> None:
        self.callback = callback

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        entropy, output = TURNS[state.global_step - 1]
        made = build_record(
            step=2**state.global_step, orders=(1,), corpus="made-up",
            shape=lambda depth, order: (entropy, 0.5, output, 0.0),
        )  # fmt: skip
        assert self.callback.plane is not None
        self.callback.plane.report(made, state.global_step)


def train(tracker: str, folder: Path) -> Found:
    """Train with a tracker; the store is in `folder`/data. Returns what was sent, numbers as the store has them."""
    torch.manual_seed(0)
    text = corpus.sample("some", texts(12), 12, 0, "English of Python's help.")
    callback = InformationPlaneCallback(
        "mine", tokenizer(), data=folder / "data", points=DUE, share=None, corpora=[text], documents=12, context=32,
        draws=2, orders=(1, 2),
    )  # fmt: skip
    ids = [tokenizer()(text, truncation=True, max_length=32)["input_ids"][:32] for text in texts(24)]
    rows = [{"input_ids": row, "labels": row} for row in ids if len(row) == 32]
    arguments = TrainingArguments(
        str(folder / "out"), max_steps=STEPS, per_device_train_batch_size=4, save_strategy="no", report_to=[tracker],
        use_cpu=True, disable_tqdm=True, logging_strategy="no", seed=0, run_name="tiny",
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(llama())
    trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[callback, MadeUp(callback)])  # ty: ignore[invalid-argument-type]
    callback.report(trainer)
    sent = Found()
    keep(callback, sent)
    trainer.train()
    assert callback.plane is not None
    assert callback.plane.failures == []
    with suppress(RuntimeError, KeyError):  # a trainer may have finished it already, and TensorBoard needs no end
        __import__(tracker).__dict__["end_run" if tracker == "mlflow" else "finish"]()
    stored = {row["step"]: row["estimate_id"] for row in read.estimates(folder / "data").to_dicts()}
    for step, estimate_id in stored.items():
        numbers = metrics(read.record(folder / "data", estimate_id))
        sent.numbers |= {(name, step): value for name, value in numbers.items()}
    return sent


def keep(callback: InformationPlaneCallback, sent: Found) -> None:
    """Keep a copy of what goes to the tracker, of numbers those of the made-up estimates."""
    begin = callback.on_train_begin

    def on_train_begin(*args: Any, **kwargs: Any) -> None:
        begin(*args, **kwargs)
        plane = callback.plane
        assert plane is not None
        log, draw, tell = plane.log, plane.draw, plane.tell
        assert log is not None
        assert draw is not None
        assert tell is not None

        def on_log(numbers: dict[str, float], step: int) -> None:
            if any(name.startswith(MADE_UP) for name in numbers):
                sent.numbers.update({(name, step): value for name, value in numbers.items()})
            log(numbers, step)

        def on_draw(name: str, picture: np.ndarray, step: int) -> None:
            sent.pictures[name, step] = picture
            draw(name, picture, step)

        def on_tell(name: str, text: str, step: int) -> None:
            sent.sentences[name] = text
            tell(name, text, step)

        plane.log, plane.draw, plane.tell = on_log, on_draw, on_tell

    callback.on_train_begin = on_train_begin


def differences(sent: Found, found: Found) -> tuple[float, int, int]:
    """Largest relative difference of the numbers, and how many pictures and sentences are missing or differ."""
    assert sent.numbers.keys() == found.numbers.keys(), sorted(sent.numbers.keys() ^ found.numbers.keys())[:5]
    largest = max(
        abs(found.numbers[key] - value) / max(abs(value), 1e-12) if value else abs(found.numbers[key])
        for key, value in sent.numbers.items()
    )
    none = np.zeros((0, 0, 3), dtype=np.uint8)
    pictures = sum(not np.array_equal(found.pictures.get(key, none), each) for key, each in sent.pictures.items())
    sentences = sum(text not in found.sentences.get(name, "") for name, text in sent.sentences.items())
    return largest, pictures, sentences


def main() -> None:
    """Train once a tracker, and print a line for each."""
    table = Table("tracker", "version", "numbers", "largest relative difference", "pictures", "sentences on phases")
    wrong = False
    for tracker, reader in READERS.items():
        try:
            installed = version(tracker if tracker != "mlflow" else mlflow_package())
        except PackageNotFoundError:
            table.add_row(tracker, "not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= environment(Path(folder))
            sent = train(tracker, Path(folder))
            largest, pictures, sentences = differences(sent, reader(Path(folder)))
        wrong |= largest > 1e-6 or pictures + sentences > 0
        table.add_row(
            tracker, installed, str(len(sent.numbers)), f"{largest:.1e}",
            f"{len(sent.pictures) - pictures} of {len(sent.pictures)} equal",
            f"{len(sent.sentences) - sentences} of {len(sent.sentences)} equal",
        )  # fmt: skip
    Console(width=120).print(table)
    sys.exit(int(wrong))


def mlflow_package() -> str:
    """The distribution that brings MLflow."""
    with suppress(PackageNotFoundError):
        version("mlflow")
        return "mlflow"
    return "mlflow-skinny"


if __name__ == "__main__":
    main()

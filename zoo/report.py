"""What the jobs left → a few files to carry away, a table to read, and rows of the store."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from softh.errors import InputError
from zoo.job import PREFIX, Place
from zoo.recipe import Recipe

PART = 12 << 20
"""Bytes of one file of records at most, about."""


def pack(recipe: Recipe, place: Place, out: Path) -> None:
    """Gather records, scores, summaries and the demo checkpoint of all jobs in at most eight files in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    records, scores = [], []
    for path in sorted(place.work.glob("runs/*/at-*.json.gz")):
        measured = found(path)
        records += [json.dumps(record) for record in measured["records"]]
        scores += measured["scores"]
    for number, part in enumerate(parts(records)):
        (out / f"records-{number}.jsonl.gz").write_bytes(part)
    (out / "scores.json").write_text(json.dumps(scores))
    (out / "summary.json").write_text(json.dumps(summaries(recipe, place), indent=1))
    if recipe.demo and (place.folder(recipe.demo) / "model").exists():
        demo(place.folder(recipe.demo) / "model", out / "demo.tar.gz", PREFIX + recipe.demo)


def found(path: Path) -> dict[str, Any]:
    """What one file of a job holds: records of estimates, and rows of scores."""
    return json.loads(gzip.decompress(path.read_bytes()))


def parts(lines: list[str]) -> Iterator[bytes]:
    """Lines in compressed pieces of about PART bytes."""
    piece = io.BytesIO()
    packed = gzip.GzipFile(fileobj=piece, mode="wb", mtime=0)
    for line in lines:
        packed.write(line.encode() + b"\n")
        if piece.tell() > PART:
            packed.close()
            yield piece.getvalue()
            piece = io.BytesIO()
            packed = gzip.GzipFile(fileobj=piece, mode="wb", mtime=0)
    packed.close()
    yield piece.getvalue()


def summaries(recipe: Recipe, place: Place) -> list[dict[str, Any]]:
    """What every job said; those that never ran say that they are waiting."""
    return [
        {"name": job.name, "kind": job.kind, "status": "waiting"} | place.summary(job.name) for job in recipe.jobs()
    ]


def demo(model: Path, target: Path, name: str) -> None:
    """The finished model with its tokenizer, weights in bfloat16, as an archive."""
    halved = {key: weight.to(torch.bfloat16) for key, weight in load_file(model / "model.safetensors").items()}
    files = {path.name: path.read_bytes() for path in sorted(model.iterdir())}
    files["model.safetensors"] = save(halved, metadata={"format": "pt"})
    files["config.json"] = json.dumps(json.loads(files["config.json"]) | {"dtype": "bfloat16"}, indent=1).encode()
    with tarfile.open(target, "w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def table(recipe: Recipe, place: Place) -> str:
    """One line a job: how it ended, what it took, what its model can do; sums last."""
    rows = summaries(recipe, place)
    head = (
        "run",
        "status",
        "step",
        "M tokens",
        "train s",
        "k tok/s",
        "est. s",
        "score s",
        "books",
        "C4",
        "cloze",
        "grammar",
    )
    lines = [head] + [_line(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
    ended = sum(row["status"] in ("finished", "diverged") for row in rows)
    sums = {key: sum(row.get(key, 0.0) for row in rows) for key in ("training", "estimating", "scoring")}
    last = f"{ended} of {len(rows)} jobs have ended; training {sums['training']:.0f} s, " + (
        f"estimates {sums['estimating']:.0f} s, scores {sums['scoring']:.0f} s, added over concurrent jobs."
    )
    failures = [failure for row in rows for failure in row.get("failures", [])]
    why = [f"{row['name']}: {row['why']}" for row in rows if "why" in row]
    return "\n".join([*text, *failures, *why, last])


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    """Cells of one job; empty where there is nothing to say."""
    scores = row.get("scores") or row.get("dpo") or row.get("sft") or {}
    training = row.get("training", 0.0)

    def score(start: str) -> str:
        return next((f"{value:.3f}" for task, (value, _) in scores.items() if task == start), "")

    return (
        row["name"],
        row["status"],
        str(row.get("step", "")),
        f"{row['tokens'] / 1e6:.1f}" if "tokens" in row else "",
        f"{training:.1f}" if training else "",
        f"{row['tokens'] / training / 1e3:.0f}" if training and row.get("tokens") else "",
        *(f"{row[key]:.1f}" if key in row else "" for key in ("estimating", "scoring")),
        *(score(task) for task in ("bits per byte, books-heldout", "bits per byte, c4-sample", "cloze", "grammar")),
    )


def unpack(source: Path, data: Path) -> int:
    """Write the estimates in a packed folder as runs of a store; how many there were."""
    from softh.store import write  # training needs no database

    parts = sorted(source.glob("records-*.jsonl.gz"))
    if not parts:
        raise InputError(f"{source} holds no records; expected what `python -m zoo all` packed: give that folder.")
    count = 0
    for part in parts:
        for line in gzip.decompress(part.read_bytes()).splitlines():
            record = json.loads(line)
            record["estimate"]["created_at"] = datetime.fromisoformat(record["estimate"]["created_at"])
            write.save(record, data)
            count += 1
    return count

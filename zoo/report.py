"""What the jobs left → a few files to carry away, a table to read, and rows of the store."""

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from softh.errors import InputError
from softh.store import atomic
from zoo.place import ENDED, Place

PART = 13 << 20
"""Bytes of one archive at most, but for its last file."""
KEPT = ("summary.json", "at-*.json.gz", "log")


def pack(place: Place, out: Path) -> None:
    """Gather what all jobs found, and the demo checkpoint, in a few archives that are easily carried."""
    out.mkdir(parents=True, exist_ok=True)
    folders = [place.folder(job) for job in place.recipe.jobs()]
    files = [path for folder in folders for kind in KEPT for path in sorted(folder.glob(kind))]
    for number, part in enumerate(parts(files)):
        with atomic.replacing(out / f"runs-{number}.tar") as new, tarfile.open(new, "w") as archive:
            for path in part:
                archive.add(path, path.relative_to(place.work))
    (out / "summary.json").write_text(json.dumps(place.summaries(), indent=1))
    name = place.recipe.demo
    if name and (model := place.folder(place.recipe.run(name)) / "model").exists():
        demo(model, out / "demo.tar.gz", f"toy-{name}")


def parts(files: list[Path]) -> list[list[Path]]:
    """Files in groups of about PART bytes."""
    ends = np.cumsum([path.stat().st_size for path in files])
    groups: dict[int, list[Path]] = {}
    for path, end in zip(files, ends, strict=True):
        groups.setdefault(int(end) // PART, []).append(path)
    return list(groups.values())


def restore(source: Path, work: Path) -> None:
    """Put what was packed where jobs keep it, so that the next call leaves out those that have ended."""
    archives = sorted(source.glob("runs-*.tar"))
    if not archives:
        raise InputError(f"{source} holds no runs-0.tar; expected what `python -m zoo all` packed: give that folder.")
    for path in archives:
        with tarfile.open(path) as archive:
            archive.extractall(work, filter="data")


def unpack(sources: Sequence[Path], data: Path, *, fold: bool = False, replace: bool = False) -> int:
    """Write packed estimates as runs of a store, the scores and summaries beside it; how many estimates there were.

    With `fold`, runs and scores then go into the database of the store; with `replace`, an earlier zoo leaves it first.
    """
    from softh.store import write  # training needs no database

    if replace:
        forget(data / "softh.duckdb")
    count, scores = 0, []
    with TemporaryDirectory() as folder:
        for source in sources:
            restore(source, Path(folder))
        for path in sorted(Path(folder).glob("runs/*/at-*.json.gz")):
            measured = found(path)
            for record in measured["records"]:
                created = datetime.fromisoformat(record["estimate"]["created_at"])
                record["model"] |= measured.get("about", {})
                write.save({**record, "estimate": record["estimate"] | {"created_at": created}}, data)
                count += 1
            scores += measured["scores"]
    (data / "zoo").mkdir(parents=True, exist_ok=True)
    (data / "zoo" / "scores.json").write_text(json.dumps(scores, indent=0))
    said = [json.loads((source / "summary.json").read_text()) for source in sources]
    (data / "zoo" / "summary.json").write_text(json.dumps(merged(said), indent=1))
    if fold:
        write.pack(data, scores)
    return count


def forget(database: Path, source: str = "zoo/recipe.toml") -> int:
    """Delete the models of a source from a packed database, with everything about them; how many there were."""
    import duckdb

    with duckdb.connect(str(database)) as tables:
        models = [row[0] for row in tables.execute("SELECT model FROM models WHERE source = ?", [source]).fetchall()]
        ids = tables.execute("SELECT estimate_id FROM estimates WHERE list_contains(?, model)", [models]).fetchall()
        keys = {"estimate_id": [row[0] for row in ids], "model": models}
        found = tables.execute("SELECT table_name, list(column_name) FROM duckdb_columns() GROUP BY ALL").fetchall()
        own = {row[0] for row in tables.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for table, columns in found:
            key = next((key for key in keys if key in columns), None)
            if table in own and key:
                tables.execute(f'DELETE FROM "{table}" WHERE list_contains(?, "{key}")', [keys[key]])
    return len(models)


def merged(summaries: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One summary a job from several machines, the last that has ended where one has."""
    jobs: dict[str, dict[str, Any]] = {}
    for row in (row for rows in summaries for row in rows):
        if row["status"] in ENDED or jobs.get(row["name"], row)["status"] not in ENDED:
            jobs[row["name"]] = row
    return [*jobs.values()]


def found(path: Path) -> dict[str, Any]:
    """What one file of a job holds: records of estimates, and rows of scores."""
    return json.loads(gzip.decompress(path.read_bytes()))


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


def table(place: Place) -> str:
    """One line a job: how it ended, what it took, what its model can do; sums last."""
    rows = place.summaries()
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
    ended = sum(row["status"] in ENDED for row in rows)
    spent = {key: sum(row.get(key, 0.0) for row in rows) for key in ("training", "estimating", "scoring")}
    share = spent["estimating"] / max(spent["training"], 1e-9)
    last = (
        f"{ended} of {len(rows)} jobs have ended. Training {spent['training']:.0f} s, "
        f"estimates {spent['estimating']:.0f} s ({share:.1%} of training), scores {spent['scoring']:.0f} s, "
        "added over jobs that ran side by side."
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

"""A store of a million measure rows, made up for the benchmark of the pages: 500 checkpoints of 40 layers."""

import json
import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from softh.store import schema, write

RUNS, STEPS, FINISHED, LAYERS, DRAWS = 8, 50, 100, 40, 32
"""Eight runs of 50 checkpoints each, and 100 finished models: 500 checkpoints."""
FAMILIES = ("olmo2", "llama", "qwen3", "gptneox", "gpt2", "mamba2", "gemma", "pythia")
ARCHITECTURE = dict(
    zip(FAMILIES, ("Olmo2", "Llama", "Qwen3", "GPTNeoX", "GPT2", "Mamba2", "Gemma3", "GPTNeoX"), strict=True)
)
STAGES = ("base", "sft", "dpo")
TASKS = ("cloze", "grammar", "bits per byte, books-heldout", "bits per byte, c4-sample")
CREATED = datetime(2026, 11, 20, 12)


def build(data: Path) -> int:
    """Save every record as the program does, pack them, and return how many measure rows there are."""
    for record in records():
        write.save(record, data)
    write.pack(data, list(scores()))
    with duckdb.connect(data / schema.DATABASE, read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM measures").fetchall()[0][0]


def records(
    runs: int = RUNS, steps: int = STEPS, finished: int = FINISHED, layers: int = LAYERS
) -> Iterator[dict[str, Any]]:
    """Runs whose information rises and falls, and finished models of every family, stage and size."""
    for run in range(runs):
        for number in range(steps):
            step = 0 if number == 0 else number + round(2 ** (number * 17 / steps))
            yield record(f"run-{run}", FAMILIES[run % len(FAMILIES)], "base", 10_000_000 * 2**run, step, layers)
    for number in range(finished):
        family, stage = FAMILIES[number % len(FAMILIES)], STAGES[number // len(FAMILIES) % len(STAGES)]
        size = 3_000_000 * 2 ** (number // (len(FAMILIES) * len(STAGES)))
        yield record(_name(family, size, stage), family, stage, size, None, layers)


def scores() -> Iterator[dict[str, Any]]:
    """Four scores of every finished model and of every checkpoint."""
    for made in records(layers=0):
        model, revision = made["model"]["model"], made["checkpoint"]["revision"]
        chance = random.Random(f"{model} {revision}")
        for task in TASKS:
            yield {
                "model": model, "revision": None if revision == "main" else revision, "task": task,
                "metric": "bits per byte" if task.startswith("bits") else "accuracy",
                "score": chance.uniform(0.2, 2.0), "stderr": 0.01, "source": "made up",
            }  # fmt: skip


def record(model: str, family: str, stage: str, size: int, step: int | None, layers: int) -> dict[str, Any]:
    """One whole record; numbers are a function of the names, so that every store is the same."""
    revision = "main" if step is None else f"step{step}"
    spec = {
        "bins": 100, "calibration": "bound", "centred": False, "context": 256, "corpus": "c4-sample",
        "documents": 256, "draws": DRAWS, "dtype": "auto", "folds": 8, "frame": "iid", "model": model,
        "orders": [1, 2, 3, 4], "revision": revision, "seed": 0, "weighting": "positions",
    }  # fmt: skip
    canonical, chance = json.dumps(spec, sort_keys=True, separators=(",", ":")), random.Random(f"{model} {revision}")
    return {
        "model": {
            "model": model, "family": family, "architecture": f"{ARCHITECTURE[family]}ForCausalLM", "stage": stage,
            "parameters": size, "layers": layers, "width": 64, "vocabulary": 8_192 if family != "gemma" else 262_144,
            "weights": "safetensors", "source": f"example/{model}", "size": None, "training_seed": None, "parent": None,
            "ablation": None, "former": None,
        },
        "checkpoint": {
            "model": model, "revision": revision, "digest": _digest(model, revision), "step": step,
            "tokens": None if step is None else 32_768 * step,
        },
        "estimate": {
            "estimate_id": _digest(canonical)[:16], "model": model, "revision": revision, "corpus": "c4-sample",
            "corpus_digest": _digest("c4-sample"), "documents": 256, "positions": 60_000, "context": 256, "bins": 100,
            "draws": DRAWS, "frame": "iid", "centred": False, "calibration": "bound", "temperature": 0.036,
            "weighting": "positions", "folds": 8, "seed": 0, "reference_digest": _digest("directions"),
            "dtype": "float32", "attention": "sdpa", "device": "cpu", "versions": '{"torch":"2.13.0"}',
            "seconds": 1.5, "created_at": CREATED + timedelta(seconds=step or 0), "spec": canonical,
            "labels": "tokens", "estimator": "plug-in",
        },
        "measures": list(_measures(layers, step, chance)),
    }  # fmt: skip


def _measures(layers: int, step: int | None, chance: random.Random) -> Iterator[dict[str, Any]]:
    learnt = 1.0 if step is None else step / (step + 60)
    x, y = (0.1 + 0.25 * learnt * chance.uniform(0.7, 1.0) for _ in "xy")
    yield _row(None, "bits_per_byte", None, None, "raw", 3.5 - 2 * learnt * chance.uniform(0.8, 1.0), None)
    for layer in [None, *range(layers + 1)]:
        depth = 0.5 if layer is None else layer / max(layers, 1)
        yield _row(layer, "entropy", None, None, "raw", 0.9 - 0.1 * depth, None)
        for order in (1, 2, 3, 4):
            null = 0.05 * order
            values = {"input": x * (1.2 - 0.4 * depth) + null, "output": 0.6 * y * (0.5 + 0.5 * depth) + null}
            for correction, less in (("raw", 0.0), ("null", math.inf), ("corrected", null)):
                found = {name: null if less == math.inf else value - less for name, value in values.items()}
                for name, value in found.items():
                    yield _row(layer, "information", name, order, correction, value, 50 * order)
                yield _row(layer, "optimality", None, order, correction, found["output"] / found["input"], None)
            for name, value in values.items():
                yield _row(layer, "regularity", name, order, "raw", value / 0.9, None)
        for name in values:
            for correction in ("raw", "corrected"):
                yield _row(layer, "residual", name, None, correction, 0.4, None)


def _row(
    layer: int | None, quantity: str, variable: str | None, ngram: int | None, correction: str, value: float,
    labels: int | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "layer": layer, "quantity": quantity, "variable": variable, "ngram": ngram, "correction": correction,
        "value": value, "se_draws": 0.004, "se_documents": 0.002, "positions": 60_000, "labels": labels,
        "draws": [value * (1 + 0.01 * math.sin(draw)) for draw in range(DRAWS)] if layer is None else None,
        "folds": [value * (1 + 0.01 * math.cos(fold)) for fold in range(8)] if layer is None else None,
    }  # fmt: skip


def _name(family: str, size: int, stage: str) -> str:
    base = f"{family}-{size // 1_000_000}m"
    return base if stage == "base" else f"{base}-{stage}"


def _digest(*parts: str) -> str:
    return sha256("\x1f".join(parts).encode()).hexdigest()

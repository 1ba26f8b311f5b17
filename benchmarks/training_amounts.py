"""Which readings of a pretraining run depend on the amount of text? `python -m benchmarks.training_amounts`

Trains a model of the zoo (OLMo 2 architecture, 9 M parameters, 1,024 steps of 32,768 tokens) on some of the books, and
estimates its checkpoints on 64 and on 512 held-out documents of 256 tokens. Prints values, and changes after the end of
fitting with paired errors, and writes benchmarks/results/training_amounts.json. A minute or two on a GPU.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
import typer
from transformers import PreTrainedModel

from benchmarks._synthetic import machine
from softh.callback import InformationPlane
from zoo import recipe, tokens
from zoo.job import set_up
from zoo.tokens import Library
from zoo.train import Journal, train

RESULTS = Path(__file__).with_name("results") / "training_amounts.json"
RECIPE = Path(__file__).parents[1] / "zoo" / "recipe.toml"
SIZES, FIRST, ORDERS = (64, 512), 20, (1, 2)
QUANTITIES = (("information", "input"), ("information", "output"), ("optimality", None))
CORRECTIONS = ("raw", "corrected", "debiased")


def main(text: Path = Path("../shared/text"), books: int = 130, steps: int = 1024, checkpoints: int = 12) -> None:
    """Train, estimate, print, write."""
    set_up()
    asked = recipe.load(RECIPE)
    run = replace(asked.run("olmo2-9m-seed0"), steps=steps, checkpoints=checkpoints)
    library = Library(text, books)
    folder = Path(mkdtemp())
    ids = np.load(tokens.prepare(library, folder))
    heldout = (
        tokens.read_texts(text / "books-heldout.jsonl.xz"),
        tokens.read_texts(text / "books-heldout.jsonl.xz", column="source"),
    )
    found: list[dict[str, Any]] = []
    planes = [plane(size, *heldout, found) for size in SIZES]
    began = time.monotonic()

    def hook(model: PreTrainedModel, step: int) -> None:
        if step >= FIRST:
            for each in planes:
                each.estimate(model, step)
            print(f"{time.monotonic() - began:.0f} s, step {step}", flush=True)

    train(run, asked.sizes[run.size], ids, folder, hook, Journal(), fast=torch.cuda.is_available())
    rows = [row for record in found for row in values(record)]
    show(rows)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    RESULTS.write_text(json.dumps({"machine": machine(device), "books": books, "rows": rows}) + "\n")


def plane(size: int, texts: list[str], titles: list[str], found: list[dict[str, Any]]) -> InformationPlane:
    """A hook for so many documents; records go into a list."""
    from softh.text import corpus

    sample = corpus.sample("books-heldout", texts, size, 0, "24 held-out books.", titles)
    return InformationPlane(
        "run", tokens.load_tokenizer(), 1, corpora=[sample], documents=size, context=256, draws=8, orders=ORDERS,
        share=None, save=found.append,
    )  # fmt: skip


def values(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Means over layers of one estimate, with their replicates."""
    return [
        {
            "step": record["checkpoint"]["step"], "documents": record["estimate"]["documents"],
            **{name: row[name] for name in ("quantity", "variable", "ngram", "correction", "value", "draws", "folds")},
        }
        for row in record["measures"]
        if row["layer"] is None and row["correction"] in CORRECTIONS
        and (row["quantity"], row["variable"]) in QUANTITIES
    ]  # fmt: skip


def show(rows: list[dict[str, Any]]) -> None:
    """Values by step, then the change from the largest I(Y;Z) on to the end, paired in draws and folds."""
    for order in ORDERS:
        for quantity, variable in QUANTITIES:
            for correction in CORRECTIONS:
                for documents in sorted({row["documents"] for row in rows}):
                    mine = [
                        row for row in rows
                        if (row["quantity"], row["variable"], row["ngram"], row["correction"], row["documents"])
                        == (quantity, variable, order, correction, documents)
                    ]  # fmt: skip
                    line = " ".join(f"{row['step']}:{row['value']:.4f}" for row in mine)
                    peak = max(mine[:-1], key=lambda row: row["value"])
                    change, error = difference(mine[-1], peak)
                    print(f"{quantity} {variable or ''} {order} {correction:9} {documents:4} | {line} | "
                          f"{peak['step']} → {mine[-1]['step']}: {change:+.4f} ± {error:.4f}")  # fmt: skip


def difference(row: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """Value of one less another, with the error of both draws and folds as pairs."""
    draws = np.subtract(row["draws"], other["draws"])
    folds = np.subtract(row["folds"], other["folds"])
    of_draws = draws.std(ddof=1) / len(draws) ** 0.5
    of_folds = np.sqrt((len(folds) - 1) / len(folds) * ((folds - folds.mean()) ** 2).sum())
    return row["value"] - other["value"], float(np.hypot(of_draws, of_folds))


if __name__ == "__main__":
    typer.run(main)

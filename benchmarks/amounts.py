"""Does a value stay when text is added? `python -m benchmarks.amounts [smollm2]`, some minutes each.

The demo checkpoint on held-out books from 10,000 to 125,000 positions, SmolLM2-135M-Instruct (dequantised Q4_1) on C4
from 5,000 to 40,000: means over disjoint parts of the documents. Then both under tokens and under words of as many
documents, and the words with every label split in two at random, which changes no information. Prints tables and writes
dashboard/assets/amounts.json; `--text` is the folder of the texts.
"""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks._real import smollm2
from benchmarks._states import States, demo
from softh.checkpoints import resolve
from softh.estimator.measures import Measure
from softh.models.hidden_states import load_model
from softh.spec import EstimateSpec
from softh.text import corpus

RESULTS = Path(__file__).parents[1] / "dashboard" / "assets" / "amounts.json"
"""The page Method shows it."""
CORRECTIONS = ("raw", "corrected", "debiased", "lower")
QUANTITIES = (("information", "input"), ("information", "output"), ("optimality", None))
TEXT = Path("../shared/text")
SPEC = EstimateSpec(model="", context=256, draws=8, orders=(1, 2))


def main(which: Annotated[str, typer.Argument()] = "demo", text: Path = TEXT) -> None:
    """Measure one model, print, and add it to the results."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if which == "demo":
        model, layers = demo(), [2, 4, 6]
        name, file, documents, sizes = (
            "zoo-olmo2-3m-seed0 (trained here)",
            "books-heldout.jsonl.xz",
            502,
            (10_000, 40_000, 125_000),
        )
    else:
        model = load_model(resolve.resolve(smollm2()), "float32", "cpu")
        layers, name = [3, 11, 20, 30], "SmolLM2-135M-Instruct (dequantised Q4_1)"
        file, documents, sizes = "c4-sample.jsonl", 216, (5_000, 10_000, 20_000, 40_000)
    sample = corpus.load(f"file:{text / file}", documents, 0)
    found: dict[str, Any] = {"text": sample.name, "layers": layers, "rows": [], "labels": []}
    for kind in ("tokens", "words"):
        spec = EstimateSpec(model="", context=256, draws=8, orders=(1, 2), labels=kind)
        states = States.of(model, sample, spec, layers)
        if kind == "tokens":
            found["rows"] = [row for size in sizes for row in amount(states, spec, size)]
        every = range(len(states.starts) - 1)
        found["labels"] += [{"kind": kind} | row for row in values(states.measures(every, spec))]
        if kind == "words":
            split = values(states.measures(every, spec, split=2))
            found["labels"] += [{"kind": "words, split"} | row for row in split]
    show(name, found)
    everything: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"models": {}}
    everything["machine"] = f"{os.cpu_count()} cores, {platform.machine()}"
    everything["versions"] = {"python": platform.python_version(), "torch": version("torch")}
    everything["models"][name] = found
    RESULTS.write_text(json.dumps(everything, ensure_ascii=False) + "\n", encoding="utf-8")


def amount(states: States, spec: EstimateSpec, positions: int) -> list[dict[str, Any]]:
    """Means over disjoint parts of about so many positions, at most twelve."""
    documents = len(states.starts) - 1
    each = max(1, round(documents * positions / int(states.starts[-1])))
    parts = max(1, min(12, documents // each))
    tables = [values(states.measures(range(part * each, (part + 1) * each), spec)) for part in range(parts)]
    return [
        {
            **row,
            "positions": positions,
            "parts": parts,
            "value": float(np.mean([table[at]["value"] for table in tables])),
        }
        for at, row in enumerate(tables[0])
    ]


def values(measures: list[Measure]) -> list[dict[str, Any]]:
    """The rows that are shown, in a fixed order."""
    return [
        {
            "quantity": row.quantity, "variable": row.variable, "order": row.ngram, "correction": row.correction,
            "value": row.value, "se_documents": row.se_documents, "positions": row.positions,
        }
        for row in measures
        if row.correction in CORRECTIONS and (row.quantity, row.variable) in QUANTITIES
    ]  # fmt: skip


def show(name: str, found: dict[str, Any]) -> None:
    """Tables for people: I(X) / I(Y) / optimality by order and amount, then by kind of label."""
    print(f"{name} on {found['text']}, mean of layers {found['layers']}, of log n: I(X) / I(Y) / optimality")
    for order in SPEC.orders:
        for positions in sorted({row["positions"] for row in found["rows"]}):
            cells = [f"{kind} {_triple(found['rows'], order, kind, positions=positions)}" for kind in CORRECTIONS[:3]]
            print(f"order {order}, {positions:7,} positions | {' | '.join(cells)}")
    for kind in ("tokens", "words", "words, split"):
        for order in SPEC.orders:
            cells = [f"{each} {_triple(found['labels'], order, each, kind=kind)}" for each in CORRECTIONS[:3]]
            print(f"{kind:12}, order {order} | {' | '.join(cells)}")


def _triple(rows: list[dict[str, Any]], order: int, correction: str, **where: Any) -> str:
    wanted = {"order": order, "correction": correction, **where}
    kept = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    by = {(row["quantity"], row["variable"]): row["value"] for row in kept}
    return " / ".join(f"{by[each]:.4f}" for each in QUANTITIES)


if __name__ == "__main__":
    typer.run(main)

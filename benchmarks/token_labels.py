"""What hidden states say of kinds of tokens, by layer: `python -m benchmarks.token_labels`.

SmolLM2-135M-Instruct (dequantised Q4_1) on c4-sample.jsonl of `../shared/text`, and the shipped checkpoint of 3 M
parameters on the default text: I(label;Z) and that of the next token's label, debiased, for classes, frequency bands
and places in the document, and sources where the text has them, over the entropy of the label. Writes
benchmarks/results/token_labels.json and, for the page Method, dashboard/assets/token_labels.json. With `quick` the
shipped checkpoint and few documents; nothing is written.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._real import smollm2
from benchmarks._states import demo
from benchmarks._synthetic import machine
from softh.checkpoints import resolve
from softh.checkpoints.resolve import Checkpoint
from softh.estimator.labels import label_corpus, label_kind
from softh.estimator.pipeline import estimate_model
from softh.models.hidden_states import load_model
from softh.models.loading import LoadedModel
from softh.spec import EstimateSpec
from softh.text import sources

TARGET = Path(__file__).parent / "results" / "token_labels.json"
PAGE = Path(__file__).parents[1] / "dashboard" / "assets" / "token_labels.json"
C4 = Path(__file__).parents[2] / "shared" / "text" / "c4-sample.jsonl"
QUICK = "quick" in sys.argv


def rows_of(name: str, model: LoadedModel, checkpoint: Checkpoint, spec: EstimateSpec) -> list[dict[str, Any]]:
    """One row a layer and variable, in parts of the label's entropy."""
    text = label_corpus(spec.corpus, spec.documents, spec.seed, spec.labels)
    kind = label_kind(spec.labels)
    tokenized = kind.tokenize(text, model.tokenizer, spec.context, 1)
    sets = kind.labels(tokenized, (1,), torch.device("cpu"))
    entropy: dict[str | None, float] = {each.variable: _entropy(each.labels) for each in sets}
    found = estimate_model(spec, checkpoint, model, text, loss=False)
    rows = []
    for row in found.measures:
        if (row.quantity, row.correction) == ("information", "debiased") and row.value is not None:
            out_of = entropy[row.variable] / math.log(spec.bins)
            error = math.hypot(row.se_draws or 0, row.se_documents or 0)
            rows.append({
                "model": name, "text": text.name, "labels": spec.labels, "variable": row.variable, "layer": row.layer,
                "value": row.value, "error": error, "entropy": out_of, "positions": row.positions,
                "distinct": row.labels, "documents": found.documents, "draws": spec.draws,
            })  # fmt: skip
    mean = next(row for row in rows if row["layer"] is None)
    print(f"{name:<30} {spec.labels:<9} I(X;Z) {mean['value']:.4f} ± {mean['error']:.4f} of {mean['entropy']:.4f}")
    return rows


def _entropy(labels: torch.Tensor) -> float:
    share = np.bincount(labels.numpy()) / len(labels)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def main() -> None:
    """Both models, every kind of label."""
    rows, documents = [], 16 if QUICK else 128
    model = demo()
    own = Checkpoint("toy-3M (trained here)", "data/demo", "main", "0", Path(), "safetensors", None, None)
    for labels in ("classes", "bands", "places", "sources"):
        spec = EstimateSpec(
            model="", corpus=sources.DEFAULT, documents=documents, context=128, labels=labels, orders=(1,), draws=16
        )
        rows += rows_of("toy-3M", model, own, spec)
    if QUICK:
        return
    real = resolve.resolve(str(smollm2()))
    model = load_model(real, "float32", "cpu")
    for labels in ("classes", "bands", "places"):
        spec = EstimateSpec(
            model="", corpus=f"file:{C4}", documents=80, context=128, labels=labels, orders=(1,), draws=16
        )
        rows += rows_of("SmolLM2-135M-Instruct (dequantised Q4_1)", model, real, spec)
    text = json.dumps({"machine": machine("cpu"), "rows": rows}, indent=0) + "\n"
    TARGET.write_text(text, encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

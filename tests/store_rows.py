"""Literal rows for tests of the store and of whatever reads it."""

from datetime import datetime
from typing import Any


def record(
    estimate_id: str = "00aa",
    *,
    model: str = "tiny",
    revision: str = "step64",
    digest: str = "d1",
    step: int | None = 64,
    created_at: datetime = datetime(2026, 11, 1, 12),
    shift: float = 0.0,
) -> dict[str, Any]:
    """One estimate of a model with two layers at orders 1 and 2: literal numbers, moved by shift."""
    return {
        "model": {
            "model": model,
            "family": "Tiny",
            "architecture": "TinyForCausalLM",
            "stage": None,
            "parameters": 1_000_000,
            "layers": 2,
            "width": 64,
            "vocabulary": 1_000,
            "weights": "safetensors",
            "source": f"example/{model}",
        },
        "checkpoint": {"model": model, "revision": revision, "digest": digest, "step": step, "tokens": None},
        "estimate": {
            "estimate_id": estimate_id,
            "model": model,
            "revision": revision,
            "digest": digest,
            "corpus": "python-docs",
            "corpus_digest": "c1",
            "documents": 8,
            "positions": 1_000,
            "context": 128,
            "bins": 100,
            "draws": 2,
            "frame": "iid",
            "centred": False,
            "calibration": "bound",
            "temperature": 0.036,
            "weighting": "positions",
            "folds": 8,
            "seed": 0,
            "reference_digest": "r1",
            "dtype": "float32",
            "attention": "sdpa",
            "device": "cpu",
            "versions": '{"torch":"2.13.0"}',
            "seconds": 1.5,
            "created_at": created_at,
            "spec": f'{{"model":"{model}","revision":"{revision}","corpus":"python-docs","seed":0}}',
        },
        "measures": measures(shift),
    }


def measures(shift: float) -> list[dict[str, Any]]:
    """Rows of the mean over layers (None) and of layers 0, 1, 2."""
    rows = [measure(None, "bits_per_byte", None, None, "raw", 1.25, se_draws=None)]
    for layer in (None, 0, 1, 2):
        rows.append(measure(layer, "entropy", None, None, "raw", 0.9 + shift))
        for order in (1, 2):
            for variable, raw in (("input", 0.4), ("output", 0.2)):
                for correction, base in (("raw", raw), ("null", 0.1), ("corrected", raw - 0.1)):
                    value = base + shift + order / 100 + (layer or 0) / 1000
                    rows.append(measure(layer, "information", variable, order, correction, value, labels=50 * order))
            rows.append(measure(layer, "optimality", None, order, "raw", 0.5))
            rows.append(measure(layer, "optimality", None, order, "corrected", None))
    return rows


def measure(
    layer: int | None,
    quantity: str,
    variable: str | None,
    ngram: int | None,
    correction: str,
    value: float | None,
    *,
    labels: int | None = None,
    se_draws: float | None = 0.01,
) -> dict[str, Any]:
    """One row of measures, without the estimate it belongs to."""
    return {
        "layer": layer,
        "quantity": quantity,
        "variable": variable,
        "ngram": ngram,
        "correction": correction,
        "value": value,
        "se_draws": se_draws,
        "se_documents": 0.02,
        "positions": 1_000,
        "labels": labels,
        "draws": [value, value] if layer is None and value is not None else None,
    }

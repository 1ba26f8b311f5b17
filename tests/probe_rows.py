"""Literal preference probes for tests of the store and of the page."""

import json
from datetime import datetime
from typing import Any

import numpy as np

from tests.store_rows import HOSTILE, record

SUBSETS = ("all", "matched", "source a", "source b")
LAYERS = (None, 0, 1, 2)


def probe(
    estimate_id: str = "aa00",
    *,
    model: str = "tiny",
    stage: str | None = "base",
    scale: float = 1.0,
    digest: str = "p1",
    width: int = 64,
    created_at: datetime = datetime(2026, 11, 2, 12),
) -> dict[str, Any]:
    """A probe of a model with two layers on 200 pairs; information grows with the layer and with scale."""
    made = record(estimate_id, model=model, revision="main", step=None, created_at=created_at)
    made["model"] |= {"stage": stage, "width": width}
    spec = {
        "labels": "preference",
        "model": model,
        "revision": None,
        "pairs": "some.jsonl",
        "limit": 2000,
        "swaps": 100,
    }
    made["estimate"] |= {
        "corpus": "some", "corpus_digest": digest, "documents": 400, "positions": 9_000, "labels": "preference",
        "spec": json.dumps(spec, sort_keys=True, separators=(",", ":")),
    }  # fmt: skip
    made["measures"] = [*_counts(), *(row for subset in SUBSETS for row in _subset(subset, scale))]
    return made


def hostile_probe(number: int, **given: Any) -> dict[str, Any]:
    """A probe in which every text that is not part of an id or of a vocabulary is hostile, sources and reasons too."""
    made = probe(f"bb0{number}", model=f"{number}{HOSTILE}", **given)
    kept = {"estimate_id", "digest", "corpus_digest", "spec", "versions", "model", "revision", "labels", "stage"}
    for part in ("model", "checkpoint", "estimate"):
        made[part] |= {
            name: HOSTILE for name, value in made[part].items() if isinstance(value, str) and name not in kept
        }
    made["estimate"] |= {"revision": f"r{HOSTILE}", "versions": json.dumps({HOSTILE: HOSTILE})}
    made["checkpoint"]["revision"] = f"r{HOSTILE}"
    renamed = {"source a": f"source {HOSTILE}", "identical answers": f"identical {HOSTILE}"}
    for row in made["measures"]:
        for old, new in renamed.items():
            row["variable"] = row["variable"].replace(old, new)
    return made


def _counts() -> list[dict[str, Any]]:
    counts = {"measured, in plain form": 200, "identical answers": 3, "an answer cut by the context": 40}
    return [_row(None, "pairs", name, "raw", float(count), positions=count) for name, count in counts.items()]


def _subset(subset: str, scale: float) -> list[dict[str, Any]]:
    rows = []
    for what in ("preference", "preference last", "preference mean"):
        for layer in LAYERS:
            value = scale * (0.002 + 0.001 * (1.5 if layer is None else layer))
            parts = {"raw": value + 0.0005, "null": 0.0005, "corrected": value}
            name = _name(what, subset)
            rows += [
                _row(layer, "information", name, kind, part, draws=[part, part * 1.1]) for kind, part in parts.items()
            ]
            without = (value * np.linspace(0.9, 1.1, 8)).tolist()
            rows.append(_row(layer, "folds", name, "corrected", value, draws=without))
    told = [("length", None, 0.55), ("words", None, 0.8)]
    if subset in ("all", "matched"):
        told += [("linear", layer, 0.7 + 0.05 * scale * layer) for layer in (0, 1, 2)]
    for what, layer, right in told:
        name = _name(what, subset)
        rows += [
            _row(layer, "accuracy", name, "raw", right, positions=200),
            _row(layer, "auc", name, "raw", right + 0.05, positions=200),
            _row(layer, "information", name, "raw", (right - 0.5) / 5, positions=200),
        ]
    return rows


def _name(what: str, subset: str) -> str:
    return what if subset == "all" else f"{what} | {subset}"


def _row(
    layer: int | None,
    quantity: str,
    variable: str,
    correction: str,
    value: float,
    *,
    positions: int = 9_000,
    draws: list[float] | None = None,
) -> dict[str, Any]:
    return {
        "layer": layer, "quantity": quantity, "variable": variable, "ngram": None, "correction": correction,
        "value": value, "se_draws": 0.0001 if draws else None, "se_documents": 0.0003, "positions": positions,
        "labels": 2, "draws": draws, "folds": None,
    }  # fmt: skip

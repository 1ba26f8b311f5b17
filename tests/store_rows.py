"""Literal estimates for tests of the store and of whatever reads it."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

SPECTRAL = {
    "rankme": 40.0, "alpha_req": 1.1, "matrix_entropy": 0.4, "participation_ratio": 9.0, "anisotropy": 0.2,
    "intrinsic_dimension": 11.0,
}  # fmt: skip
"""Measures without labels, at layer 0; twice as much at the last."""
Shape = Callable[[float, int], tuple[float, float, float, float]]
"""(depth 0 to 1, order) → H, raw I(X;Z), raw I(Y;Z), null I, each over log n."""


def flat(depth: float, order: int) -> tuple[float, float, float, float]:
    """Plausible numbers that differ between layers and orders."""
    null = 0.02 * order
    return 0.90 - 0.1 * depth, 0.20 + 0.02 * order + 0.05 * depth, 0.10 + 0.02 * order + 0.03 * depth, null


def build_record(
    model: str = "Tiny",
    revision: str = "main",
    *,
    step: int | None = None,
    tokens: int | None = None,
    corpus: str = "python-docs",
    documents: int = 64,
    context: int = 128,
    layers: int = 4,
    orders: tuple[int, ...] = (1, 2, 3, 4),
    draws: int = 16,
    seed: int = 0,
    dtype: str = "auto",
    weights: str = "safetensors",
    shape: Shape = flat,
    labels: str = "tokens",
    debiased: bool = True,
    vocabulary: int = 1_000,
) -> dict[str, Any]:
    """One whole record for `softh.store.write.save`: every column of every table, numbers made up by `shape`.

    debiased: whether it has debiased values and folds, as estimates from version 2 of the schema on.
    """
    spec = {
        "bins": 100, "calibration": "bound", "centred": False, "context": context, "corpus": corpus,
        "documents": documents, "draws": draws, "dtype": dtype, "folds": 8, "frame": "iid", "model": model,
        "orders": list(orders), "revision": revision, "seed": seed, "weighting": "positions",
    }  # fmt: skip
    spec |= ({"labels": labels} if labels != "tokens" else {}) | ({"estimator": "growth-4"} if debiased else {})
    canonical = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    positions = documents * (context - 7)
    rows = list(_measures(layers, orders, positions, shape, debiased=debiased))
    rows.append(measure(None, "bits_per_byte", None, None, "raw", 1.21, (None, 0.01), positions=4 * positions))
    if debiased:
        rows.append(measure(None, "variational_bound", None, None, "raw", 0.5, (None, 0.01), positions=positions))
    return {
        "model": {
            "model": model, "family": "Tiny", "architecture": "LlamaForCausalLM", "stage": None,
            "parameters": 1_000_000 * layers, "layers": layers, "width": 64, "vocabulary": vocabulary,
            "weights": weights, "source": f"example/{model}", "size": None, "training_seed": None, "parent": None,
            "ablation": None, "former": None,
        },
        "checkpoint": {
            "model": model, "revision": revision, "digest": _digest(model, revision), "step": step, "tokens": tokens,
        },
        "estimate": {
            "estimate_id": _digest(canonical)[:16], "model": model, "revision": revision, "corpus": corpus,
            "corpus_digest": _digest(corpus, str(documents), str(seed)), "documents": documents,
            "positions": positions, "context": context, "bins": 100, "draws": draws, "frame": "iid",
            "centred": False, "calibration": "bound", "temperature": 0.0362, "weighting": "positions", "folds": 8,
            "seed": seed, "reference_digest": _digest("directions", str(seed)), "dtype": "float32",
            "attention": "sdpa", "device": "cpu", "versions": '{"torch":"2.13.0"}', "seconds": 1.5,
            "created_at": datetime(2026, 11, 20, 12, 0), "spec": canonical, "labels": labels,
            "estimator": "growth-4" if debiased else "plug-in",
        },
        "measures": rows,
    }  # fmt: skip


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
    """One estimate of a model with two layers at orders 1 and 2: literal numbers, moved by shift.

    tests/fixtures/schema1 holds some of these as the first schema stored them.
    """
    made = build_record(model, revision, step=step, documents=8, layers=2, draws=2, debiased=False)
    made["model"] |= {"architecture": "TinyForCausalLM", "parameters": 1_000_000}
    made["checkpoint"]["digest"] = digest
    made["estimate"] |= {
        "estimate_id": estimate_id, "digest": digest, "corpus_digest": "c1", "positions": 1_000,
        "temperature": 0.036, "reference_digest": "r1", "created_at": created_at,
        "spec": f'{{"model":"{model}","revision":"{revision}","corpus":"python-docs","seed":0}}',
    }  # fmt: skip
    return {**made, "measures": measures(shift)}


def measures(shift: float) -> list[dict[str, Any]]:
    """Rows of the mean over layers (None) and of layers 0, 1, 2."""
    rows = [measure(None, "bits_per_byte", None, None, "raw", 1.25, (None, 0.02), draws=(1, 1))]
    for layer in (None, 0, 1, 2):
        draws = (1, 1) if layer is None else ()
        rows.append(measure(layer, "entropy", None, None, "raw", 0.9 + shift, draws=draws))
        for order in (1, 2):
            for variable, raw in (("input", 0.4), ("output", 0.2)):
                for correction, base in (("raw", raw), ("null", 0.1), ("corrected", raw - 0.1)):
                    value = base + shift + order / 100 + (layer or 0) / 1000
                    rows.append(
                        measure(
                            layer, "information", variable, order, correction, value, labels=50 * order, draws=draws
                        )
                    )
            rows.append(measure(layer, "optimality", None, order, "raw", 0.5, draws=draws))
            rows.append(measure(layer, "optimality", None, order, "corrected", None))
    return rows


def measure(
    layer: int | None,
    quantity: str,
    variable: str | None,
    ngram: int | None,
    correction: str,
    value: float | None,
    errors: tuple[float | None, float | None] = (0.01, 0.02),
    *,
    positions: int = 1_000,
    labels: int | None = None,
    draws: tuple[float, ...] = (),
    folds: tuple[float, ...] = (),
) -> dict[str, Any]:
    """One row of measures, without the estimate it belongs to.

    errors: over draws and over documents. draws, folds: what each draw gives and what is left without each fold, in
    units of the value.
    """
    return {
        "layer": layer, "quantity": quantity, "variable": variable, "ngram": ngram, "correction": correction,
        "value": value, "se_draws": errors[0], "se_documents": errors[1], "positions": positions, "labels": labels,
        "draws": [factor * value for factor in draws] if draws and value is not None else None,
        "folds": [factor * value for factor in folds] if folds and value is not None else None,
    }  # fmt: skip


FOLDS = (1.0, 1.002, 0.998, 1.004, 0.996, 1.001, 0.999, 1.0)
"""Value without each fold, in units of the value."""


def _measures(
    layers: int, orders: tuple[int, ...], positions: int, shape: Shape, *, debiased: bool
) -> Iterator[dict[str, Any]]:
    """Rows of every layer and of their mean, in which each of two draws has a value of its own."""
    for layer in [None, *range(layers + 1)]:
        depth = 0.5 if layer is None else layer / layers
        shared = {"positions": positions, "draws": (1.0, 1.02) if layer is None else ()}
        kept = {"folds": FOLDS if layer is None and debiased else ()}
        entropy = shape(depth, orders[0])[0]
        yield measure(layer, "entropy", None, None, "raw", entropy, (0.012, 0.002), **shared, **kept)
        if debiased:
            for quantity, value in SPECTRAL.items():
                numbers = (value * (1 + depth), (None, value / 50))
                yield measure(layer, quantity, None, None, "raw", *numbers, positions=4096, folds=FOLDS)
        for order in orders:
            _, x, y, null = shape(depth, order)
            values = {"raw": (x, y), "null": (null, null), "corrected": (x - null, y - null)}
            if debiased:
                values |= {"debiased": (x - 0.7 * null, y - 0.7 * null), "lower": (x - 1.5 * null, y - 1.5 * null)}
            for correction, pair in values.items():
                yield from _labelled(layer, order, correction, pair, entropy, orders, shared, kept)


def _labelled(
    layer: int | None, order: int, correction: str, pair: tuple[float, float], entropy: float,
    orders: tuple[int, ...], shared: dict[str, Any], kept: dict[str, Any],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Rows of one layer, order and correction."""
    error = 0.004 if correction == "raw" else 0.002
    kept = {} if correction == "null" else kept
    of_labels = {"labels": 200 * order, **shared}
    for variable, value in zip(("input", "output"), pair, strict=True):
        own = {"folds": FOLDS} if correction == "debiased" else kept
        yield measure(layer, "information", variable, order, correction, value, (error, error / 2), **of_labels, **own)
        if correction in ("null", "lower"):
            continue
        ratios = {"regularity": value, "proportion": value / len(orders)}
        ratios |= {"residual": entropy - value} if order == orders[-1] else {}
        for quantity, part in ratios.items():
            name = (layer, quantity, variable, order, correction)
            yield measure(*name, part / entropy, (error, error / 2), **of_labels, **kept)
    if correction != "lower":
        ratio = pair[1] / pair[0] if pair[0] else None
        yield measure(layer, "optimality", None, order, correction, ratio, (0.008, 0.003), **shared, **kept)


def _digest(*parts: str) -> str:
    return sha256("\x1f".join(parts).encode()).hexdigest()


HOSTILE = (
    "=1+1 ![x](http://evil.example/b.png)[sign in](http://evil.example/l) http://evil.example/auto www.evil.example "
    "a@evil.example <img src='http://evil.example/i' onerror='window.hostile=1'><script>window.hostile=1</script>"
    "<a href='http://evil.example/p'>p</a> :red[r] $x^2$ :material/star: `c` | \x07"
)
"""A text that tries to be a link, an image, a script, a formula and a symbol."""


def hostile_record(prefix: str = "m", **given: Any) -> dict[str, Any]:
    """A record in which every text that is not part of an id or of a vocabulary is hostile, later columns included."""
    made = build_record(
        f"{prefix}{HOSTILE}", f"r{HOSTILE}", corpus=f"c{HOSTILE}", weights=HOSTILE, dtype=HOSTILE, **given
    )
    kept = {"estimate_id", "digest", "spec", "versions", "model", "revision"}
    for part in ("model", "checkpoint", "estimate"):
        made[part] |= {
            name: HOSTILE for name, value in made[part].items() if isinstance(value, str) and name not in kept
        }
    made["model"] |= {"stage": HOSTILE, "family": f"{prefix}{HOSTILE}"}
    made["estimate"]["versions"] = json.dumps({HOSTILE: HOSTILE})
    return made

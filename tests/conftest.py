"""Literal rows that several tests share."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported; softh/__init__.py says why

import polars as pl
import pytest
from hypothesis import settings

from softh.store import read, write

# Two busy cores make any deadline a lottery.
settings.register_profile("softh", deadline=None)
settings.load_profile("softh")

QUANTITIES = ("input", "output")
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
) -> dict[str, Any]:
    """One whole record for `softh.store.write.save`: every column of every table, numbers made up by `shape`."""
    spec = {
        "bins": 100, "calibration": "bound", "centred": False, "context": context, "corpus": corpus,
        "documents": documents, "draws": draws, "dtype": dtype, "folds": 8, "frame": "iid", "model": model,
        "orders": list(orders), "revision": revision, "seed": seed, "weighting": "positions",
    }  # fmt: skip
    canonical = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    positions = documents * (context - 7)
    measures = list(_measures(layers, orders, draws, positions, shape))
    measures.append(_row(None, "bits_per_byte", None, None, "raw", 1.21, None, 0.01, 4 * positions, None, None))
    return {
        "model": {
            "model": model, "family": "Tiny", "architecture": "LlamaForCausalLM", "stage": None,
            "parameters": 1_000_000 * layers, "layers": layers, "width": 64, "vocabulary": 1_000,
            "weights": weights, "source": f"example/{model}",
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
            "attention": "sdpa", "device": "cpu", "versions": json.dumps({"torch": "2.13.0"}), "seconds": 1.5,
            "created_at": datetime(2026, 11, 20, 12, 0), "spec": canonical,
        },
        "measures": measures,
    }  # fmt: skip


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    """The function that builds one whole record; see :func:`build_record`."""
    return build_record


@pytest.fixture
def points(tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Stores one record for each set of keywords and reads them back as `read.trajectory` does."""

    def stored(*keywords: dict[str, Any]) -> pl.DataFrame:
        for given in keywords or ({},):
            write.save(build_record(**given), tmp_path)
        return read.trajectory(tmp_path)

    return stored


@pytest.fixture
def layers(tmp_path: Path) -> Callable[..., pl.DataFrame]:
    """Stores one record and reads its layers back, with the columns of the estimate."""

    def stored(**given: Any) -> pl.DataFrame:
        record = build_record(**given)
        write.save(record, tmp_path)
        rows = read.layers(tmp_path, record["estimate"]["estimate_id"]).drop("positions")
        return rows.join(read.estimates(tmp_path), on="estimate_id")

    return stored


def _measures(
    layers: int, orders: tuple[int, ...], draws: int, positions: int, shape: Shape
) -> Iterator[dict[str, Any]]:
    for layer in [None, *range(layers + 1)]:
        depth = 0.5 if layer is None else layer / layers
        spread = [1.0, 1.02] if layer is None else None
        entropy = shape(depth, orders[0])[0]
        yield _row(
            layer, "entropy", None, None, "raw", entropy, 0.012, 0.002, positions, None, _scaled(spread, entropy)
        )
        for order in orders:
            _, complexity, expressivity, null = shape(depth, order)
            for correction, x, y in (
                ("raw", complexity, expressivity),
                ("null", null, null),
                ("corrected", complexity - null, expressivity - null),
            ):
                error = 0.004 if correction == "raw" else 0.002
                for variable, value in zip(QUANTITIES, (x, y), strict=True):
                    of_draws = _scaled(spread, value)
                    yield _row(
                        layer, "information", variable, order, correction, value, error, error / 2, positions,
                        200 * order, of_draws,
                    )  # fmt: skip
                ratio = y / x if x else None
                yield _row(
                    layer, "optimality", None, order, correction, ratio, 0.008, 0.003, positions, None,
                    _scaled(spread, ratio),
                )  # fmt: skip


def _row(
    layer: int | None, quantity: str, variable: str | None, ngram: int | None, correction: str, value: float | None,
    se_draws: float | None, se_documents: float | None, positions: int, labels: int | None,
    draws: list[float] | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "layer": layer, "quantity": quantity, "variable": variable, "ngram": ngram, "correction": correction,
        "value": value, "se_draws": se_draws, "se_documents": se_documents, "positions": positions,
        "labels": labels, "draws": draws,
    }  # fmt: skip


def _scaled(factors: list[float] | None, value: float | None) -> list[float] | None:
    return None if factors is None or value is None else [factor * value for factor in factors]


def _digest(*parts: str) -> str:
    return sha256("\x1f".join(parts).encode()).hexdigest()


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """A cluster that never starts is a failure after a quarter of an hour, and no wait without end."""
    if request.node.get_closest_marker("real") is None:
        yield
        return

    def give_up(*_: object) -> None:
        raise TimeoutError("The test did not end within 900 s.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(900)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)

"""Do many draws on a part of the text stand for many draws on all of it? `python -m benchmarks.subsample_draws`.

64 draws on all documents of a text and on the first half, quarter and eighth of them, for the demo checkpoint and
SmolLM2-135M-Instruct: spread over draws, and the correlation of a draw's value on the part with its value on all. Of a
control variate with R draws on all positions and S on the part, the variance is (1 − ρ²)/R + ρ²/S times that of a draw.
It needs c4-sample.jsonl of `../shared/text`, prints, and writes benchmarks/results/subsample_draws.json.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._real import smollm2
from benchmarks._states import States, demo
from softh.checkpoints import resolve
from softh.models.hidden_states import LoadedModel, load_model
from softh.spec import EstimateSpec
from softh.text import corpus

RESULTS = Path(__file__).parent / "results" / "subsample_draws.json"
TEXT = Path(__file__).parents[2] / "shared" / "text" / "c4-sample.jsonl"
DOCUMENTS, PARTS, DRAWS = 64, (32, 16, 8), 64
ALL, SOME, BRUTE = 8, 128, 32
"""Draws on all positions and on the part, and the plain draws that they would replace."""


def spreads(model: LoadedModel, layers: list[int]) -> dict[str, Any]:
    """By quantity: the spread over draws, in parts of the value, and the correlation with every part of the text."""
    spec = EstimateSpec(
        model="", corpus=f"file:{TEXT}", documents=DOCUMENTS, context=256, draws=DRAWS, orders=(1, 2)
    )  # fmt: skip
    states = States.of(model, corpus.load(spec.corpus, spec.documents, spec.seed), spec, layers)
    values = {number: by_name(states, number, spec) for number in (DOCUMENTS, *PARTS)}
    return {
        name: {
            "spread": float(all_text.std(ddof=1) / abs(all_text.mean())),
            "correlations": [float(np.corrcoef(all_text, values[part][name])[0, 1]) for part in PARTS],
        }
        for name, all_text in values[DOCUMENTS].items()
    }


def by_name(states: States, number: int, spec: EstimateSpec) -> dict[str, np.ndarray]:
    """Debiased quantities of the first documents in every draw."""
    return {
        " ".join(str(part) for part in (row.quantity, row.variable, row.ngram) if part is not None): np.array(row.draws)
        for row in states.measures(np.arange(number), spec)
        if row.quantity in ("entropy", "information", "optimality")
        and (row.correction == "debiased" or row.quantity == "entropy")
    }


def ratio(correlation: float) -> float:
    """Standard error of two levels in that of BRUTE plain draws."""
    square = correlation**2
    return math.sqrt(BRUTE * ((1 - square) / ALL + square / SOME))


def main() -> None:
    """Measure, print, write."""
    real = load_model(resolve.resolve(str(smollm2())), "float32", "cpu")
    found = {"demo": spreads(demo(), [1, 2, 3, 4, 5, 6]), "SmolLM2": spreads(real, [5, 12, 20, 28])}
    report(found)
    RESULTS.write_text(json.dumps({"torch": torch.__version__, "models": found}, indent=1) + "\n")


def report(found: dict[str, Any]) -> None:
    """Print a table."""
    print(f"spread a draw, correlation on {', '.join(map(str, PARTS))} of {DOCUMENTS} documents, and the standard")
    print(f"error of {ALL} draws on all and {SOME} on the part against {BRUTE} on all")
    for model, rows in found.items():
        for name, row in rows.items():
            parts = "  ".join(f"{rho:.3f} ({ratio(rho):.2f})" for rho in row["correlations"])
            print(f"{model:8} {name:24} {row['spread']:.1%}  {parts}")


if __name__ == "__main__":
    main()

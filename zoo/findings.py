"""What the tables of the zoo say: phases of every trajectory, and where the finished models lie."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from softh.analysis import phases
from softh.analysis.standard_errors import combined
from softh.quantities import BY_COLUMN
from softh.store import read

CORPUS = "books-heldout"
ORDER = 1
SCORES = {"bits / byte": f"bits per byte, {CORPUS}", "cloze": "cloze", "grammar": "grammar"}


def trajectories(data: Path) -> list[dict[str, str]]:
    """One row a run and correction: ends of collapse and fitting (softh.analysis.phases), the fall of I(X;Z) after.

    Boundaries are steps with 95 % intervals. The fall is the mean over draws of the directions, paired; ± is the
    standard error over draws and documents.
    """
    rows = read.trajectory(data, corpus=CORPUS, order=ORDER).filter(pl.col("source").str.starts_with("zoo"))
    runs = rows.group_by("model").agg(pl.col("parameters").first(), pl.col("step").n_unique())
    runs = runs.filter(pl.col("step") > 2)
    return [
        _phases(rows.filter(pl.col("model") == model), model, correction)
        for model in runs.sort("parameters", "model", descending=[True, False])["model"]
        for correction in ("raw", "corrected")
    ]


def frontier(data: Path) -> list[dict[str, str]]:
    """One row a finished model trained here, the best predictor first: where it lies, and what it can do."""
    rows = read.trajectory(data, corpus=CORPUS, order=ORDER).filter(pl.col("source").str.starts_with("zoo"))
    last = rows.filter(pl.col("step").fill_null(0) == pl.col("step").fill_null(0).max().over("model"))
    scores = read.benchmarks(data)
    found = [_finished(group, scores) for _, group in last.group_by("model", maintain_order=True)]
    return sorted(found, key=lambda row: row["bits / byte"])


def table(rows: Sequence[dict[str, str]]) -> str:
    """The rows as a table of Markdown."""
    names = list(rows[0]) if rows else []
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _phases(rows: pl.DataFrame, model: str, correction: str) -> dict[str, str]:
    rows = rows.filter(pl.col("correction") == correction).sort("step")
    steps = rows["step"].to_list()
    curves = {name: _curve(rows, name) for name in ("entropy", "input", "output")}
    found = phases.find(steps, curves["entropy"], curves["output"])
    # The peak of I(X;Z) after the collapse; before it, random weights keep much of their input.
    values, errors = curves["input"].values[0], curves["input"].errors[0]
    low = int(curves["entropy"].values[0].argmin())
    peak = low + int(values[low:].argmax())
    draws = np.array(rows["input_draws"].to_list())  # [checkpoints, draws]
    falls = 1 - draws[-1] / draws[peak]
    of_draws = falls.std(ddof=1) / np.sqrt(falls.size)
    # The same documents at both ends: to add their errors is cautious.
    error = np.hypot(of_draws, np.hypot(errors[-1], errors[peak]) / values[peak])
    return {
        "run": model,
        "": correction,
        "collapse ends": _boundary(found.collapse),
        "fitting ends": _boundary(found.fitting),
        "I(X;Z) largest at": str(steps[peak]),
        "I(X;Z) there": f"{values[peak]:.4f}",
        "at the end": f"{values[-1]:.4f}",
        "fall": f"{falls.mean():.1%} ± {error:.1%}",
    }


def _curve(rows: pl.DataFrame, quantity: str) -> phases.Curve:
    """One run as softh.analysis.phases takes it."""
    values = rows[quantity].to_numpy()[None]
    return phases.Curve(
        values, np.array([rows[f"{quantity}_draws"].to_list()]), rows[f"{quantity}_se_documents"].to_numpy()[None]
    )


def _boundary(found: phases.Boundary | None) -> str:
    return "not seen" if found is None else f"{found.step:.0f} ({found.low:.0f}–{found.high:.0f})"


def _finished(group: pl.DataFrame, scores: pl.DataFrame) -> dict[str, str]:
    named = {row["correction"]: row for row in group.to_dicts()}
    model, first = group["model"][0], group.row(0, named=True)
    found = {row["task"]: row for row in scores.filter(pl.col("model") == model).to_dicts() if _ends(row, first)}
    cells = {"model": model, "architecture": re.sub("(ForCausalLM|LMHeadModel)$", "", first["architecture"])}
    cells |= {name: _score(found.get(task)) for name, task in SCORES.items()}
    for quantity in ("input", "output", "optimality"):
        for correction in ("raw", "corrected"):
            row = named[correction]
            error = combined(row[f"{quantity}_se_draws"], row[f"{quantity}_se_documents"]) or 0.0
            cells[f"{BY_COLUMN[quantity].symbol} {correction}"] = f"{row[quantity]:.4f} ± {error:.4f}"
    return cells


def _ends(score: dict[str, Any], estimate: dict[str, Any]) -> bool:
    """Whether a score is that of the finished model."""
    return score["revision"] in (None, estimate["revision"])


def _score(row: dict[str, Any] | None) -> str:
    return "" if row is None else f"{row['score']:.3f} ± {row['stderr']:.3f}"

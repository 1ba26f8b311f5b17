"""Phases on simulated curves whose truth is known: ``python -m benchmarks.phases [--curves 2000]``.

How often a turn is told of curves that have none (flat, rising, saturating, at several ways of noise), how often one of
a given height is found, whether the band of a fall holds it, and how often the interval of a boundary holds the true
one; and how high the turns of the zoo's runs are, by the same measure. Writes benchmarks/results/phases.json.
"""

import json
import os
import platform
from pathlib import Path

import numpy as np
import polars as pl
import typer

from softh import settings
from softh.analysis import phases
from softh.analysis.phases import Curve
from softh.store import read

RESULTS = Path(__file__).parent / "results" / "phases.json"
STEPS = [0, 1, 2, 3, 4, 5, 6, 8, 11, 14, 19, 25, 32, 42, 55, 71, 93, 121, 158, 207, 270, 353, 460, 601, 784, 1024]
"""The checkpoints of the zoo."""
PLACE = phases.log_steps(STEPS)
SLOPES = ((0.05, 0.05), (0.06, 0.01), (0.02, 0.06))
ERRORS = (0.0005, 0.002, 0.006)
LEVEL = 1 - phases.LEVEL
TURNLESS = {
    "flat": np.zeros_like(PLACE),
    "rising": 0.02 * PLACE,
    "saturating": 0.2 * (1 - np.exp(-PLACE / 2)),
    "saturating late": 0.2 / (1 + np.exp(-(PLACE - 6) * 2)),
    "falling": -0.02 * PLACE,
}
NOISES = ("draws and folds", "shared mostly", "errors alone", "three seeds")
HEIGHTS = (2, 4, 6, 10)
"""Rise and fall of a turn in standard errors of the difference of two checkpoints."""


def kink(away: np.ndarray, rise: float, fall: float) -> np.ndarray:
    return -np.where(away < 0, -rise * away, fall * away)


def round_top(away: np.ndarray, rise: float, fall: float) -> np.ndarray:
    return -np.where(away < 0, rise, fall) * away**2 / (1 + np.abs(away))


def measured(true: np.ndarray, error: float, rng: np.random.Generator) -> Curve:
    """A curve with 16 draws whose errors checkpoints share in half, and errors over documents."""
    shared, own = rng.standard_normal((1, 16)), rng.standard_normal((true.size, 16))
    documents = rng.standard_normal((true.size, 1)) / 4
    draws = true[:, None] + 2 * error * (shared + own + documents)
    return Curve(draws.mean(axis=1)[None], draws[None], np.full((1, true.size), error / 2))


def noisy(true: np.ndarray, kind: str, rng: np.random.Generator) -> Curve:
    """A curve as estimates give it, whose differences of two checkpoints have a standard error near 1."""
    size = true.size
    if kind == "errors alone":
        own = rng.standard_normal(size) / np.sqrt(2)
        return Curve((true + own)[None], None, np.full((1, size), 1 / np.sqrt(2)))
    runs = 3 if kind == "three seeds" else 1
    common = 5.0 if kind == "shared mostly" else 0.5
    of_draws = 2 * (rng.standard_normal((runs, size, 16)) + common * rng.standard_normal((runs, 1, 16)))
    of_folds = rng.standard_normal((size, 8)) + common * rng.standard_normal((1, 8))  # documents, the same for all runs
    of_seeds = rng.standard_normal((runs, size)) / 2 if runs > 1 else np.zeros((1, size))
    base = true + of_folds.mean(axis=1) + of_seeds
    draws = base[:, :, None] + of_draws
    # Without a fold: the mean of the other seven.
    folds = (of_folds.sum(axis=1, keepdims=True) - of_folds) / 7 - of_folds.mean(axis=1, keepdims=True)
    values = draws.mean(axis=2)
    return Curve(values, draws, np.zeros((runs, size)), values[:, :, None] + folds[None])


def told(curves: int) -> list[dict[str, object]]:
    """How often a turn is told of curves without one, and the fall of the largest value is above zero."""
    rows: list[dict[str, object]] = []
    for kind in NOISES:
        for shape, true in TURNLESS.items():
            for scale in (1,) if shape == "flat" else (10, 100):
                rng, claims, falls, before = np.random.default_rng(0), 0, 0, 0
                for _ in range(curves):
                    curve = noisy(scale * true, kind, rng)
                    claims += phases.turns(curve, "largest") <= LEVEL
                    falls += shape != "falling" and phases.fall(curve).low > 0
                    before += 0 < curve.values.mean(axis=0).argmax() < true.size - 1
                row: dict[str, object] = {"noise": kind, "shape": shape, "range": float(np.ptp(scale * true))}
                row |= {"told": claims / curves, "told by the extreme alone": before / curves, "falls": falls / curves}
                rows.append(shown(row))
    return rows


def found(curves: int) -> list[dict[str, object]]:
    """How often a turn is found, by its height, and how often the band of the fall holds the true fall."""
    rows: list[dict[str, object]] = []
    for kind in NOISES:
        for height in HEIGHTS:
            rng, seen, held = np.random.default_rng(1), 0, 0
            for _ in range(curves):
                away = PLACE - rng.uniform(5.5, 7.5)
                true = height * kink(away, 1 / abs(away[0]), 1 / away[-1])
                curve = noisy(true, kind, rng)
                seen += phases.turns(curve, "largest") <= LEVEL
                fall = phases.fall(curve)
                held += fall.low <= true.max() - true[-1] <= fall.high
            rows.append(shown({"noise": kind, "height": height, "found": seen / curves, "fall held": held / curves}))
    return rows


def boundaries(curves: int) -> list[dict[str, object]]:
    """How often the interval of a boundary holds the true one, of curves whose turn is sure; its width in octaves."""
    rows: list[dict[str, object]] = []
    for shape in (kink, round_top):
        for rise, fall in SLOPES:
            for error in ERRORS:
                rng, held, widths, off = np.random.default_rng(7), [], [], []
                for top in rng.uniform(5.5, 7.5, curves):
                    curve = measured(0.1 + shape(PLACE - top, rise, fall), error, rng)
                    if end := phases.extreme(PLACE, curve, "largest"):
                        held.append(end.low <= 2**top <= end.high)
                        widths.append(np.log2(end.high / end.low))
                        off.append(np.log2(end.step) - top)
                row: dict[str, object] = {"shape": shape.__name__, "rise": rise, "fall": fall, "error": error}
                row |= {"sure": len(held) / curves, "covered": float(np.mean(held)) if held else None}
                row |= {"width": float(np.median(widths)), "bias": float(np.mean(off))} if held else {}
                rows.append(shown(row))
    return rows


def of_the_zoo() -> list[dict[str, object]]:
    """Every run of the shipped tables on held-out books, order 1: its turns in standard errors, and what is told."""
    rows: list[dict[str, object]] = []
    for correction in ("debiased", "corrected", "raw"):
        points = read.trajectory(settings.data(), corpus="books-heldout", order=1, correction=correction)
        points = points.filter(labels="tokens").drop_nulls(["step", "input", "output", "entropy"])
        usual = points["settings"].mode().sort()[0]
        points = points.filter(settings=usual)
        steps = points.group_by("model").agg(pl.col("step").n_unique())
        models = steps.filter(pl.col("step") > 3)["model"].sort().to_list()
        for run in phases.of_runs(points, models, joined=False):
            mine = points.filter(model=run.name).unique("step", keep="last").sort("step")
            row: dict[str, object] = {"run": run.name, "correction": correction}
            for phase, quantity, sign in (("collapse", "entropy", -1), ("fitting", "output", 1)):
                curve = phases.curve_of([mine], quantity)
                values = sign * curve.values[0]
                top = int(values.argmax())
                error = float(curve.errors_from_last()[top]) or 1.0
                row |= {f"{phase} height": float(phases.turn(values)) / error}
                row |= {f"{phase} by the extreme alone": 0 < top < len(values) - 1, phase: phase in run.ends}
            row |= {"fall": run.fall.amount, "low": run.fall.low, "high": run.fall.high} if run.fall else {}
            rows.append(shown(row))
    return rows


def shown(row: dict[str, object]) -> dict[str, object]:
    """The row, printed."""
    print(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    return row


def main(curves: int = 2000) -> None:
    """Simulate, print, write."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, NumPy {np.__version__}"
    about = {"machine": machine, "curves": curves, "curves of a boundary": curves // 10}
    tables = {"without a turn": told(curves), "with a turn": found(curves), "boundaries": boundaries(curves // 10)}
    tables["zoo"] = of_the_zoo()
    RESULTS.write_text(json.dumps({**about, **tables}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)

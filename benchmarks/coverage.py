"""Do intervals cover, and are p-values as small as they say? Simulations of models in families whose truth is known.

`python -m benchmarks.coverage [--simulations 2000] [--part all]` prints, for families from three to thirty, alike,
uneven and with one that dominates, how often the 95 % interval misses the true coefficient (without an association that
is the size of the test), the power, heavy ties, a column against itself, a layer that other families chose, and the
difference of two dependent coefficients; it writes benchmarks/results/coverage.json. A cell is 2,000 independent
samples; without an association each has two predictors and two scores, with one a predictor and four scores.
"""

import json
import os
import platform
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import typer

from softh.analysis.correlation import METHODS, Method, compare, correlations, intervals, nested

RESULTS = Path(__file__).parent / "results" / "coverage.json"
Draw = Callable[[np.random.Generator, int], np.ndarray]
"""Draws so many rows."""
FAMILIES = {
    "3 × 10": [10] * 3,
    "20, 5, 5": [20, 5, 5],
    "16, 8, 4, 2": [16, 8, 4, 2],
    "6 × 5": [5] * 6,
    "10, 7, 5, 4, 2, 2": [10, 7, 5, 4, 2, 2],
    "20, 5 × 2": [20] + [2] * 5,
    "8 × 1": [1] * 8,
    "21, 9 × 1": [21] + [1] * 9,
    "40, 19 × 2": [40] + [2] * 19,
    "30 × 1": [1] * 30,
}
# Correlation, and the share of the variance of both variables that lies between families.
TRUTHS = ((0.0, 0.0), (0.0, 0.3), (0.0, 0.6), (0.5, 0.3), (0.8, 0.3))
NESTED = ("3 × 10", "16, 8, 4, 2", "6 × 5", "20, 5 × 2", "8 × 1", "21, 9 × 1", "30 × 1", "40, 19 × 2")
DEPTHS = 11


def main(simulations: int = 2000, part: str = "all") -> None:
    """Simulate, print, write."""
    parts = {"single": single, "ties": ties, "itself": itself, "chosen": chosen, "differences": two}
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machines: dict[str, str] = found.get("machines", {})
    found = {name: rows for name, rows in found.items() if name in parts}
    for name, run in parts.items():
        if part in ("all", name):
            found[name] = run(simulations)
            machine = f"{os.cpu_count()} cores, {platform.machine()}, NumPy {np.__version__}, {simulations} samples"
            machines |= {name: machine}
            RESULTS.write_text(json.dumps({"machines": machines, **found}, indent=1) + "\n")


def single(simulations: int) -> list[dict[str, object]]:
    """Misses of the interval, and power, for each coefficient."""
    rows: list[dict[str, object]] = []
    for name, sizes in FAMILIES.items():
        family = np.repeat(np.arange(len(sizes)), sizes)
        for rho, share in truths(sizes):
            generator = np.random.default_rng(0)
            missed: dict[str, list[float]] = {method: [] for method in METHODS}
            seen: dict[str, list[float]] = {method: [] for method in METHODS}
            for _ in range(simulations):
                x, y = samples(generator, family, rho, share)
                for method in METHODS:
                    one, true = intervals(x, y, family, method), truth(rho, method)
                    missed[method].append(float(np.mean((one.low > true) | (one.high < true))))
                    seen[method].append(float(np.mean(one.p < 0.05)))
            row: dict[str, object] = {"families": name, "rho": rho, "share": share}
            row |= {f"{method} missed": float(np.mean(missed[method])) for method in METHODS}
            rows.append(told(row | {f"{method} seen": float(np.mean(seen[method])) for method in METHODS}))
    return rows


def ties(simulations: int) -> list[dict[str, object]]:
    """Size where predictor and score take few values, among the samples that have an interval."""
    rows: list[dict[str, object]] = []
    for name, sizes in FAMILIES.items():
        family = np.repeat(np.arange(len(sizes)), sizes)
        generator = np.random.default_rng(1)
        p: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
        for _ in range(simulations):
            x, y = samples(generator, family, 0.0, 0.3 if max(sizes) > 1 else 0.0)
            x, y = np.round(x), (y > 0.5).astype(float)
            for method in METHODS:
                p[method].append(intervals(x, y, family, method).p)
        known = {method: np.array(values)[np.isfinite(values)] for method, values in p.items()}
        row: dict[str, object] = {"families": name, "with an interval": float(np.isfinite(p["pearson"]).mean())}
        rows.append(told(row | {f"{m} size": float((v < 0.05).mean()) for m, v in known.items() if v.size}))
    return rows


def itself(simulations: int) -> list[dict[str, object]]:
    """A column against itself and against weaker and weaker copies: how often p is in the order of strength.

    Of all four, as they were made, and of two of them, as their coefficients came out.
    """
    rows: list[dict[str, object]] = []
    for name, sizes in FAMILIES.items():
        family = np.repeat(np.arange(len(sizes)), sizes)
        generator, least, ordered, alike, p = np.random.default_rng(2), 0, 0, [], []
        for _ in range(simulations):
            x, other = generator.standard_normal((2, len(family), 1))
            columns = np.hstack([r * x + np.sqrt(1 - r**2) * other for r in (1.0, 0.9, 0.6, 0.0)])
            one = intervals(x, columns, family, "spearman")
            p.append(one.p[0, 0])
            least += one.p[0, 0] == one.p[0].min()
            ordered += bool((np.diff(one.p[0]) > 0).all())
            strength = np.abs(correlations(x, columns, "spearman")[0])
            alike += [
                (strength[i] - strength[j]) * (one.p[0, i] - one.p[0, j]) < 0 for i, j in combinations(range(4), 2)
            ]
        row: dict[str, object] = {"families": name, "least": least / simulations, "in order": ordered / simulations}
        rows.append(told(row | {"pairs in the order of the coefficients": np.mean(alike), "median p": np.median(p)}))
    return rows


def chosen(simulations: int) -> list[dict[str, object]]:
    """Size and power of a layer that the other families chose among eleven neighbours that resemble each other."""
    rows: list[dict[str, object]] = []
    for name in NESTED:
        family = np.repeat(np.arange(len(FAMILIES[name])), FAMILIES[name])
        for rho, share in truths(FAMILIES[name], ((0.0, 0.0), (0.0, 0.3), (0.0, 0.6), (0.7, 0.3))):
            generator, seen = np.random.default_rng(3), 0
            for _ in range(simulations):
                layers = mixed(generator, family, share, depths)
                y = mixed(generator, family, share, lambda g, n: g.standard_normal((n, 1)))[:, 0]
                y = rho * layers[:, 3] + np.sqrt(1 - rho**2) * y
                seen += nested(layers, y, family, "spearman").p < 0.05
            rows.append(told({"families": name, "rho": rho, "share": share, "seen": seen / simulations}))
    return rows


def two(simulations: int) -> list[dict[str, object]]:
    """How often two predictors that are equally good are told to differ, and two that are not."""
    rows: list[dict[str, object]] = []
    for name in NESTED[:-1]:
        family = np.repeat(np.arange(len(FAMILIES[name])), FAMILIES[name])
        for first, second in ((0.6, 0.6), (0.9, 0.5)):
            generator, seen, missed = np.random.default_rng(4), 0, 0
            true = truth(first, "spearman") - truth(second, "spearman")
            for _ in range(simulations):
                y = mixed(generator, family, 0.3, lambda g, n: g.standard_normal((n, 1)))[:, 0]
                noise = mixed(generator, family, 0.3, lambda g, n: g.standard_normal((n, 2)))
                a, b = (r * y + np.sqrt(1 - r**2) * noise[:, k] for k, r in enumerate((first, second)))
                one = compare(a, b, y, family, "spearman")
                seen += one is not None and one.p < 0.05
                missed += one is None or not one.low <= true <= one.high
            row = {"families": name, "first": first, "second": second}
            rows.append(told(row | {"missed": missed / simulations, "seen": seen / simulations}))
    return rows


def truths(sizes: list[int], every: tuple[tuple[float, float], ...] = TRUTHS) -> list[tuple[float, float]]:
    """Correlations and shares; single models have no families for a share to lie between."""
    return list(every) if max(sizes) > 1 else list(dict.fromkeys((rho, 0.0) for rho, _ in every))


def truth(rho: float, method: Method) -> float:
    """The coefficient of two normal variables of correlation rho."""
    return {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}[method]


def samples(
    generator: np.random.Generator, family: np.ndarray, rho: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Predictors and scores of variance 1 that correlate alike between and within families."""
    x = mixed(generator, family, share, lambda g, n: g.standard_normal((n, 1 if rho else 2)))
    y = mixed(generator, family, share, lambda g, n: g.standard_normal((n, 4 if rho else 2)))
    return x, rho * x + np.sqrt(1 - rho**2) * y if rho else y


def mixed(generator: np.random.Generator, family: np.ndarray, share: float, draw: Draw) -> np.ndarray:
    """Columns of which a share of the variance lies between families."""
    of_family = draw(generator, int(family.max()) + 1)[family]
    return np.sqrt(share) * of_family + np.sqrt(1 - share) * draw(generator, len(family))


def depths(generator: np.random.Generator, n: int) -> np.ndarray:
    """Profiles [n, DEPTHS] whose neighbours correlate by .8."""
    profile = generator.standard_normal((n, DEPTHS))
    for depth in range(1, DEPTHS):
        profile[:, depth] = 0.8 * profile[:, depth - 1] + 0.6 * profile[:, depth]
    return profile


def told(row: dict[str, object]) -> dict[str, object]:
    """The row, printed."""
    print(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    return row


if __name__ == "__main__":
    typer.run(main)

"""Do the intervals cover and do the p-values hold? Simulations with families whose truth is known.

`python -m benchmarks.coverage [--simulations 2000]` draws 30 models in 6 families, with family effects in predictor and
score, prints how often the 95 % interval holds the true coefficient (percentile cluster bootstrap beside it) and how
often a whole matrix without any association shows a discovery at q < .05 (free permutation beside it), and writes
benchmarks/results/coverage.json.
"""

import json
from pathlib import Path

import numpy as np
import typer

from softh.analysis.correlation import METHODS, Method, benjamini_hochberg, intervals, permutation_p, weighted

FAMILIES = {"6 × 5": [5] * 6, "10, 7, 5, 4, 2, 2": [10, 7, 5, 4, 2, 2]}
# Correlation between families, within families, and the share of the variance that lies between families.
TRUTHS = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.4), (0.5, 0.5, 0.0), (0.5, 0.5, 0.3), (0.8, 0.8, 0.3), (0.8, 0.2, 0.4))
SHARES = (0.0, 0.3, 0.6)
RESAMPLES, PERMUTATIONS, COLUMNS = 1000, 1000, 10


def main(simulations: int = 2000, seed: int = 0) -> None:
    """Simulate, print, write."""
    generator = np.random.default_rng(seed)
    coverage = [
        row
        for name, sizes in FAMILIES.items()
        for truth in TRUTHS
        for row in cover(generator, name, np.repeat(np.arange(len(sizes)), sizes), truth, simulations)
    ]
    discoveries = [
        false(generator, name, np.repeat(np.arange(len(sizes)), sizes), share, simulations)
        for name, sizes in FAMILIES.items()
        for share in SHARES
    ]
    found = {
        "simulations": simulations, "resamples": RESAMPLES, "permutations": PERMUTATIONS, "columns": COLUMNS,
        "coverage": coverage, "discoveries": discoveries,
    }  # fmt: skip
    target = Path(__file__).parent / "results" / "coverage.json"
    target.write_text(json.dumps(found, indent=1) + "\n")


def cover(
    generator: np.random.Generator, name: str, family: np.ndarray, truth: tuple[float, float, float], simulations: int
) -> list[dict[str, object]]:
    """Share of simulations in which the interval holds the truth, for each coefficient."""
    between, inside, share = truth
    rho = share * between + (1 - share) * inside
    true = {"pearson": rho, "spearman": 6 / np.pi * np.arcsin(rho / 2), "kendall": 2 / np.pi * np.arcsin(rho)}
    inside_of: dict[Method, list[tuple[bool, bool]]] = {method: [] for method in METHODS}
    for number in range(simulations):
        x, y = pair(generator, family, between, inside, share)
        for method in METHODS:
            (low,), (high,) = (end[0] for end in intervals(x, y, family, method, RESAMPLES, number))
            counts = np.random.default_rng(number).multinomial(6, np.full(6, 1 / 6), RESAMPLES).astype(float)
            ends = np.nanquantile(weighted(x, y, family, counts, method), (0.025, 0.975))
            inside_of[method].append((low <= true[method] <= high, ends[0] <= true[method] <= ends[1]))
    rows: list[dict[str, object]] = []
    for method, held in inside_of.items():
        ours, percentile = np.mean(held, axis=0)
        print(f"{name:18} {truth} {method:9} covered {ours:.3f}, percentile {percentile:.3f}", flush=True)
        rows.append({"families": name, "truth": truth, "method": method, "covered": ours, "percentile": percentile})
    return rows


def false(
    generator: np.random.Generator, name: str, family: np.ndarray, share: float, simulations: int
) -> dict[str, object]:
    """Share of matrices without any association that show one at q < .05, and of single tests at p < .05."""
    alone = np.arange(len(family))
    seen = []
    for number in range(simulations):
        x, y = related(generator, family, share), related(generator, family, share)
        for families in (family, alone):
            p = permutation_p(x, y, families, "spearman", PERMUTATIONS, number)
            seen.append(((benjamini_hochberg(p) < 0.05).any(), (p < 0.05).mean()))
    ours, free = np.mean(seen[::2], axis=0), np.mean(seen[1::2], axis=0)
    print(f"{name:18} share {share}: any discovery {ours[0]:.4f}, freely permuted {free[0]:.4f}", flush=True)
    print(f"{'':18} p < .05 {ours[1]:.4f}, freely permuted {free[1]:.4f}", flush=True)
    return {
        "families": name,
        "share": share,
        "any": ours[0],
        "single": ours[1],
        "free": free[0],
        "free_single": free[1],
    }


def pair(
    generator: np.random.Generator, family: np.ndarray, between: float, inside: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two variables [n, 1] of variance 1."""
    of_family = correlated(generator, int(family.max()) + 1, between)[family]
    of_model = correlated(generator, len(family), inside)
    both = np.sqrt(share) * of_family + np.sqrt(1 - share) * of_model
    return both[:, :1], both[:, 1:]


def correlated(generator: np.random.Generator, n: int, rho: float) -> np.ndarray:
    first, noise = generator.standard_normal((2, n))
    return np.column_stack([first, rho * first + np.sqrt(1 - rho**2) * noise])


def related(generator: np.random.Generator, family: np.ndarray, share: float) -> np.ndarray:
    """Columns [n, COLUMNS] that correlate with one another, as benchmarks do, with family effects."""
    common = generator.standard_normal((2, COLUMNS))

    def draw(n: int) -> np.ndarray:
        return generator.standard_normal((n, 2)) @ common + generator.standard_normal((n, COLUMNS))

    return np.sqrt(share) * draw(int(family.max()) + 1)[family] + np.sqrt(1 - share) * draw(len(family))


if __name__ == "__main__":
    typer.run(main)

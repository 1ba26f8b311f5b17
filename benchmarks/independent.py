"""Against others where it can be checked: an independent implementation, and channels whose information is known.

`python -m benchmarks.independent` compares H and I with nam_entropy 0.2.0 (float64, same directions and ε), then sends
labels through channels of known mutual information and prints what soft entropy (raw and less its null), a nearest
neighbour estimator (Ross 2014) and the truth say, in nats. Writes benchmarks/results/independent.json.
"""

import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import digamma, logsumexp
from sklearn.neighbors import KDTree

from softh.estimator.assignment import assign, normalise, references
from softh.estimator.calibration import temperature
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.labels import LabelSet

POSITIONS, WIDTH, BINS, CLASSES, DRAWS = 4_000, 16, 100, 8, 8
NOISE = (0.1, 0.25, 0.5, 1.0)
FLIPS = (0.0, 0.1, 0.3, 0.6)


def nam_entropy() -> Any:
    """The module of its estimator alone: its package imports notebooks and plots."""
    spec = importlib.util.find_spec("nam_entropy")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nam-entropy is not installed; expected it in the environment: run make test-real once.")
    path = Path(spec.submodule_search_locations[0]) / "h.py"
    found = importlib.util.spec_from_file_location("nam_entropy_h", path)
    if found is None or found.loader is None:
        raise SystemExit(f"{path} cannot be loaded; expected nam-entropy 0.2.0.")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def soft(hidden: torch.Tensor, labels: np.ndarray, directions: torch.Tensor, epsilon: float) -> tuple[float, float]:
    """H(Z) and I(label; Z) in nats by the parts of softh, in float64."""
    unit = torch.nn.functional.normalize(hidden.double(), dim=-1)
    found = Assignments(*assign(unit, directions[None].double(), epsilon))
    fold = torch.zeros(len(labels), dtype=torch.int64)
    distinct, dense = torch.unique(torch.from_numpy(labels), return_inverse=True)
    grouping = group(LabelSet("input", 1, dense, len(distinct)), fold, 1)
    h = float(conditional_entropy(found, single_group(fold, 1), "positions")[0, 0])
    return h, h - float(conditional_entropy(found, grouping, "positions")[0, 0])


def against_nam() -> dict[str, float]:
    """Largest |difference| in H and I, in units of log n, over three widths."""
    module, generator, worst = nam_entropy(), np.random.default_rng(0), {"H": 0.0, "I": 0.0}
    for width in (16, 64, 576):
        labels = generator.zipf(1.5, POSITIONS) % 500
        hidden = torch.from_numpy(generator.standard_normal((POSITIONS, width)) + 0.3 * (labels % 7)[:, None])
        directions = references(BINS, width, 1, 0).directions[0].double()
        directions /= directions.norm(dim=1, keepdim=True)  # it normalises them again, in the precision of the data
        epsilon = temperature(BINS, width)
        dense = np.unique(labels, return_inverse=True)[1]
        theirs = module.EntropyAccumulator(
            BINS, list(range(int(dense.max()) + 1)), dist_fn="cosine", bin_type="unit_sphere", smoothing_fn="softmax",
            smoothing_temp=epsilon,
        )  # fmt: skip
        theirs.bins = directions[:, None]
        theirs.update(hidden, torch.from_numpy(dense))
        metrics = theirs.compute_metrics()["output_metrics"]
        h, information = soft(hidden, labels, directions, epsilon)
        worst["H"] = max(worst["H"], abs(h - metrics["entropy"]) / math.log(BINS))
        worst["I"] = max(worst["I"], abs(information - metrics["mutual_information"]) / math.log(BINS))
    return worst


def channels() -> Iterator[tuple[str, float, float, np.ndarray, np.ndarray]]:
    """Name, noise, true I(label; Z) in nats, labels and hidden states."""
    generator = np.random.default_rng(1)
    centres = np.eye(CLASSES, WIDTH)
    labels = generator.integers(0, CLASSES, POSITIONS)
    for sigma in NOISE:
        noisy = centres[labels] + sigma * generator.standard_normal((POSITIONS, WIDTH))
        yield "Gaussian classes", sigma, _gaussian(centres, sigma), labels, noisy
    for flip in FLIPS:
        moved = (labels + generator.integers(1, CLASSES, POSITIONS)) % CLASSES
        sent = np.where(generator.random(POSITIONS) < flip, moved, labels)
        # A little jitter: equal points have no nearest neighbour.
        states = centres[sent] + 1e-3 * generator.standard_normal((POSITIONS, WIDTH))
        yield "discrete, flipped", flip, _flipped(flip), labels, states


def _gaussian(centres: np.ndarray, sigma: float) -> float:
    """log k − E[log Σ_j exp(log-likelihood ratio)], by 40,000 samples of the density itself."""
    generator = np.random.default_rng(2)
    z = centres[0] + sigma * generator.standard_normal((40_000, WIDTH))
    logs = -((z[:, None] - centres) ** 2).sum(-1) / (2 * sigma**2)
    return math.log(CLASSES) - float(np.mean(logsumexp(logs, axis=1) - logs[:, 0]))


def _flipped(flip: float) -> float:
    if flip == 0:
        return math.log(CLASSES)
    lost = -(1 - flip) * math.log(1 - flip) - flip * math.log(flip) + flip * math.log(CLASSES - 1)
    return math.log(CLASSES) - lost


def nearest(labels: np.ndarray, states: np.ndarray, k: int = 3) -> float:
    """I(label; Z) by Ross (2014): how many points lie as near as the k-th neighbour of the same label."""
    within = np.empty(len(labels))
    radius = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        radius[rows] = KDTree(states[rows]).query(states[rows], k + 1)[0][:, -1]  # the nearest is the point itself
        within[rows] = len(rows)
    many = KDTree(states).query_radius(states, np.nextafter(radius, 0), count_only=True)
    return float(digamma(len(labels)) + digamma(k) - digamma(within).mean() - digamma(np.maximum(many, 1)).mean())


def main() -> None:
    """Compare, print, write."""
    worst = against_nam()
    print(f"nam_entropy 0.2.0, float64: largest |difference| H {worst['H']:.1e}, I {worst['I']:.1e} of log n")
    epsilon = temperature(BINS, WIDTH)
    drawn, generator = references(BINS, WIDTH, DRAWS, 0).directions, np.random.default_rng(3)
    rows = []
    for name, noise, truth, labels, states in channels():
        hidden = normalise(torch.from_numpy(states))
        shuffled = generator.permutation(labels)
        raw = np.mean([soft(hidden, labels, w, epsilon)[1] for w in drawn])
        null = np.mean([soft(hidden, shuffled, w, epsilon)[1] for w in drawn])
        row = {"channel": name, "noise": noise, "truth": truth, "raw": float(raw), "corrected": float(raw - null),
               "nearest": nearest(labels, states)}  # fmt: skip
        rows.append(row)
        print(" ".join(f"{key} {v:.3f}" if isinstance(v, float) else str(v) for key, v in row.items()))
    about = {"positions": POSITIONS, "width": WIDTH, "bins": BINS, "classes": CLASSES, "draws": DRAWS}
    target = Path(__file__).parent / "results" / "independent.json"
    target.write_text(json.dumps({"about": about, "nam_entropy": worst, "channels": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

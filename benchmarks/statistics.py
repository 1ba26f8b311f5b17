"""Time of the statistics alone: the published package against ours, same hidden states, labels and directions.

`python -m benchmarks.statistics` prints a table and writes benchmarks/results/statistics.json. Every round times the
package, then ours, one after the other; the figure to quote is the median ratio over rounds.
"""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from soft_entropy.accumulator import SoftEntropyAccumulator

from softh.assignment import assign, normalise
from softh.calibration import temperature
from softh.counts import Counts, Mass, group, indicator
from softh.labels import LabelSet

POSITIONS, WIDTH, BINS, BATCH, ROUNDS = 65_536, 768, 100, 2_048, 5


def label_sets(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Four label sets as sparse as the first two orders of input and output are in real text."""
    tokens = generator.zipf(1.3, POSITIONS + 2) % 20_000
    pairs = tokens[:-1] * 20_000 + tokens[1:]
    names = {"input 1": tokens[:-2], "output 1": tokens[2:], "input 2": pairs[:-1], "output 2": pairs[1:]}
    return {name: np.ascontiguousarray(values) for name, values in names.items()}


def package(hidden: torch.Tensor, labels: dict[str, np.ndarray], batch: int) -> dict[str, float]:
    """I(label; Z) by soft-entropy."""
    accumulator = SoftEntropyAccumulator(d=WIDTH, n_bins=BINS, backend="torch")
    for start in range(0, POSITIONS, batch):
        part = slice(start, start + batch)
        accumulator.update(hidden[part], {name: torch.from_numpy(values[part]) for name, values in labels.items()})
    return accumulator.mutual_information()


def ours(hidden: torch.Tensor, labels: dict[str, np.ndarray], batch: int) -> dict[str, float]:
    """I(label; Z) by softh, the package's directions, grouping of the labels included."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(BINS, WIDTH, generator=generator), dim=-1)
    scaled = directions[None] / temperature(BINS, WIDTH)
    fold = np.zeros(POSITIONS, dtype=np.int64)
    mass, counts = Mass(1, 1, BINS), {}
    for name, values in labels.items():
        distinct, dense = np.unique(values, return_inverse=True)
        counts[name] = Counts(group(LabelSet("input", 1, False, dense, len(distinct)), fold, 1), 1, BINS)
    folds = indicator(torch.from_numpy(fold), 1)
    for start in range(0, POSITIONS, batch):
        at = torch.arange(start, min(start + batch, POSITIONS))
        p, entropy = assign(normalise(hidden[start : start + batch]), scaled)
        p, entropy = p.double(), entropy.double()
        mass.add(p, folds[:, at])
        for statistic in counts.values():
            statistic.add(p, entropy, statistic.grouping.part(at))
    h = mass.entropy()[0, 0]
    return {
        name: float(h - statistic.conditional_entropy("positions")[0, 0]) / np.log(BINS)
        for name, statistic in counts.items()
    }


def main() -> None:
    """Run both in turn, check that they agree, print the ratio."""
    generator = np.random.default_rng(0)
    hidden = torch.from_numpy(generator.standard_normal((POSITIONS, WIDTH), dtype=np.float32) + 0.3)
    labels = label_sets(generator)
    results = []
    for batch in (BATCH, POSITIONS):
        rows = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            theirs = package(hidden, labels, batch)
            between = time.perf_counter()
            found = ours(hidden, labels, batch)
            rows.append((between - began, time.perf_counter() - between))
            worst = max(abs(theirs[name] - found[name]) for name in labels)
        package_s, ours_s = np.median(rows, axis=0)
        ratios = [a / b for a, b in rows]
        print(
            f"batch {batch:>6,}: package {package_s:.2f} s, ours {ours_s:.3f} s, ratio {np.median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f} over {ROUNDS} rounds), largest |difference| {worst:.1e}"
        )
        results.append({"batch": batch, "seconds": rows, "ratio": float(np.median(ratios)), "difference": worst})
    machine = {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    machine |= {"soft-entropy": version("soft-entropy"), "python": platform.python_version()}
    sizes = {"positions": POSITIONS, "width": WIDTH, "bins": BINS, "label_sets": len(labels)}
    target = Path(__file__).parent / "results" / "statistics.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "sizes": sizes, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()

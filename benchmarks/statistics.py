"""Time of the statistics on a CPU: the published package against ours, same hidden states, labels and directions.

`python -m benchmarks.statistics [--sizes]` prints a table and writes benchmarks/results/statistics.json. Every round
times the package, then ours, one after the other; the figure to quote is the median ratio over rounds. `--sizes` adds
ours at many sizes, with the growth exponents of time and memory.
"""

import json
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from soft_entropy.accumulator import SoftEntropyAccumulator

from softh.estimator.assignment import assign_into
from softh.estimator.calibration import temperature
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.labels import LabelSet

POSITIONS, WIDTH, BINS, ROUNDS = 65_536, 768, 100, 5


def label_sets(positions: int, sets: int) -> dict[str, np.ndarray]:
    """Label sets as sparse as input and output of orders 1, 2, 3 … are in real text."""
    tokens = np.random.default_rng(0).zipf(1.3, positions + 8) % 20_000
    codes, found = np.unique(tokens, return_inverse=True)[1], {}
    for order in range(1, sets // 2 + 1):
        found |= {f"input {order}": codes[:positions].copy(), f"output {order}": codes[order:][:positions].copy()}
        codes = np.unique(codes[:-1] * 20_000 + tokens[order:], return_inverse=True)[1]
    return found


def package(hidden: torch.Tensor, labels: dict[str, np.ndarray], batch: int) -> dict[str, float]:
    """I(label; Z) by soft-entropy."""
    accumulator = SoftEntropyAccumulator(d=hidden.shape[1], n_bins=BINS, backend="torch")
    for start in range(0, len(hidden), batch):
        part = slice(start, start + batch)
        accumulator.update(hidden[part], {name: torch.from_numpy(values[part]) for name, values in labels.items()})
    return accumulator.mutual_information()


def ours(
    hidden: torch.Tensor,
    labels: dict[str, np.ndarray],
    batch: int,
    *,
    draws: int = 1,
    null: bool = False,
    bins: int = BINS,
) -> dict[str, float]:
    """I(label; Z) by softh, the package's directions first, encoding and sorting of the labels included."""
    positions, width = hidden.shape
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(draws * bins, width, generator=generator), dim=-1)
    epsilon = temperature(bins, width)
    every = directions.view(draws, bins, width)
    fold = torch.zeros(positions, dtype=torch.int64)
    p, entropy = torch.empty(positions, draws, bins), torch.empty(positions, draws)
    for start in range(0, positions, batch):
        part = slice(start, start + batch)
        assign_into(hidden[part], every, epsilon, p[part], entropy[part])
    found = Assignments(p, entropy)
    h = conditional_entropy(found, single_group(fold, 1), "positions")[0, 0]
    information = {}
    for name, values in labels.items():
        distinct, dense = torch.unique(torch.from_numpy(values), return_inverse=True)
        shuffled = dense[torch.randperm(len(dense), generator=torch.Generator().manual_seed(0))]
        for kind, ids in {"": dense, " null": shuffled}.items() if null else {"": dense}.items():
            grouping = group(LabelSet("input", 1, ids, len(distinct)), fold, 1)
            left = conditional_entropy(found, grouping, "positions")[0, 0]
            information[name + kind] = float(h - left) / np.log(bins)
    return information


def states(positions: int, width: int) -> torch.Tensor:
    """Random hidden states with a long mean."""
    random = np.random.default_rng(0)
    return torch.from_numpy(random.standard_normal((positions, width), dtype=np.float32) + np.float32(0.3))


def against_the_package() -> list[dict[str, Any]]:
    """Both in turn; checks that they agree and prints the ratio."""
    hidden, results = states(POSITIONS, WIDTH), []
    for batch, sets in ((2_048, 4), (POSITIONS, 8)):
        labels, rows = label_sets(POSITIONS, sets), []
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
            f"batch {batch:>6,}, {sets} label sets: package {package_s:.2f} s, ours {ours_s:.3f} s, ratio "
            f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f} over {ROUNDS} rounds), largest "
            f"|difference| {worst:.1e}",
            flush=True,
        )
        results.append({"batch": batch, "sets": sets, "seconds": rows, "ratio": float(np.median(ratios))})
    return results


SIZES = [
    *((positions, 512, 100, 1, 4, False) for positions in (8_192, 65_536, 262_144, 1_048_576)),
    *((16_384, width, 100, 1, 4, False) for width in (2_048, 8_192)),
    *((16_384, 512, bins, 1, 4, False) for bins in (300, 1_000)),
    *((16_384, 512, 100, draws, 8, True) for draws in (1, 5, 16)),
]
"""Positions, width, bins, draws, label sets, null."""


def at_many_sizes() -> list[dict[str, Any]]:
    """Ours alone, smallest first, since the peak of memory never falls; then exponents over positions."""
    results = []
    for positions, width, bins, draws, sets, null in sorted(SIZES, key=lambda size: size[0] * size[1]):
        hidden, labels = states(positions, width), label_sets(positions, sets)
        spent = []
        for _ in range(ROUNDS if positions < 10**6 else 2):
            began = time.perf_counter()
            ours(hidden, labels, 2_048, draws=draws, null=null, bins=bins)
            spent.append(time.perf_counter() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        median = float(np.median(spent))
        print(
            f"{positions:>9,} positions, width {width:>5,}, {bins:>5,} bins, {draws:>2} draws, {sets} label sets"
            f"{' with null' * null}: {median:8.3f} s ({min(spent):.3f} to {max(spent):.3f}, n {len(spent)}), "
            f"peak so far {peak:.1f} GiB",
            flush=True,
        )
        results.append(
            {"positions": positions, "width": width, "bins": bins, "draws": draws, "sets": sets, "null": null,
             "seconds": spent, "peak_gib": peak}
        )  # fmt: skip
    grown = [
        row for row in results if row["width"] == 512 and row["draws"] == 1 and row["bins"] == 100 and not row["null"]
    ]
    sizes = np.log([row["positions"] for row in grown])
    for name, values in (
        ("time", [np.median(row["seconds"]) for row in grown]),
        ("memory", [row["peak_gib"] for row in grown]),
    ):
        print(f"growth of {name} with positions: exponent {np.polyfit(sizes, np.log(values), 1)[0]:.2f}")
    return results


def main() -> None:
    """Run, print, and write what was found."""
    torch.manual_seed(0)
    found = {"package": against_the_package()}
    if "--sizes" in sys.argv:
        found["sizes"] = at_many_sizes()
    machine = {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    machine |= {"soft-entropy": version("soft-entropy"), "python": platform.python_version()}
    target = Path(__file__).parent / "results" / "statistics.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "results": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

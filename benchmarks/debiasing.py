"""How far raw, raw less its null, and debiased information are from the truth, on channels whose truth is known.

`python -m benchmarks.debiasing` takes every channel of `benchmarks/_channels.py` at 2,500, 10,000 and 40,000 positions,
with its labels as they are and split at random into two and four (which leaves the truth as it is), prints the relative
errors of I(X;Z), I(Y;Z) and optimality, and writes benchmarks/results/debiasing.json. Truths that the file holds are
used again. With `quick` it takes one sample of 2,500 positions a channel and writes nothing; `tables` prints the tables
of docs/debiasing.md from what was written; `independent` asks what labels drawn without regard to Z seem to carry.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks._channels import DEVELOPMENT, FRESH, Channel, Truth, assign, directions
from softh.estimator.information import of_assignments

TARGET = Path(__file__).parent / "results" / "debiasing.json"
QUANTITIES = ("I(X)", "I(Y)", "optimality")
ESTIMATES = ("raw", "corrected", "debiased", "lower")
SHOWN = ESTIMATES[:3]
SPLITS = (1, 2, 4)
# Positions, samples for each seed of the reference directions.
SAMPLES = {2_500: 6, 10_000: 3, 40_000: 1}
SAMPLES_FRESH = {2_500: 12, 10_000: 4, 40_000: 1}

Errors = dict[tuple[int, str], list[list[float]]]
Part = tuple[Channel, int, int, tuple[int, ...]]


def main(quick: bool = False) -> None:
    """Measure every channel, print one line a channel, number of positions and split; write unless quick."""
    began = time.perf_counter()
    truths = {} if not TARGET.exists() else json.loads(TARGET.read_text())["truths"]
    rows: list[dict[str, Any]] = []
    print(f"Relative errors in %, {' / '.join(QUANTITIES)}")
    with ProcessPoolExecutor(initializer=torch.set_num_threads, initargs=(1,)) as processes:
        parts = list(plan(quick))
        for found, known in processes.map(one, parts, [truths] * len(parts)):
            truths |= known
            rows += found
            show(found)
    if not quick:
        write(rows, truths, time.perf_counter() - began)


def one(part: Part, truths: dict[str, dict[str, float]]) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """All samples of one channel and number of positions: rows, and the truths that it needed."""
    channel, positions, samples, seeds = part
    errors: Errors = {}
    for seed in seeds:
        truth = truth_of(channel, seed, truths)
        for number in range(samples):
            measure(channel, positions, seed, number, truth, errors)
    return summary(channel, positions, errors), truths


def plan(quick: bool) -> Iterator[Part]:
    """Channel, positions, samples a seed, and seeds of the reference directions."""
    for channels, samples in ((DEVELOPMENT, SAMPLES), (FRESH, SAMPLES_FRESH)):
        for channel in channels:
            for positions, count in samples.items():
                if quick and positions > min(samples):
                    continue
                two = channels is DEVELOPMENT and count > 1 and not quick
                yield channel, positions, 1 if quick else count, (0, 1) if two else (0,)


def truth_of(channel: Channel, seed: int, known: dict[str, dict[str, float]]) -> Truth:
    """The truth under the directions of this seed; computed (about a minute) and added where it is not known."""
    key = f"{channel.name}/{seed}"
    if key not in known:
        known[key] = asdict(channel.truth(directions(channel.width, seed), seed))
    return Truth(**known[key])


def measure(channel: Channel, positions: int, seed: int, number: int, truth: Truth, errors: Errors) -> None:
    """One sample: the relative errors of all estimates at every split, appended to `errors`."""
    sample = channel.sample(positions, 1000 * seed + number)
    assigned = assign(sample.states, directions(channel.width, seed))[:, None]
    groups = sample.documents if channel.repetition else None
    rng = np.random.default_rng(number)
    for split in SPLITS:
        found = [
            of_assignments(assigned, labels * split + rng.integers(0, split, positions), groups=groups, seed=number)
            for labels in (sample.x, sample.y)
        ]
        for estimate in ESTIMATES:
            x, y = (getattr(one, estimate).value * np.log(assigned.shape[-1]) for one in found)
            relative = [x / truth.x - 1, y / truth.y - 1, y / x / (truth.y / truth.x) - 1]
            errors.setdefault((split, estimate), []).append(relative)


def summary(channel: Channel, positions: int, errors: Errors) -> list[dict[str, Any]]:
    """One row a split and estimate: mean and standard deviation of the relative errors over samples."""
    rows = []
    for (split, estimate), values in errors.items():
        table = np.array(values)
        rows.append(
            {
                "channel": channel.name, "positions": positions, "split": split, "estimate": estimate,
                "n": len(table), "mean": table.mean(0).tolist(),
                "sd": table.std(0, ddof=1).tolist() if len(table) > 1 else None,
            }
        )  # fmt: skip
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """One line a split, the estimates beside each other."""
    for split in SPLITS:
        cells = []
        for estimate in SHOWN:
            row = next(row for row in rows if (row["split"], row["estimate"]) == (split, estimate))
            mean = " / ".join(f"{100 * value:+.1f}" for value in row["mean"])
            deviation = f" (sd {' / '.join(f'{100 * value:.1f}' for value in row['sd'])})" if row["sd"] else ""
            cells.append(f"{estimate} {mean}{deviation if estimate == 'debiased' else ''}, n {row['n']}")
        head = f"{rows[0]['channel']:8} {rows[0]['positions']:6,} positions, split {split}"
        print(f"{head:38} | {' | '.join(cells)}", flush=True)


def write(rows: list[dict[str, Any]], truths: dict[str, dict[str, float]], seconds: float) -> None:
    """One JSON file: what was run where, the truths in nats, and every row."""
    about = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "torch")}},
        "command": "python -m benchmarks.debiasing",
        "seconds": round(seconds),
        "bins": 100,
        "draws": 1,
    }
    channels = {channel.name: channel.about for channel in DEVELOPMENT + FRESH}
    found = {"about": about, "channels": channels, "quantities": QUANTITIES, "truths": truths, "errors": rows}
    TARGET.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")


def tables() -> None:
    """The tables of docs/debiasing.md, from the results."""
    found = json.loads(TARGET.read_text())
    rows = {(row["channel"], row["positions"], row["split"], row["estimate"]): row for row in found["errors"]}

    def cell(*key: Any, part: str = "mean") -> str:
        sign = "+" if part == "mean" else ""
        return " / ".join(f"{100 * value:{sign}.1f}" for value in rows[key][part])

    print("| channel | raw | raw − null | debiased | sd | debiased, split 4 | n |\n|---|---|---|---|---|---|---|")
    for channel in (*DEVELOPMENT, *FRESH):
        at = (channel.name, 10_000)
        cells = [cell(*at, 1, estimate) for estimate in SHOWN] + [cell(*at, 1, "debiased", part="sd")]
        print(f"| {channel.name}, {channel.about} | {' | '.join(cells)} | {cell(*at, 4, 'debiased')} "
              f"| {rows[(*at, 1, 'debiased')]['n']} |")  # fmt: skip
    print("\n| channels | positions | I(X) | I(Y) | optimality | raw | raw − null |\n|---|---|---|---|---|---|---|")
    for name, channels in (("development", DEVELOPMENT), ("fresh", FRESH)):
        for positions in SAMPLES:
            worst = [worst_of(rows, [channel.name for channel in channels], positions, at) for at in range(3)]
            spans = [span_of(rows, [channel.name for channel in channels], positions, each) for each in SHOWN[:2]]
            print(f"| {name} | {positions:,} | {' | '.join(worst)} | {' | '.join(spans)} |")


def independent(samples: int = 100, positions: int = 5_000) -> None:
    """Labels that Z does not depend on: mean, spread, share below .003 of log n, and coverage of zero."""
    for channel in (channel for channel in DEVELOPMENT if channel.name in ("A", "docs")):
        for draws in (1, 8):
            directions_ = [directions(channel.width, seed) for seed in range(draws)]
            values, errors = [], []
            for number in range(samples):
                sample, other = channel.sample(positions, number), channel.sample(positions, samples + number)
                p = np.stack([assign(sample.states, each) for each in directions_], axis=1)
                groups = sample.documents if channel.repetition else None
                found = of_assignments(p, other.x, groups=groups, seed=number).debiased
                values.append(found.value)
                errors.append(np.hypot(found.se_draws or 0, found.se_documents or 0))
            value, stated = np.array(values), np.array(errors)
            print(
                f"{channel.name}, {draws} draws: {value.mean():+.5f} ± {value.std(ddof=1) / samples**0.5:.5f} "
                f"of log n, sd {value.std(ddof=1):.5f}, "
                f"below .003 in {(abs(value) < 0.003).mean():.0%}, zero within the 95 % "
                f"interval in {(abs(value) < stats.t.ppf(0.975, 7) * stated).mean():.0%}, stated / true "
                f"{np.sqrt((stated**2).mean()) / value.std(ddof=1):.2f}, n {samples}"
            )


def worst_of(rows: dict[Any, dict[str, Any]], channels: list[str], positions: int, at: int) -> str:
    """The largest mean error of the debiased value with its standard error, channel and split."""
    each = [rows[channel, positions, split, "debiased"] for channel in channels for split in SPLITS]
    row = max(each, key=lambda row: abs(row["mean"][at]))
    error = f" ± {100 * row['sd'][at] / row['n'] ** 0.5:.1f}" if row["sd"] else ""
    return f"{100 * row['mean'][at]:+.1f}{error} ({row['channel']}, {row['split']})"


def span_of(rows: dict[Any, dict[str, Any]], channels: list[str], positions: int, estimate: str) -> str:
    """Range of the mean errors of I(X) and I(Y)."""
    values = [
        100 * value
        for channel in channels
        for split in SPLITS
        for value in rows[channel, positions, split, estimate]["mean"][:2]
    ]
    return f"{min(values):+.0f} to {max(values):+.0f}"


if __name__ == "__main__":
    chosen = {"tables": tables, "independent": independent}.get(sys.argv[-1])
    chosen() if chosen else main("quick" in sys.argv[1:])

"""The plane of models that are not of language: `python -m benchmarks.time_series [train] [markov] [fracast]`.

train: the transformer of examples/time_series.py on synthetic seasons with level shifts and outliers, along its
training, under values, slopes, phases, patches, level shifts and outliers as labels and at several horizons.
markov: the same transformer on a Markov chain, whose information at every horizon is known in closed form.
fracast: layers of Fracast-0 (the package fracast 0.1.0, Apache-2.0, 85,001 parameters; its 32-bit weights) on the same
synthetic series and on real ones that statsmodels carries. It sees the last 2,048 values up to each position and no
later one: its phase features and its scaling are of the whole window, so only the last hidden state of each is used.

Estimates are stored in SOFTH_DATA, else in a temporary folder, through the public functions; the numbers are in
benchmarks/results/time_series.json. With `short` everything is smaller and no table is written.
"""

import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

import softh
from benchmarks._synthetic import machine
from examples import time_series as example
from softh.estimator.series import (
    SeriesSample,
    change_points,
    joint,
    outliers,
    season_bins,
    slope_bins,
    value_bins,
)

TARGET = Path(__file__).parent / "results" / "time_series.json"
SHORT = "short" in sys.argv
STEPS, DUE = (60, (0, 60)) if SHORT else (3_000, (0, 30, 100, 300, 1_000, 3_000))
LEVELS, HORIZONS, DRAWS = 8, (1, 4, 12), 8
MOST = 200 if SHORT else 1_600
"""Windows of Fracast-0, of 2,048 values each, for a sample."""
Series = dict[str, np.ndarray]


def seasons_samples(series: Series, shifts: Series, far: Series, context: int) -> Iterator[SeriesSample]:
    """Every kind of label of the synthetic seasons; events are those that were planted."""
    level, period = value_bins(series, bins=8), example.PERIOD
    phases = {
        name: (np.arange(len(values)) + 7 * number) % period * 8 // period
        for number, (name, values) in enumerate(series.items())
    }
    patches = joint(value_bins(series, bins=4), slope_bins(series, bins=3))
    kinds = [
        ("values", level, (1, 2, 3, 4), 1), *(("values", level, (1,), horizon) for horizon in HORIZONS[1:]),
        ("slopes", slope_bins(series), (1,), 1), ("phases", phases, (1,), 1), ("patches", patches, (1,), 1),
        ("changes", shifts, (1,), 1), ("outliers", far, (1,), 1),
    ]  # fmt: skip
    for labels, symbols, orders, horizon in kinds:
        yield SeriesSample(
            series, symbols, labels=labels, name="seasons (synthetic)", context=context, orders=orders,
            horizon=horizon, note="Synthetic series of examples/time_series.py.",
        )  # fmt: skip


def rows_of(point: softh.Estimate, sample: SeriesSample, model: str, step: int | None) -> Iterator[dict[str, Any]]:
    """Debiased information of the mean and of every layer, with errors, and the entropy of the label."""
    scale = math.log(100)
    for row in point.measures:
        if (row.quantity, row.correction) == ("information", "debiased"):
            labels = sample.label_values[f"{row.variable} {row.ngram}"]
            share = np.bincount(labels) / len(labels)
            share = share[share > 0]
            yield {
                "model": model, "step": step, "data": sample.name, "labels": sample.about["labels"],
                "layer": row.layer, "variable": row.variable, "order": row.ngram, "value": row.value,
                "se_draws": row.se_draws, "se_documents": row.se_documents, "positions": row.positions,
                "distinct": row.labels, "label_entropy": float(-(share * np.log(share)).sum() / scale),
                "rarest": float(share.min()),
            }  # fmt: skip


def train() -> list[dict[str, Any]]:
    """The transformer along its training."""
    training, _, _ = example.seasons(64, 2_000, seed=0)
    others = example.seasons(16, 640, seed=1)
    torch.manual_seed(0)
    model, rows = example.Transformer(width=64, layers=4), []
    for step in example.train(model, training, value_bins(training, bins=8), STEPS):
        if step in DUE:
            for sample in seasons_samples(*others, context=example.CONTEXT):
                point = example.measure(model, sample, "series-transformer (trained here)", step, draws=DRAWS)
                rows += rows_of(point, sample, "transformer", step)
            print(f"step {step}", flush=True)
    return rows


def chain(count: int, length: int, seed: int) -> tuple[Series, np.ndarray]:
    """Markov chains over LEVELS levels with a little noise, and their transition matrix: mostly to a neighbour."""
    apart = np.abs(np.arange(LEVELS)[:, None] - np.arange(LEVELS))
    transition = np.exp(-1.2 * apart) * (1 + 2 * (np.arange(LEVELS)[:, None] > np.arange(LEVELS)))
    transition /= transition.sum(1, keepdims=True)
    rng, found = np.random.default_rng(seed), {}
    for number in range(count):
        states = np.zeros(length, dtype=np.int64)
        states[0] = rng.integers(LEVELS)
        uniform = rng.random(length)
        for at in range(1, length):
            states[at] = np.searchsorted(transition[states[at - 1]].cumsum(), uniform[at]).clip(max=LEVELS - 1)
        found[f"chain {number}"] = states
    return found, transition


def known(transition: np.ndarray, horizon: int) -> float:
    """I(level now; level so many steps later) in log n: what nothing that has read the past can exceed."""
    values, vectors = np.linalg.eig(transition.T)
    share = np.abs(np.real(vectors[:, np.argmax(np.real(values))]))
    share /= share.sum()
    pair = share[:, None] * np.linalg.matrix_power(transition, horizon)
    return float((pair * np.log(pair / np.outer(share, pair.sum(0)))).sum() / math.log(100))


def markov() -> list[dict[str, Any]]:
    """The transformer on a chain: I(Y;Z) at every horizon beside the closed form."""
    training, transition = chain(64, 2_000, seed=0)
    states, _ = chain(16, 640, seed=1)
    noisy = {name: each + 0.05 * np.random.default_rng(7).standard_normal(len(each)) for name, each in states.items()}
    torch.manual_seed(0)
    model, rows = example.Transformer(width=64, layers=4), []
    series = {name: each.astype(float) for name, each in training.items()}
    for step in example.train(model, series, training, STEPS // 3):
        if step in (0, 10, 100, STEPS // 3):
            for horizon in (1, 2, 4, 8):
                sample = SeriesSample(
                    noisy, states, labels="values", name="Markov chain (synthetic)", context=example.CONTEXT,
                    orders=(1, 2), horizon=horizon, note="Synthetic series of benchmarks/time_series.py.",
                )  # fmt: skip
                point = example.measure(model, sample, "markov-transformer (trained here)", step, draws=DRAWS)
                found = list(rows_of(point, sample, "markov", step))
                rows += [{**row, "known": known(transition, horizon)} for row in found]
    return rows


def real() -> tuple[Series, dict[str, int]]:
    """Series that statsmodels carries, gaps of co2 cut out, and the period of each."""
    from statsmodels.datasets import co2, elec_equip, elnino, macrodata, sunspots

    carbon = co2.load_pandas().data["co2"].to_numpy()
    ends = np.flatnonzero(np.diff(np.isfinite(carbon).astype(int))) + 1
    longest = max(np.split(carbon, ends), key=lambda part: len(part) if np.isfinite(part).all() else 0)
    quarterly = macrodata.load_pandas().data
    series = {
        "co2, weekly": longest,
        "sea surface temperature, monthly": elnino.load_pandas().data.iloc[:, 1:].to_numpy().ravel(),
        "sunspots, yearly": sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(),
        "electrical equipment, monthly": elec_equip.load_pandas().data.to_numpy().ravel(),
        "unemployment, quarterly": quarterly["unemp"].to_numpy(), "inflation, quarterly": quarterly["infl"].to_numpy(),
    }  # fmt: skip
    return {name: np.asarray(values, dtype=float) for name, values in series.items()}, {
        "co2, weekly": 52, "sea surface temperature, monthly": 12, "sunspots, yearly": 11,
        "electrical equipment, monthly": 12, "unemployment, quarterly": 4, "inflation, quarterly": 4,
    }  # fmt: skip


def real_samples(series: Series, periods: Mapping[str, int], context: int) -> Iterator[SeriesSample]:
    """Labels of the real series, the season of each by its own period; events are found, not planted."""
    phases: dict[str, np.ndarray] = {}
    for name, values in series.items():
        phases |= season_bins({name: values}, periods[name], bins=min(8, periods[name]))
    kinds = {
        "values": (value_bins(series), (1, 2), (1, 4)), "slopes": (slope_bins(series), (1,), (1,)),
        "phases": (phases, (1,), (1,)), "changes": (change_points(series), (1,), (1,)),
        "outliers": (outliers(series), (1,), (1,)),
    }  # fmt: skip
    for labels, (symbols, orders, horizons) in kinds.items():
        if not any(each.any() for each in symbols.values()):
            print(f"{labels}: none in the real series", flush=True)
            continue
        for horizon in horizons:
            yield SeriesSample(
                series, symbols, labels=labels, name="six series of statsmodels", context=context, orders=orders,
                horizon=horizon, note="Series that statsmodels 0.15.0 carries, mostly in the public domain.",
            )  # fmt: skip


def fracast_states(core: Any, windows: np.ndarray, seen: np.ndarray) -> list[np.ndarray]:
    """Hidden states of the last value of every window: after the input, then after every dilation, then normed."""
    low = np.where(seen, windows, np.inf).min(1, keepdims=True)
    span = np.maximum(np.where(seen, windows, -np.inf).max(1, keepdims=True) - low, 1e-5)
    values = torch.tensor(np.where(seen, (windows - low) / span, 0), dtype=torch.float32)[:, None]
    mask, states = torch.from_numpy(seen)[:, None], []
    hooks = [core.block.register_forward_hook(lambda _, inputs, out: states.append((inputs, out)))]
    with torch.inference_mode():
        last = core(values, mask, mask.float())
    for hook in hooks:
        hook.remove()
    embedded = states[0][0][0]  # the input of the first block, scaled by its condition
    # Copies: a view would keep the states of the whole window.
    return [each[:, -1].numpy().copy() for each in (embedded, *(out for _, out in states), last)]


def fracast() -> list[dict[str, Any]]:
    """Layers of Fracast-0 on the synthetic and on the real series."""
    if importlib.util.find_spec("fracast") is None:  # for this measurement alone
        raise SystemExit("fracast is not installed; expected it here: pip install --no-deps fracast==0.1.0.")
    package = importlib.import_module("fracast")
    model, rows = package.FracastModel.from_pretrained(weights="fp32"), []
    size = sum(each.numel() for part in (model.core, model.head) for each in part.parameters())
    others = example.seasons(16, 640, seed=1)
    series, periods = real()
    for samples in (list(seasons_samples(*others, context=64)), list(real_samples(series, periods, 32))):
        ends = sorted({end for sample in samples for end in sample.ends})
        ends = ends[:: 1 + len(ends) // MOST]
        began, known_states = time.perf_counter(), {}
        for some in np.array_split(np.arange(len(ends)), max(1, len(ends) // 32)):
            windows = np.zeros((len(some), model.context_length))
            seen = np.zeros_like(windows, dtype=bool)
            for row, at in enumerate(some):
                name, end = ends[at]
                past = samples[0].series[name][max(0, end + 1 - model.context_length) : end + 1]
                windows[row, -len(past) :], seen[row, -len(past) :] = past, True
            for row, states in zip(some, zip(*fracast_states(model.core, windows, seen), strict=True), strict=True):
                known_states[ends[row]] = states
        print(f"{len(ends)} windows in {time.perf_counter() - began:.0f} s", flush=True)
        for sample in samples:
            here = [at for at, end in enumerate(sample.ends) if end in known_states]
            states = [np.stack(each) for each in zip(*(known_states[sample.ends[at]] for at in here), strict=True)]
            layers = ["input", *(f"dilation {2**number}" for number in range(len(states) - 2)), "norm"]
            accumulator = softh.Accumulator(
                layers, sample.label_sets, positions=len(here), draws=DRAWS, sample=sample.digest
            )
            accumulator.update(
                dict(zip(layers, states, strict=True)),
                {label: values[here] for label, values in sample.label_values.items()},
                document=sample.document[here], position=sample.position[here],
            )  # fmt: skip
            point = softh.save_accumulated(
                accumulator, sample, "Fracast-0", parameters=size, family="Fracast", source="package fracast 0.1.0",
                architecture="dilated causal convolutions",
            )  # fmt: skip
            rows += rows_of(point, sample, "Fracast-0", None)
    return rows


def main() -> None:
    """Run the parts that were asked for, and write what they gave beside what is there."""
    torch.set_num_threads(1)
    os.environ.setdefault("SOFTH_DATA", mkdtemp())
    found = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    for part in (train, markov, fracast):
        if part.__name__ in sys.argv or not {"train", "markov", "fracast"} & set(sys.argv):
            began = time.perf_counter()
            rows = part()
            found[part.__name__] = {"machine": machine("cpu"), "seconds": time.perf_counter() - began, "rows": rows}
            if not SHORT:
                TARGET.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
            print(f"{part.__name__}: {len(rows)} rows, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()

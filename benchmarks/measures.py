"""Measures of the spectrum, dimension and anisotropy: their cost in an estimate, and whether their errors are right.

`python -m benchmarks.measures [cost] [coverage] [first]` runs the parts named, by default all, and writes
benchmarks/results/measures-PART-DEVICE.json (or into $OUT). Cost: models of the shape of OLMo2 with random weights, on
this machine's GPU or CPU; with `--short` the smallest. Coverage: a population of documents whose states are known.
First: SmolLM2-135M-Instruct on c4-sample.jsonl of `../shared/text`, with and without the first position of documents.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._real import smollm2
from benchmarks._report import DEVICE, SHORT
from benchmarks._states import States
from benchmarks._synthetic import machine, olmo2, windows
from softh.checkpoints import resolve
from softh.estimator.measures import jackknife
from softh.estimator.spectra import SPECTRAL, SpectralSample, spectral_values
from softh.models import loading
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec
from softh.text import corpus

# Shape, documents, context. The last is the model of docs/method.md, on as many documents as it was measured on.
SIZES = {
    "cuda": (("1b", 2000, 512), ("44m", 512, 512)),
    "cpu": (("44m", 128, 256),),
}
FOLDS = 8
C4, LAYER = Path(__file__).parents[2] / "shared" / "text" / "c4-sample.jsonl", 14


def _synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def _seconds(run: Any) -> float:
    _synchronize()
    began = time.perf_counter()
    run()
    _synchronize()
    return time.perf_counter() - began


def cost() -> list[dict[str, Any]]:
    """Seconds of the forward passes alone, of what the sample adds to them, and of the measures after or between."""
    rows = []
    for shape, documents, context in (("tiny", 8, 64),) if SHORT else SIZES[DEVICE]:
        model = loading.describe(olmo2(shape, DEVICE), None, shape)
        text = windows(documents, context)
        spec = EstimateSpec(model="random", documents=documents, context=context)
        forward, sampled, measured = [], [], []
        for _ in range(3 if DEVICE == "cuda" else 2):
            states = HiddenStates(model, text, "0", cache=None, loss=False)
            layers = range(states.layers)
            forward.append(_seconds(lambda s=states, n=layers: s.each(n, lambda *_: None)))
            sample = SpectralSample(states, spec)
            sampled.append(_seconds(lambda s=states, n=layers: s.each(n, lambda *_: None)))
            measured.append(_seconds(sample.measures))
        added = min(sampled) - min(forward) + min(measured)
        row = {
            "shape": shape, "documents": documents, "context": context, "layers": model.layers + 1,
            "width": model.width, "positions": len(sample.folds.fold), "forward": forward, "sampled": sampled,
            "measured": measured, "share": added / min(forward),
        }  # fmt: skip
        print(json.dumps(row))
        rows.append(row)
    return rows


def population(documents: int, generator: np.random.Generator, width: int = 64, positions: int = 32) -> np.ndarray:
    """States [documents, positions, width] of a population: each document has a direction of its own.

    The spectrum of what differs within a document decays as i^−1; around a common mean, as hidden states have it.
    """
    scale = np.arange(1, width + 1) ** -0.5
    own = generator.standard_normal((documents, 1, width)) * scale[::-1] * 0.5
    within = generator.standard_normal((documents, positions, width)) * scale
    return (within + own + 0.7).astype(np.float32)


def coverage() -> dict[str, Any]:
    """Over fresh samples of documents: mean standard error over the spread of the values, and coverage of ±2.36 of it.

    2.36 is the 97.5 % point of Student's t with seven degrees of freedom.
    """
    samples, documents = (40, 64) if SHORT else (400, 128)
    values, errors = [], []
    for seed in range(samples):
        states = population(documents, np.random.default_rng(seed))
        fold = np.repeat(np.arange(documents) % FOLDS, states.shape[1])
        found = spectral_values(torch.from_numpy(states.reshape(-1, states.shape[2])), fold, FOLDS)
        values.append(found[:, 0])
        errors.append([jackknife(each) for each in found[:, 1:]])
    value, error = np.array(values), np.array(errors)
    centre = value.mean(0)
    return {
        quantity: {
            "mean": centre[k], "spread": value[:, k].std(ddof=1), "mean error": error[:, k].mean(),
            "ratio": float(np.sqrt(np.square(error[:, k]).mean()) / value[:, k].std(ddof=1)),
            "coverage": float((np.abs(value[:, k] - centre[k]) <= 2.36 * error[:, k]).mean()),
            "samples": samples, "documents": documents,
        }
        for k, quantity in enumerate(SPECTRAL)
    }  # fmt: skip


def first() -> list[dict[str, Any]]:
    """Value and standard error over documents of every measure of one layer, by what is done to its states."""
    model = loading.load_model(resolve.resolve(str(smollm2())), "float32", "cpu")
    spec = EstimateSpec(model="", corpus=f"file:{C4}", documents=40, context=128)
    states = States.of(model, corpus.load(spec.corpus, spec.documents, spec.seed), spec, [LAYER])
    lengths = np.diff(states.starts)
    fold = np.repeat(np.arange(len(lengths)) % FOLDS, lengths)
    inner = np.ones(len(fold), dtype=bool)
    inner[states.starts[:-1]] = False
    rows = []
    for unit in (False, True):
        for kept in (np.ones_like(inner), inner):
            values = spectral_values(states.layers[LAYER][torch.from_numpy(kept)], fold[kept], FOLDS, unit=unit)
            named = {name: [float(of[0]), jackknife(of[1:])] for name, of in zip(SPECTRAL, values, strict=True)}
            rows.append({"unit length": unit, "positions": int(kept.sum()), **named})
    return rows


def main() -> None:
    """Run the parts that were asked for."""
    torch.manual_seed(0)
    folder = Path(os.environ.get("OUT") or Path(__file__).parent / "results")
    parts = {part.__name__: part for part in (cost, coverage, first)}
    for name, part in parts.items():
        if name in sys.argv or not parts.keys() & set(sys.argv):
            found = {"machine": machine(DEVICE), "about": part.__doc__, name: part()}
            target = folder / f"measures-{name}-{DEVICE}.json"
            target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(json.dumps(found[name], indent=1))


if __name__ == "__main__":
    main()

"""Are the stated errors the true ones? Fresh samples of documents, of books and of directions for one small model.

`python -m benchmarks.errors [--text FOLDER]`, about half an hour on two cores, in as many processes as there are
cores: the demo checkpoint on training books, 64 documents of 128 tokens a sample. Stated over true standard error, and
how often the 95 % interval (Student's t over the folds) holds the mean of all samples: raw, null-corrected and
debiased, orders 1 and 2, and of differences between the model, the same with matrices of 6 bits (similar) and of 3
bits (different). Writes benchmarks/results/errors.json.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from scipy import stats

from benchmarks._states import States, demo, perturbed
from softh.estimator.debiasing import VERSION
from softh.estimator.measures import Measure, jackknife
from softh.spec import EstimateSpec
from softh.text import corpus
from zoo.tokens import read_texts

RESULTS = Path(__file__).with_name("results") / "errors.json"
TEXT = Path("../shared/text")
SAMPLES, DOCUMENTS, BOOKS, PASSAGES, DRAWS = 150, 64, 16, 4, 600
LAYERS = (2, 4, 6)
SPEC = EstimateSpec(model="", context=128, draws=4, orders=(1, 2))
QUANTITIES = (("information", "input"), ("information", "output"), ("optimality", None))
CORRECTIONS = ("raw", "corrected", "debiased")
BITS = {"similar": 6, "different": 3}
Table = dict[str, tuple[float, float, float, list[float]]]
"""Name of a value → value, se_draws, se_documents, values without each fold."""


_SHARED: list[States] = []
"""What the processes of :func:`tables_of` share, without a copy, with the one that starts them."""


def main(text: Path = TEXT, samples: int = SAMPLES, draws: int = DRAWS, device: str = "cpu") -> None:
    """Measure, print a table, write the results; `device` runs the model, processes of the CPU do the rest."""
    model = demo(device)
    models = {"": model} | {name: perturbed(model, bits) for name, bits in BITS.items()}
    books = [text_ for text_ in read_texts(text / "books-train.jsonl.xz") if len(text_) > 40_000]
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}", "samples": samples, "draws": draws,
        "versions": {"python": platform.python_version(), "torch": version("torch"), "estimator": VERSION}, "rows": [],
    }  # fmt: skip
    documents = list(passages(books, rng, samples * DOCUMENTS))
    found["rows"] += over_samples("documents", models, documents, samples, DOCUMENTS)
    chosen = [number for _ in range(samples) for number in rng.choice(len(books), BOOKS, replace=False)]
    clustered = [one for number in chosen for one in passages([books[number]], rng, PASSAGES)]
    found["rows"] += over_samples("books", {"": model}, clustered, samples, BOOKS * PASSAGES)
    found["rows"] += over_draws(model, documents[:DOCUMENTS], draws)
    for row in found["rows"]:
        print(
            f"{row['over']:10} {row['difference'] or 'value':10} {row['name']:28} true {row['true']:.5f} "
            f"stated/true {row['ratio']:.2f} coverage {row['coverage']:.1%} n {row['n']}"
        )
    folder = Path(os.environ.get("OUT", RESULTS.parent))
    (folder / RESULTS.name).write_text(json.dumps(found) + "\n")


def passages(books: Sequence[str], rng: np.random.Generator, count: int) -> Iterator[tuple[str, str]]:
    """Passages of 1,200 characters at random places, with the number of their book; a document each."""
    for _ in range(count):
        book = int(rng.integers(len(books)))
        start = int(rng.integers(len(books[book]) - 2_000))
        yield books[book][start : start + 1_200], f"{book} {books[book][:40]}"


def over_samples(
    over: str, models: dict[str, Any], documents: list[tuple[str, str]], samples: int, each: int
) -> list[dict[str, Any]]:
    """Rows for values of the first model and for its differences from the others."""
    texts, titles = zip(*documents, strict=True)
    sample = corpus.Corpus(over, texts, "", "", titles if over == "books" else ())
    tables: dict[str, list[Table]] = {}
    for name, model in models.items():
        ranges = [range(at * each, (at + 1) * each) for at in range(samples)]
        tables[name] = tables_of(States.of(model, sample, SPEC, LAYERS), [(some, SPEC) for some in ranges])
    rows = [summary(over, "", key, [table[key] for table in tables[""]]) for key in tables[""][0]]
    for name in list(models)[1:]:
        for key in tables[""][0]:
            pairs = [(ours[key], theirs[key]) for ours, theirs in zip(tables[""], tables[name], strict=True)]
            less = [(a[0] - b[0], 0.0, jackknife(np.subtract(a[3], b[3])), []) for a, b in pairs]
            rows.append(summary(over, name, key, less))
            apart = [np.hypot(a[2], b[2]) for a, b in pairs]
            rows[-1]["ratio_apart"] = float(np.sqrt(np.mean(np.square(apart))) / rows[-1]["true"])
    return rows


def over_draws(model: Any, documents: list[tuple[str, str]], draws: int) -> list[dict[str, Any]]:
    """Rows for one sample of documents under fresh directions, four at a time."""
    texts, titles = zip(*documents, strict=True)
    states = States.of(model, corpus.Corpus("draws", texts, "", "", titles), SPEC, LAYERS)
    every = range(len(documents))
    tables = tables_of(states, [(every, replace(SPEC, seed=seed)) for seed in range(1, 1 + draws // SPEC.draws)])
    rows = []
    for key in tables[0]:
        turned = [(value, 0.0, error, folds) for value, error, _, folds in (table[key] for table in tables)]
        rows.append(summary("draws", "", key, turned, SPEC.draws))
    return rows


def tables_of(states: States, asked: list[tuple[range, EstimateSpec]]) -> list[Table]:
    """The table of some documents under a specification, for each that is asked for; one thread in every process."""
    _SHARED[:] = [states]
    with get_context("fork").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
        return pool.starmap(_table_of, asked, chunksize=1)


def _table_of(documents: range, spec: EstimateSpec) -> Table:
    return table(_SHARED[0].measures(documents, spec))


def table(measures: list[Measure]) -> Table:
    """The values that are judged, by name."""
    return {
        f"{row.quantity} {row.variable or ''} {row.ngram} {row.correction}": (
            row.value or 0.0, row.se_draws or 0.0, row.se_documents or 0.0, [value or 0.0 for value in row.folds or ()]
        )
        for row in measures
        if row.correction in CORRECTIONS and (row.quantity, row.variable) in QUANTITIES
    }  # fmt: skip


def summary(
    over: str, difference: str, name: str, values: Sequence[tuple[float, float, float, list[float]]], groups: int = 8
) -> dict[str, Any]:
    """Stated over true error, and coverage of the mean of all samples."""
    value, stated = np.array([each[0] for each in values]), np.array([each[2] for each in values])
    true = value.std(ddof=1)
    # Each value is a part of the mean that it is held against.
    away = np.abs(value - value.mean()) / np.sqrt(1 - 1 / len(value))
    return {
        "over": over, "difference": difference, "name": name, "n": len(value), "mean": float(value.mean()),
        "true": float(true), "ratio": float(np.sqrt(np.mean(stated**2)) / true),
        "coverage": float(np.mean(away <= stats.t.ppf(0.975, groups - 1) * stated)),
    }  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

"""Do pairs of folds, or fewer folds, mend errors over documents? `python -m benchmarks.fold_pairs [--text FOLDER]`.

Samples of :mod:`benchmarks.errors`. In the variance of a value, what pairs of documents show counts twice in a
jackknife that leaves out one fold. Values without each pair of folds tell how much that is: they are those of seven
estimates in four folds, each of two. Prints stated over true error of eight folds, of eight folds less what the
pairs show, and of four folds, and the part of the jackknife that is due to pairs; of an estimate that is quadratic
at most it is at most 1.
"""

import os
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import typer

from benchmarks._states import States, demo, perturbed
from benchmarks.errors import BITS, BOOKS, DOCUMENTS, LAYERS, PASSAGES, SPEC, TEXT, passages, table
from softh.estimator.entropies import label, label_positions
from softh.estimator.labels import label_kind
from softh.estimator.measures import jackknife
from softh.text import corpus
from softh.text.corpus import select_documents
from zoo.tokens import read_texts

FOLDS = 8
PAIRINGS = [
    [(turn, FOLDS - 1), *(((turn + at) % (FOLDS - 1), (turn - at) % (FOLDS - 1)) for at in range(1, FOLDS // 2))]
    for turn in range(FOLDS - 1)
]
"""Every pair of folds once, in seven times four."""
DOUBLE = FOLDS * (2 * FOLDS - 3) / (FOLDS - 1) ** 2
"""How often the jackknife of so many folds counts what pairs of documents show; all documents are in some fold."""


@dataclass(frozen=True)
class Left:
    """A value, without each fold, and without each pair of folds."""

    value: float
    folds: np.ndarray  # [8]
    pairs: np.ndarray  # [7, 4], in the order of PAIRINGS

    def __sub__(self, other: "Left") -> "Left":
        return Left(self.value - other.value, self.folds - other.folds, self.pairs - other.pairs)

    @property
    def of_pairs(self) -> float:
        """The part of the variance that pairs of folds make, counted once."""
        design = np.zeros((self.pairs.size, FOLDS))
        for row, pair in enumerate(pair for pairing in PAIRINGS for pair in pairing):
            design[row, list(pair)] = 1
        scaled = (FOLDS - 2) ** 2 * self.pairs.reshape(-1)  # then what is not of pairs is a sum over the two folds
        residual = scaled - design @ np.linalg.lstsq(design, scaled, rcond=None)[0]
        return float(residual @ residual / (len(scaled) - FOLDS) / 4 * 2 / FOLDS**2)


def left_out(states: States, documents: range) -> dict[str, Left]:
    """Every value of some documents."""
    some = select_documents(states.tokenized, np.asarray(documents))
    base = label(some, SPEC, "cpu")
    sets = list(label_kind(SPEC.labels).labels(some, SPEC.orders, torch.device("cpu")))
    labellings = [base]
    for pairing in PAIRINGS:
        new = torch.empty(FOLDS, dtype=torch.int64)
        for at, pair in enumerate(pairing):
            new[list(pair)] = at
        fold = new[base.fold]
        labellings.append(
            label_positions(sets, base.positions, base.lengths, base.starts, fold, len(pairing), SPEC.seed)
        )
    tables = [table(found) for found in states.labelled(documents, SPEC, labellings)]
    return {
        name: Left(value, np.array(folds), np.array([every[name][3] for every in tables[1:]]))
        for name, (value, _, _, folds) in tables[0].items()
    }


_states: dict[str, States] = {}
"""What forked processes share without a copy."""


def _of_sample(name: str, sample: int) -> dict[str, Left]:
    return left_out(_states[name], range(sample * DOCUMENTS, (sample + 1) * DOCUMENTS))


def main(text: Path = TEXT, samples: int = 100, device: str = "cpu") -> None:
    """Measure and print; `device` runs the model, processes of the CPU do the rest."""
    model, rng = demo(device), np.random.default_rng(0)
    models = {"value": model} | {name: perturbed(model, bits) for name, bits in BITS.items()}
    books = [book for book in read_texts(text / "books-train.jsonl.xz") if len(book) > 40_000]
    documents = tuple(part for part, _ in passages(books, rng, samples * DOCUMENTS))
    for name, each in models.items():
        _states[name] = States.of(each, corpus.Corpus("documents", documents, "", ""), SPEC, LAYERS)
    chosen = [number for _ in range(samples) for number in rng.choice(len(books), BOOKS, replace=False)]
    rows = [one for number in chosen for one in passages([books[number]], rng, PASSAGES)]
    clustered = corpus.Corpus("books", tuple(part for part, _ in rows), "", "", tuple(title for _, title in rows))
    _states["books"] = States.of(model, clustered, SPEC, LAYERS)
    asked = [(name, sample) for name in _states for sample in range(samples)]
    with get_context("fork").Pool(os.cpu_count(), torch.set_num_threads, (1,)) as pool:
        found = pool.starmap(_of_sample, asked, chunksize=1)
    by_name = {name: found[at * samples : (at + 1) * samples] for at, name in enumerate(_states)}
    for name, every in by_name.items():
        for key in every[0]:
            values = [sample[key] for sample in every]
            if name in BITS:
                values = [sample[key] - less for sample, less in zip(by_name["value"], values, strict=True)]
            report(name, key, values)


def report(name: str, key: str, values: list[Left]) -> None:
    """Print a line."""
    true = np.std([each.value for each in values], ddof=1)
    eight = np.array([jackknife(each.folds) ** 2 for each in values])
    four = np.array([np.mean([jackknife(folds) ** 2 for folds in each.pairs]) for each in values])
    pairs = np.array([each.of_pairs for each in values])
    mended = np.maximum(eight - (DOUBLE - 1) * pairs, eight / DOUBLE)
    ratios = " ".join(f"{np.sqrt(np.mean(variance)) / true:.2f}" for variance in (eight, mended, four))
    print(f"{name:10}{key:32} {ratios}  pairs {DOUBLE * pairs.mean() / eight.mean():.2f} of the jackknife")


if __name__ == "__main__":
    typer.run(main)

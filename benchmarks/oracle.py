"""Our numbers against the published package, soft-entropy 0.1.5: same hidden states, same directions, same ε.

`python -m benchmarks.oracle [--model M] [--corpus C]` prints the largest |difference| over all layers in
H and in I for input and output at orders 1 to 3. Labels on the package's side come from its own code.
"""

import time
from dataclasses import dataclass

import torch
import typer
from soft_entropy.accumulator import SoftEntropyAccumulator
from soft_entropy.llm import _encode_ngram

from benchmarks._real import smollm2
from softh import settings
from softh.checkpoints.resolve import resolve
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import label, measure_entropies
from softh.estimator.measures import measure
from softh.models.hidden_states import Cache, HiddenStates, load_model, open_cache
from softh.spec import EstimateSpec
from softh.text import corpus as corpora

ORDERS = (1, 2, 3)


def package_layer(states: HiddenStates, layer: int, directions: torch.Tensor, vocabulary: int) -> dict[str, float]:
    """H and I of one layer by the package, a block at a time."""
    highest = max(ORDERS)
    accumulator = SoftEntropyAccumulator(d=states.model.width, n_bins=len(directions), backend="torch")
    accumulator.w = directions
    for documents, hidden in states.read([layer]):
        labels: dict[str, list[torch.Tensor]] = {}
        rows, offset = [], 0
        for document in documents:
            ids = torch.from_numpy(states.tokenized.ids[document])
            start, end = highest - 1, len(ids) - highest
            rows.append(hidden[layer][offset + start : offset + end])
            offset += len(ids)
            for order in ORDERS:
                for name, forward in (("input", False), ("output", True)):
                    code = _encode_ngram(ids, start, end, order, vocabulary, forward)
                    labels.setdefault(f"{name} {order}", []).append(code)
        accumulator.update(torch.cat(rows), {name: torch.cat(parts) for name, parts in labels.items()})
    return {"entropy": accumulator.entropy(), **accumulator.mutual_information()}


@dataclass(frozen=True)
class Comparison:
    """Both estimators on the same hidden states."""

    title: str
    worst: dict[str, float]
    """Quantity → largest |difference| over layers, in units of log n."""
    seconds: tuple[float, float]
    """Statistics of ours, null and jackknife included, and of the package, which has neither."""


def compare(spec: EstimateSpec, cache: Cache) -> Comparison:
    """Every layer by both, with the directions and the temperature of the first draw."""
    checkpoint = resolve(spec.model)
    loaded = load_model(checkpoint, "float32", "cpu")
    text = corpora.load(spec.corpus, spec.documents, spec.seed)
    tokenized = corpora.tokenize(text, loaded.tokenizer, spec.context, max(ORDERS))
    states = HiddenStates(loaded, tokenized, checkpoint.digest, cache=cache)
    states.fill(lambda phase, done, total: None)
    began = time.perf_counter()
    drawn = references(spec.bins, loaded.width, 1, spec.seed)
    labelling = label(tokenized, spec, "cpu")
    epsilon = temperature(spec.bins, loaded.width)
    ours = measure(measure_entropies(states, labelling, drawn, epsilon, spec, lambda *_: None))
    between = time.perf_counter()
    found = {
        (row.layer, row.quantity if row.ngram is None else f"{row.variable} {row.ngram}"): row.value
        for row in ours
        if row.quantity in ("entropy", "information") and row.correction == "raw" and row.value is not None
    }
    worst: dict[str, float] = {}
    for layer in range(states.layers):
        theirs = package_layer(states, layer, drawn.directions[0], len(loaded.tokenizer))
        for name, value in theirs.items():
            worst[name] = max(worst.get(name, 0.0), abs(value - found[layer, name]))
    title = f"{checkpoint.name}, {text.name}, {len(labelling.positions):,} positions, {states.layers} layers, float32"
    return Comparison(title, worst, (between - began, time.perf_counter() - between))


def main(model: str = "", corpus: str = "python-docs", documents: int = 330, context: int = 128) -> None:
    """Compare every layer and print the worst."""
    spec = EstimateSpec(
        model=model or smollm2(), corpus=corpus, documents=documents, context=context, orders=ORDERS, draws=1
    )
    with open_cache(settings.cache()) as cache:
        found = compare(spec, cache)
    print(found.title)
    for name, value in found.worst.items():
        print(f"  largest |difference| {name:10} {value:.1e}")
    print(f"  statistics: ours with null {found.seconds[0]:.0f} s, package without {found.seconds[1]:.0f} s")


if __name__ == "__main__":
    typer.run(main)

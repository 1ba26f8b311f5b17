"""What rounding the reference directions to eight significant bits moves, beside the spread over draws.

`python -m benchmarks.rounding` on SmolLM2-135M-Instruct (dequantised Q4_1) and the documentation of Python.
"""

import numpy as np
import torch

from benchmarks._real import smollm2
from softh import settings
from softh.checkpoints import resolve
from softh.estimator.assignment import References, one_draw, references
from softh.estimator.calibration import temperature
from softh.estimator.entropies import label, measure_entropies
from softh.estimator.measures import Key
from softh.models import hidden_states
from softh.models.cache import open_cache
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec
from softh.text import corpus

SPEC = EstimateSpec(model=smollm2(), documents=96, context=128, orders=(1, 2), draws=8)


def main() -> None:
    """Print, for H and I, the change by rounding and the standard deviation over draws, as parts of the value."""
    checkpoint = resolve.resolve(SPEC.model, None)
    model = hidden_states.load_model(checkpoint, "float32", "cpu")
    tokenized = corpus.tokenize(
        corpus.load(SPEC.corpus, SPEC.documents, SPEC.seed), model.tokenizer, SPEC.context, max(SPEC.orders)
    )
    labelling, epsilon = label(tokenized, SPEC, "cpu"), temperature(SPEC.bins, model.width)
    seeds = [np.random.SeedSequence((SPEC.seed, draw)) for draw in range(SPEC.draws)]
    exact = np.stack([one_draw(SPEC.bins, model.width, seed, "iid") for seed in seeds])
    rounded = references(SPEC.bins, model.width, SPEC.draws, SPEC.seed)
    with open_cache(settings.cache()) as cache:
        states = HiddenStates(model, tokenized, checkpoint.digest, cache=cache, loss=False)
        states.fill(lambda *_: None)
        before, after = (
            measure_entropies(states, labelling, directions, epsilon, SPEC, lambda *_: None)
            for directions in (References(torch.from_numpy(exact), "not rounded"), rounded)
        )
    print(f"{before.positions:,} positions, {states.layers} layers, {SPEC.draws} draws")
    show("H", before.entropy, after.entropy)
    for variable in ("input", "output"):
        for order in SPEC.orders:
            first, second = (found.conditional[Key(variable, order)] for found in (before, after))
            show(f"I {variable} {order}, corrected", first.null - first.raw, second.null - second.raw)
            show(f"I {variable} {order}, debiased", first.debiased, second.debiased)


def show(name: str, before: np.ndarray, after: np.ndarray) -> None:
    """One line; arrays [layers, 1 + folds, draws]."""
    layers, change = before[:, 0], (after - before)[:, 0]
    mean, of_mean = layers.mean(), change.mean(0)
    print(
        f"{name:22} one draw, mean over layers: changes by {of_mean.std(ddof=1) / mean:.1e} (sd), "
        f"differs from other draws by {layers.mean(0).std(ddof=1) / mean:.1e}; mean over draws changes by "
        f"{of_mean.mean() / mean:+.1e}; one layer and draw by {np.abs(change).max() / mean:.1e} at most"
    )


if __name__ == "__main__":
    main()

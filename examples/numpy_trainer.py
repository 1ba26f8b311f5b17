"""A trainer without any framework whose points appear on the pages: `python -m examples.numpy_trainer`.

A language model of two layers written in NumPy learns to predict the next token. At chosen steps its hidden states go,
batch by batch, into an accumulator, and what it has collected becomes a point of the page Trajectory.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

import softh

WIDTH, STEPS, DUE = 32, 200, (0, 10, 50, 200)
Weights = dict[str, np.ndarray]


def forward(weights: Weights, ids: np.ndarray) -> list[np.ndarray]:
    """Embedding and both layers of token ids [n, tokens], each [n, tokens, WIDTH]; each layer reads one token back."""
    hidden = [weights["embedding"][ids]]
    for layer in ("first", "second"):
        before = np.concatenate([np.zeros_like(hidden[-1][:, :1]), hidden[-1][:, :-1]], axis=1)
        hidden.append(np.tanh(np.concatenate([hidden[-1], before], axis=-1) @ weights[layer]) + hidden[-1])
    return hidden


def update(weights: Weights, ids: np.ndarray, rate: float = 0.5) -> float:
    """One step of gradient descent on the head and the embedding (enough for a toy); returns the loss in nats."""
    hidden = forward(weights, ids)[-1][:, :-1].reshape(-1, WIDTH)
    targets = ids[:, 1:].reshape(-1)
    scores = hidden @ weights["head"]
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(p)), targets]).mean()
    p[np.arange(len(p)), targets] -= 1
    back = p @ weights["head"].T
    weights["head"] -= rate * hidden.T @ p / len(p) * 10
    np.add.at(weights["embedding"], ids[:, :-1].reshape(-1), -rate * back / len(p) * 10)
    return float(loss)


def measure(weights: Weights, sample: softh.FrozenSample, step: int) -> softh.Estimate:
    """Hidden states of the whole sample, a few documents at a time, into a point."""
    began = time.perf_counter()
    accumulator = softh.Accumulator(
        ["embedding", "first", "second"], sample.label_sets, positions=100_000, draws=4, sample=sample.digest
    )
    for batch in sample.batches(16):
        hidden = [states.reshape(-1, WIDTH)[batch.rows] for states in forward(weights, batch.ids)]
        accumulator.update(
            dict(zip(accumulator.layers, hidden, strict=True)), batch.labels,
            document=batch.document, position=batch.position,
        )  # fmt: skip
    size = sum(weight.size for weight in weights.values())
    return softh.save_accumulated(
        accumulator, sample, "numpy-toy", parameters=size, step=step, architecture="two tanh layers", dtype="float64",
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def main() -> None:
    """Freeze a sample, train, and store a point at every chosen step."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained("zoo/tokenizer")
    folder = Path(tempfile.mkdtemp()) / "sample"
    sample = softh.FrozenSample.write(folder, tokenizer, "python-docs", documents=64, context=64, orders=(1,))
    rng = np.random.default_rng(0)
    shapes = {"embedding": (len(tokenizer), WIDTH), "first": (2 * WIDTH, WIDTH), "second": (2 * WIDTH, WIDTH)}
    weights = {name: rng.standard_normal(shape) / np.sqrt(WIDTH) for name, shape in shapes.items()}
    weights["head"] = rng.standard_normal((WIDTH, len(tokenizer))) / WIDTH
    text = np.concatenate([batch.ids[batch.mask.astype(bool)] for batch in sample.batches(64)])
    for step in range(STEPS + 1):
        if step in DUE:
            point = next(
                row
                for row in measure(weights, sample, step).measures
                if row.correction == "debiased" and row.layer is None
            )
            print(f"step {step}: I(X;Z) {point.value:.4f}")
        starts = rng.integers(0, len(text) - 32, 16)
        update(weights, text[starts[:, None] + np.arange(32)])


if __name__ == "__main__":
    main()

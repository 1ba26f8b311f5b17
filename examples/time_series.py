"""The plane of a model that is not of language: `python -m examples.time_series`.

A small transformer learns to predict the next value of series with a season, a level that shifts and outliers. At
chosen steps its hidden states of other series become points of the pages, under the corpus `seasons (synthetic)`: X is
the level of the last value in eight quantiles, Y that of the next.
"""

import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

import softh
from softh.estimator.series import SeriesSample, value_bins

WIDTH, LAYERS, CONTEXT, BINS, STEPS, DUE = 32, 2, 64, 8, 200, (0, 10, 50, 200)
PERIOD, SHIFTS, OUTLIERS = 24, 1 / 150, 1 / 60
Series = dict[str, np.ndarray]


def seasons(count: int, length: int, seed: int) -> tuple[Series, Series, Series]:
    """Series of a season, autoregressive noise, level shifts and outliers, and 1 where a shift or an outlier is."""
    rng = np.random.default_rng(seed)
    series, shifts, far = {}, {}, {}
    for number in range(count):
        name, when = f"series {number}", np.arange(length)
        shift, outlier = rng.random(length) < SHIFTS, rng.random(length) < OUTLIERS
        level = np.cumsum(shift * rng.choice([-1, 1], length) * rng.uniform(2, 4, length))
        noise = np.zeros(length)
        for at in range(1, length):
            noise[at] = 0.6 * noise[at - 1] + 0.4 * rng.standard_normal()
        spike = outlier * rng.choice([-1, 1], length) * rng.uniform(4, 6, length)
        season = 1.5 * np.sin(2 * np.pi * (when + 7 * number) / PERIOD)
        level -= np.convolve(np.pad(level, 200, mode="edge"), np.ones(401) / 401, "valid")  # stays within bounds
        series[name], shifts[name], far[name] = level + season + noise + spike, shift.astype(int), outlier.astype(int)
    return series, shifts, far


class Transformer(nn.Module):
    """A causal transformer over patches [n, context, patch] that predicts the bin of the next patch."""

    def __init__(self, patch: int = 1, width: int = WIDTH, layers: int = LAYERS, bins: int = BINS) -> None:
        super().__init__()
        self.embedding, self.place = nn.Linear(patch, width), nn.Embedding(512, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.head = nn.Linear(width, bins)

    def hidden(self, patches: Tensor) -> Iterator[Tensor]:
        """Embedding, then every layer, each [n, context, width]."""
        length = patches.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        states = self.embedding(patches) + self.place(torch.arange(length))
        yield states
        for block in self.blocks:
            states = block(states, src_mask=mask, is_causal=True)
            yield states

    def forward(self, patches: Tensor) -> Tensor:
        """Scores of the bins of the next patch, [n, context, bins]."""
        *_, last = self.hidden(patches)
        return self.head(last)


def train(
    model: Transformer, series: Series, symbols: Mapping[str, np.ndarray], steps: int, patch: int = 1
) -> Iterator[int]:
    """Train on random windows; yields the number of steps done, 0 first."""
    rng, optimiser = np.random.default_rng(0), torch.optim.AdamW(model.parameters(), 3e-3)
    names = list(series)
    cut = {name: torch.tensor(scaled(values), dtype=torch.float32) for name, values in series.items()}
    targets = {name: torch.as_tensor(symbols[name]) for name in names}
    yield 0
    for step in range(1, steps + 1):
        windows, wanted = [], []
        for name in rng.choice(names, 32):
            first = int(rng.integers(0, len(targets[name]) - CONTEXT))
            windows.append(cut[name][first * patch : (first + CONTEXT) * patch].view(CONTEXT, patch))
            wanted.append(targets[name][first + 1 : first + CONTEXT + 1])
        loss = nn.functional.cross_entropy(model(torch.stack(windows)).flatten(0, 1), torch.stack(wanted).flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield step


def scaled(values: np.ndarray) -> np.ndarray:
    """A series with mean 0 and standard deviation 1."""
    return (values - values.mean()) / values.std()


def measure(model: Transformer, sample: SeriesSample, name: str, step: int, draws: int = 8) -> softh.Estimate:
    """Hidden states of all windows of a sample, some at a time, into a point."""
    began = time.perf_counter()
    layers = ["embedding", *(f"layer {number + 1}" for number in range(len(model.blocks)))]
    accumulator = softh.Accumulator(
        layers, sample.label_sets, positions=len(sample.rows), draws=draws, sample=sample.digest
    )
    ends = {name: (values.mean(), values.std()) for name, values in sample.series.items()}
    scale = np.array([ends[source] for source in sample.corpus.sources])
    windows = torch.tensor((sample.windows - scale[:, :1, None]) / scale[:, 1:, None], dtype=torch.float32)
    for some in np.array_split(np.arange(len(sample)), max(1, len(sample) // 64)):
        with torch.no_grad():
            states = [each.flatten(0, 1) for each in model.hidden(windows[some])]
        here = np.flatnonzero(np.isin(sample.document, some))
        rows = sample.rows[here] - some[0] * sample.context
        accumulator.update(
            {layer: each[rows] for layer, each in zip(layers, states, strict=True)},
            {label: values[here] for label, values in sample.label_values.items()},
            document=sample.document[here], position=sample.position[here],
        )  # fmt: skip
    return softh.save_accumulated(
        accumulator, sample, name, parameters=sum(weight.numel() for weight in model.parameters()), step=step,
        architecture="causal transformer of patches", source="trained here", seconds=time.perf_counter() - began,
    )  # fmt: skip


def main() -> None:
    """Train, and store a point at every chosen step."""
    torch.manual_seed(0)
    training, _, _ = seasons(16, 1000, seed=0)
    others, _, _ = seasons(16, 400, seed=1)
    sample = SeriesSample(
        others, value_bins(others, bins=BINS), labels="values", name="seasons (synthetic)", context=CONTEXT,
        orders=(1, 2), note="Synthetic series of examples/time_series.py.",
    )  # fmt: skip
    model = Transformer()
    for step in train(model, training, value_bins(training, bins=BINS), STEPS):
        if step in DUE:
            point = measure(model, sample, "series-toy", step)
            wanted = (None, "information", "debiased")
            rows = [row for row in point.measures if (row.layer, row.quantity, row.correction) == wanted]
            found = {(row.variable, row.ngram): row.value for row in rows}
            print(f"step {step:>4}: I(X;Z) {found['input', 1]:.3f}, I(Y;Z) {found['output', 1]:.3f} of log n")


if __name__ == "__main__":
    main()

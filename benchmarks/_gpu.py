"""The estimator on one GPU: correctness, then time and memory against the package, plain torch and the forward pass.

`python -m benchmarks.gpu [correct] [statistics] [whole] [costs] [paper] [--short]` runs the parts named, by default the
first three, prints a table and writes benchmarks/results/gpu.json (or $OUT/gpu.json). Models are of the shapes of OLMo2
with random weights; text is drawn from a Zipf distribution of words. `--short` tries everything small, on any machine;
`--narrow` takes the size of the paper with narrow MLPs.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._report import DEVICE, LINES, RESULTS, SHORT, clock, graphed, guard, report, say
from benchmarks._synthetic import machine, olmo2, windows
from softh.estimator.assignment import references
from softh.estimator.calibration import temperature
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.entropies import label
from softh.estimator.gpu.assignment import SoftAssigner, stride_of
from softh.estimator.gpu.conditional import conditional_entropies, index, sums_of_labels
from softh.estimator.labels import LabelSet
from softh.spec import EstimateSpec

# Correctness


def reference(hidden: torch.Tensor, directions: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """p and entropy in float64 on the CPU."""
    z = hidden.cpu().double()
    scores = torch.einsum("md,rnd->mrn", z / z.norm(dim=-1, keepdim=True), directions.double() / epsilon)
    return scores.softmax(-1), torch.special.entr(scores.softmax(-1)).sum(-1)


CASES = [
    (700, 100, 37, 2, 3), (1, 64, 100, 1, 1), (513, 577, 100, 1, 8), (600, 2048, 100, 16, 8), (300, 1000, 300, 4, 8),
    (300, 64, 1000, 1, 8), (2000, 4096, 100, 1, 8), (700, 4096, 100, 3, 8),
    (300, 8192, 100, 1, 8), (300, 8192, 100, 9, 8), (1100, 8192, 100, 9, 8), (3000, 2048, 100, 9, 8),
    (3000, 4096, 37, 9, 8),
]  # fmt: skip
"""Positions, width, bins, draws, folds."""


def correct() -> None:
    """Every fast path on fresh random inputs against float64: largest error of H and of I in units of log n."""
    seed = int.from_bytes(os.urandom(4), "little")
    say(f"correctness, seed {seed}")
    generator = torch.Generator().manual_seed(seed)
    worst: dict[str, float] = {}
    for number, (positions, width, bins, draws, folds) in enumerate(CASES[:3] if SHORT else CASES):
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for kept in (torch.float32, torch.float16) if dtype == torch.bfloat16 else (torch.float32,):
                random = torch.randn(positions + 5, width, generator=generator)
                hidden = (random * random.new_tensor([30.0, 1.0])[torch.arange(width) % 2] + 0.7).to(dtype)
                directions = references(bins, width, draws, number).directions
                error, same = _one(hidden, directions, folds, kept, positions, generator)
                name = f"{str(dtype)[6:]} states, kept in {str(kept)[6:]}"
                worst[name] = max(worst.get(name, 0.0), error) if same else float("nan")
                if not same or not error < (2e-6 if kept == torch.float32 else 1e-3):
                    say(f"  WRONG {positions, width, bins, draws, folds} {name}: {error:.1e}, same bits twice: {same}")
    for name, error in worst.items():
        say(f"  largest |difference| of H and I over {len(CASES)} shapes, {name}: {error:.1e}")
    RESULTS["correct"] = worst


def _one(
    hidden: torch.Tensor,
    directions: torch.Tensor,
    folds: int,
    kept: torch.dtype,
    positions: int,
    generator: torch.Generator,
) -> tuple[float, bool]:
    rows = torch.randperm(positions + 5, generator=generator)[:positions].int()
    _, bins, width = directions.shape
    epsilon = temperature(bins, width)
    random = np.random.default_rng(positions)
    ids = [
        np.zeros(positions, dtype=int), np.arange(positions), random.zipf(1.4, positions) % 500,
        random.integers(0, 1 + positions // 3, positions),
    ]  # fmt: skip
    fold = torch.from_numpy(random.integers(0, folds, positions))
    dense = [np.unique(values, return_inverse=True) for values in ids]
    sets = [LabelSet("input", 1, torch.from_numpy(inverse), len(names)) for names, inverse in dense]
    p, entropy = reference(hidden[rows.long()], directions, epsilon)
    groupings = [*(group(labels, fold, folds) for labels in sets), single_group(fold, folds)]
    want = np.stack([conditional_entropy(Assignments(p, entropy), g, "positions") for g in groupings])
    on_device = [*(group(_to(labels), fold.to(DEVICE), folds) for labels in sets), single_group(fold.to(DEVICE), folds)]
    found = [
        _fast(hidden.to(DEVICE), rows.to(DEVICE), directions.to(DEVICE), epsilon, kept, index(on_device, "positions"))
        for _ in "12"
    ]
    same = np.array_equal(found[0], found[1], equal_nan=True) and np.array_equal(np.isnan(found[0]), np.isnan(want))
    return float(np.nanmax(np.abs(found[0] - want)) / np.log(bins)), same


def _to(labels: LabelSet) -> LabelSet:
    return LabelSet("input", 1, labels.labels.to(DEVICE), labels.distinct)


def _fast(
    hidden: torch.Tensor,
    rows: torch.Tensor,
    directions: torch.Tensor,
    epsilon: float,
    kept: torch.dtype,
    at: Any,
) -> np.ndarray:
    draws, bins, _ = directions.shape
    # What is not written stays NaN and spoils the result.
    p = torch.full((1, len(rows), draws, stride_of(bins)), torch.nan, dtype=kept, device=DEVICE)
    entropy = torch.full((1, len(rows), draws), torch.nan, device=DEVICE)
    SoftAssigner(directions, epsilon, hidden.dtype)(hidden, rows, p[0], entropy[0])
    assert bool(p.isfinite().all())
    return conditional_entropies(p, entropy, at)[0]


# Statistics against the forward pass


class Batch:
    """One batch of 16 documents of 512 tokens in the shape of OLMo2-1B: hidden states of every layer and labels."""

    def __init__(self) -> None:
        self.documents, self.context = (4, 64) if SHORT else (16, 512)
        self.module = olmo2("tiny" if SHORT else "1b", DEVICE)
        self.tokenized = windows(self.documents, self.context)
        self.ids = torch.from_numpy(np.stack(self.tokenized.ids)).to(DEVICE)
        with torch.inference_mode():
            states = self.module.base_model(input_ids=self.ids, output_hidden_states=True).hidden_states
        # A random network's states are nearly all alike; noise of their size spreads them without slowing anything.
        self.hidden = [(z + z.std() * torch.randn_like(z)).flatten(0, 1) for z in states]
        self.width = self.hidden[0].shape[1]

    def forward(self) -> None:
        with torch.inference_mode():
            self.module.base_model(input_ids=self.ids, attention_mask=torch.ones_like(self.ids))


def measured() -> None:
    """Copy bandwidth, forward pass, soft assignment, statistics, plain torch and the package, in one run."""
    batch = Batch()
    hidden = batch.hidden
    size = sum(z.numel() * z.element_size() for z in hidden)
    source = torch.randn(size // 4, device=DEVICE)
    target = torch.empty_like(source)
    copy = report("copy of as many bytes as the hidden states", clock(lambda: target.copy_(source)))
    read = copy / 2
    say(f"  reading them once: {read:.3f} ms ({size / read / 1e9:.2f} TB/s)")
    forward = report("forward pass without the head", clock(batch.forward))
    for draws in (1,) if SHORT else (1, 2, 3, 5, 16, 32):
        _assignment(batch, draws, read, forward)
    for draws, orders, null in ((1, 4, False), (1, 4, True), (5, 4, True), (16, 4, True), (32, 4, True)):
        for folds in (1, 8) if draws in (1, 32) else (8,):
            for kept in (torch.float32, torch.float16) if draws == 32 else (torch.float32,):
                if not SHORT or draws == 1:
                    guard(lambda a=(draws, orders, null, folds, kept): _statistics(batch, forward, *a))
    guard(lambda: _plain(batch, forward))
    guard(lambda: _package(batch, forward))


def _assignment(batch: Batch, draws: int, read: float, forward: float) -> None:
    bins = 100
    directions = references(bins, batch.width, draws, 0).directions.to(DEVICE)
    rows = torch.arange(len(batch.hidden[0]), dtype=torch.int32, device=DEVICE)
    product = SoftAssigner(directions, temperature(100, batch.width), batch.hidden[0].dtype)
    p = torch.empty(len(rows), draws, stride_of(bins), device=DEVICE, dtype=torch.float32)
    entropy = torch.empty(len(rows), draws, device=DEVICE)

    def run() -> None:
        for z in batch.hidden:
            product(z, rows, p, entropy)

    found = report(f"soft assignment, all layers, {draws} draws", clock(graphed(run)), forward)
    say(f"  {found / read:.2f} times reading the hidden states; launched one by one: {clock(run)[4]:.3f} ms")


def _statistics(batch: Batch, forward: float, draws: int, orders: int, null: bool, folds: int, kept: Any) -> None:
    spec = EstimateSpec(model="", orders=tuple(range(1, orders + 1)), draws=draws, folds=max(2, folds))
    began = time.perf_counter()
    labelling = label(batch.tokenized, spec, DEVICE)
    groupings = list(labelling.groups.values()) * (1 + null)  # a shuffled set takes about as long
    if folds == 1:
        fold = torch.zeros_like(labelling.fold)
        groupings = [_without_folds(g) for g in groupings]
        groupings.append(single_group(fold, 1))
    else:
        groupings.append(labelling.whole)
    at = index(groupings, "positions")
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    labels = time.perf_counter() - began
    directions = references(100, batch.width, draws, 0).directions.to(DEVICE)
    offsets = labelling.positions.document * batch.context + labelling.positions.offset
    rows = torch.from_numpy(offsets.astype(np.int32)).to(DEVICE)
    product = SoftAssigner(directions, temperature(100, batch.width), batch.hidden[0].dtype)
    layers = len(batch.hidden)
    p = torch.empty(layers, len(rows), draws, stride_of(100), device=DEVICE, dtype=kept)
    entropy = torch.empty(layers, len(rows), draws, device=DEVICE)

    def run() -> None:
        for layer, z in enumerate(batch.hidden):
            product(z, rows, p[layer], entropy[layer])
        conditional_entropies(p, entropy, at)

    def on_device() -> None:
        for layer, z in enumerate(batch.hidden):
            product(z, rows, p[layer], entropy[layer])
        sums_of_labels(p, entropy, at)

    name = f"{len(groupings) - 1} label sets{' with null' * null}, {draws} draws, {folds} folds, {str(kept)[6:]}"
    report(f"statistics: {name}", clock(graphed(on_device)), forward)
    sums = clock(graphed(lambda: sums_of_labels(p, entropy, at)))[4]
    alone = clock(run)[4]
    say(
        f"  of that sums over labels {sums:.3f} ms; launched one by one with nothing beside them {alone:.3f} ms "
        f"({alone / forward:.2%}); labels, once a corpus, {1e3 * labels:.0f} ms"
    )


def _without_folds(g: Any) -> Any:
    """The same label set with all documents in one fold."""
    size = g.label_size.long()
    label_of = torch.repeat_interleave(torch.arange(len(size), device=size.device), size)
    ids = torch.full((len(g.members) + len(g.single),), -1, device=size.device, dtype=torch.int64)
    ids[g.members.long()] = label_of
    ids[g.single.long()] = len(size) + torch.arange(len(g.single), device=size.device)
    return group(LabelSet("input", 1, ids, g.distinct), torch.zeros_like(ids), 1)


def _plain(batch: Batch, forward: float) -> None:
    """Plain torch: float32 product, softmax, index_add_ for every label set and layer; 8 label sets, no null."""
    labelling = label(batch.tokenized, EstimateSpec(model="", orders=(1, 2, 3, 4)), DEVICE)
    offsets = labelling.positions.document * batch.context + labelling.positions.offset
    rows = torch.from_numpy(offsets).to(DEVICE)
    scaled = (references(100, batch.width, 1, 0).directions[0] / temperature(100, batch.width)).to(DEVICE)
    random = np.random.default_rng(0)
    ids = [torch.from_numpy(random.zipf(1.3, len(rows)) % (2000 * k)).to(DEVICE) for k in range(1, 9)]

    def run() -> None:
        for z in batch.hidden:
            unit = torch.nn.functional.normalize(z[rows].float(), dim=-1)
            p = torch.softmax(unit @ scaled.T, dim=-1)
            for k, labels in enumerate(ids, start=1):
                table = torch.zeros(2000 * k, 100, device=DEVICE).index_add_(0, labels, p)
                counts = table.sum(-1)
                h = counts.clamp(min=1).log() - torch.special.xlogy(table, table).sum(-1) / counts.clamp(min=1)
                (h * counts).sum()

    report("plain torch: 8 label sets, 1 draw, no null, no folds", clock(run), forward)


def _package(batch: Batch, forward: float) -> None:
    """soft-entropy 0.1.5 on one layer and a quarter of the positions, then in proportion."""
    from soft_entropy.accumulator import SoftEntropyAccumulator

    count = 2048
    tokens = torch.from_numpy(np.concatenate(batch.tokenized.ids)).to(DEVICE)
    labels = {}
    code = tokens.clone()
    for order in (1, 2, 3, 4):
        for name, shift in (("input", 0), ("output", 1)):
            labels[f"{name}{order}"] = torch.roll(code, -shift)[:count].contiguous()
        code = torch.unique(code * 200_003 + torch.roll(tokens, order), return_inverse=True)[1]
    z = batch.hidden[3][:count].float()
    spent = []
    for _ in range(1 if SHORT else 3):
        accumulator = SoftEntropyAccumulator(d=batch.width, n_bins=100, backend="torch")
        began = time.perf_counter()
        accumulator.update(z, labels)
        accumulator.mutual_information()
        spent.append(1e3 * (time.perf_counter() - began))
    whole = [t * len(batch.hidden) * len(batch.hidden[0]) / count for t in sorted(spent)]
    report("soft-entropy 0.1.5, extrapolated from 2,048 positions, 1 layer", whole, forward)


def main() -> None:
    from benchmarks import _whole

    wholes = {"whole": _whole.whole, "costs": _whole.costs, "paper": _whole.paper}
    parts = {"correct": correct, "statistics": measured, **wholes}
    asked = [name for name in sys.argv[1:] if name in parts] or ["correct", "statistics", "whole"]
    RESULTS["machine"] = machine(DEVICE)
    say(str(RESULTS["machine"]))
    for name in asked:
        began = time.perf_counter()
        guard(parts[name])
        say(f"-- {name}: {time.perf_counter() - began:.0f} s")
        folder = Path(os.environ.get("OUT", Path(__file__).parent / "results"))
        folder.mkdir(exist_ok=True)
        (folder / "gpu.json").write_text(json.dumps({"results": RESULTS, "lines": LINES}, indent=1) + "\n")


if __name__ == "__main__":
    main()

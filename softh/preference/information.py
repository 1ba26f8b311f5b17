"""Summed assignments of answers to information about which was preferred, with swaps within pairs as the null.

For one layer the statistic is a table of summed assignments, one row an answer. The label of an answer is whether it
was the chosen one of its pair. A prompt has both labels, so it says nothing about them; swapping the two answers of a
pair changes the label and nothing else, and the information under random swaps is what chance gives on these very
prompts and answers. All swaps and all jackknife folds come from products of the table with a matrix of zeros and ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.estimator.measures import Measure, Replicates, jackknife

_AT_ONCE = 2**24
"""Entries of the tables of all swaps and folds held at once, in float64."""
FOLDS = "folds"
"""Quantity of the rows that hold the corrected information without each fold: two models on the same pairs share their
folds, so the error of a difference can be had from two estimates."""


@dataclass(frozen=True)
class Design:
    """Who is compared with whom."""

    keep: Tensor  # [1 + swaps, pairs] float64: 1 where the label stays, 0 where the pair is swapped; row 0 is the truth
    fold: np.ndarray  # [pairs] int64
    folds: int

    def subset(self, pairs: np.ndarray) -> "Design":
        """The same for some of the pairs, by number."""
        return Design(self.keep[:, torch.from_numpy(pairs)], self.fold[pairs], self.folds)


@dataclass(frozen=True)
class Information:
    """Information of one layer about the label, in nats."""

    raw: np.ndarray  # [1 + folds, draws]: of all pairs, then without each fold
    null: np.ndarray  # [1 + folds, draws]: mean over swaps
    swapped: np.ndarray  # [swaps]: mean over draws, all pairs


def design(fold: np.ndarray, folds: int, swaps: int, seed: int) -> Design:
    """Swap each pair with probability one half, as many times as asked."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 2))))
    keep = np.concatenate([np.ones((1, len(fold))), random.integers(0, 2, (swaps, len(fold)))])
    return Design(torch.from_numpy(keep), fold, folds)


def information(chosen: Tensor, rejected: Tensor, asked: Design) -> Information:
    """I(Z; preferred) = H(Z) − Σ P(label) H(Z | label), over positions, under the true labels and under every swap.

    Args:
        chosen, rejected: [pairs, draws, bins] summed assignments of the two answers of each pair.
        asked: swaps and folds of the same pairs.
    """
    draws, bins = chosen.shape[1:]
    step = max(1, _AT_ONCE // ((asked.folds + 1) * len(asked.keep) * bins))
    parts = [
        _information(chosen[:, some].double(), rejected[:, some].double(), asked)
        for some in (slice(start, start + step) for start in range(0, draws, step))
    ]
    every = torch.cat(parts, dim=-1).cpu().numpy()  # [1 + folds, 1 + swaps, draws]
    return Information(every[:, 0], every[:, 1:].mean(1), every[0, 1:].mean(-1))


def _information(chosen: Tensor, rejected: Tensor, asked: Design) -> Tensor:
    draws, bins = chosen.shape[1:]
    keep = asked.keep.to(chosen.device)
    tables, totals = [], []
    for fold in range(asked.folds):
        inside = torch.from_numpy(np.flatnonzero(asked.fold == fold)).to(chosen.device)
        a, b = chosen[inside].flatten(1), rejected[inside].flatten(1)
        other = b.sum(0)
        tables.append(other + keep[:, inside] @ (a - b))
        totals.append(a.sum(0) + other)
    first = _and_without(torch.stack(tables)).unflatten(-1, (draws, bins))  # [1 + folds, 1 + swaps, draws, bins]
    whole = _and_without(torch.stack(totals)).unflatten(-1, (draws, bins)).unsqueeze(1)  # [1 + folds, 1, draws, bins]
    share = first.sum(-1) / whole.sum(-1)
    return _entropy(whole) - share * _entropy(first) - (1 - share) * _entropy(whole - first)


def _and_without(folds: Tensor) -> Tensor:
    """[folds, …] → [1 + folds, …]: their sum, then the sum without each."""
    total = folds.sum(0, keepdim=True)
    return torch.cat([total, total - folds])


def _entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of counts [..., bins] scaled to one; zero where there are none."""
    counts = counts.clamp(min=0)  # a difference of sums may be −1e-17
    total = counts.sum(-1)
    return torch.where(total > 1e-9, total.log() - torch.special.xlogy(counts, counts).sum(-1) / total, 0.0)


def rows(layers: Sequence[Information], variable: str, bins: int, positions: int) -> list[Measure]:
    """Rows of the table `measures` for every layer and the mean over layers, raw, null and corrected, in log n.

    Errors over pairs: of raw the jackknife over folds; of the null the spread of a single swap; of corrected the larger
    of the two, since without information the jackknife may vanish by chance.
    """
    scale = math.log(bins)
    raw, null = (np.stack([getattr(layer, name) for layer in layers]) / scale for name in ("raw", "null"))
    swapped = np.stack([layer.swapped for layer in layers]) / scale  # [layers, swaps]
    mean = swapped[1:].mean(0) if len(layers) > 1 else swapped[0]
    spread = np.array([*swapped.std(1, ddof=1), mean.std(ddof=1)])
    replicates = Replicates(*raw.shape)
    found: list[Measure] = []
    for correction, values in (("raw", raw), ("null", null), ("corrected", raw - null)):
        columns = replicates.of(values)
        for place, layer in enumerate([*range(len(layers)), None]):
            value, draws, pairs, each = replicates.summary(columns[:, place])
            least = float(spread[place])
            over_pairs = {"raw": pairs, "null": least, "corrected": max(pairs or 0.0, least)}[correction]
            what = (layer, "information", variable, None, correction)
            found.append(Measure(*what, value, draws, over_pairs, positions, 2, each))
            if correction == "corrected":
                without = columns[1 + 2 * replicates.n :, place]
                what = (layer, FOLDS, variable, None, correction)
                found.append(Measure(*what, value, None, jackknife(without), positions, 2, without.tolist()))
    return found

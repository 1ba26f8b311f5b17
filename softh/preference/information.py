"""Information about which answer was preferred, from summed assignments, with permutations within pairs as the null.

For one layer the statistic is a table of summed assignments, one row an answer. The label of an answer is whether it
was the chosen one of its pair. A prompt has both labels, so it is uninformative; swapping the two answers of a pair
changes the label and nothing else, and the information under random permutations is what chance gives on the same
prompts and answers. All permutations and jackknife folds come from products of the table with a matrix of zeros and
ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.estimator.measures import Measure, jackknife, replicates, summarise

_CHUNK = 2**24
"""Entries of the tables of all permutations and folds in memory at once, in float64."""
FOLDS = "folds"
"""Quantity of the rows with the corrected information without each fold: two models on the same pairs share their
folds, so that the error of a difference follows from two estimates."""


@dataclass(frozen=True)
class PairDesign:
    """Permutations of the labels, and folds of the pairs."""

    keep: Tensor  # [1 + permutations, pairs] float64: 0 where labels are swapped; row 0 is the truth
    fold: np.ndarray  # [pairs] int64
    folds: int

    def subset(self, pairs: np.ndarray) -> "PairDesign":
        """The design of some of the pairs, by number."""
        return PairDesign(self.keep[:, torch.from_numpy(pairs)], self.fold[pairs], self.folds)


@dataclass(frozen=True)
class PairInformation:
    """Information of one layer about the label, in nats."""

    raw: np.ndarray  # [1 + folds, draws]: of all pairs, then without each fold
    null: np.ndarray  # [1 + folds, draws]: mean over permutations
    permuted: np.ndarray  # [permutations]: mean over draws, all pairs


def design(fold: np.ndarray, folds: int, permutations: int, seed: int) -> PairDesign:
    """Draw permutations, each of which swaps the two labels of every pair with probability one half.

    >>> design(np.array([0, 1, 0]), folds=2, permutations=10, seed=0).keep.shape
    torch.Size([11, 3])
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 2))))
    keep = np.concatenate([np.ones((1, len(fold))), random.integers(0, 2, (permutations, len(fold)))])
    return PairDesign(torch.from_numpy(keep), fold, folds)


def information(chosen: Tensor, rejected: Tensor, pairing: PairDesign) -> PairInformation:
    """I(Z; preferred) = H(Z) − Σ P(label) H(Z | label), over positions, in nats.

    Args:
        chosen: [pairs, draws, bins] summed assignments of the chosen answer of each pair.
        rejected: the same of the rejected answer.
        pairing: permutations and folds of the same pairs.

    >>> chosen, rejected = torch.eye(2).expand(40, 2, 2).reshape(40, 2, 1, 2).unbind(1)  # bin 0 chosen, bin 1 rejected
    >>> pairing = design(np.arange(40) % 4, folds=4, permutations=10, seed=0)
    >>> information(chosen, rejected, pairing).raw[0].round(4)  # log 2
    array([0.6931])
    """
    draws, bins = chosen.shape[1:]
    step = max(1, _CHUNK // ((pairing.folds + 1) * len(pairing.keep) * bins))
    parts = [
        _information(chosen[:, chunk].double(), rejected[:, chunk].double(), pairing)
        for chunk in (slice(start, start + step) for start in range(0, draws, step))
    ]
    values = torch.cat(parts, dim=-1).cpu().numpy()  # [1 + folds, 1 + permutations, draws]
    return PairInformation(values[:, 0], values[:, 1:].mean(1), values[0, 1:].mean(-1))


def _information(chosen: Tensor, rejected: Tensor, pairing: PairDesign) -> Tensor:
    draws, bins = chosen.shape[1:]
    keep = pairing.keep.to(chosen.device)
    tables, totals = [], []
    for fold in range(pairing.folds):
        inside = torch.from_numpy(np.flatnonzero(pairing.fold == fold)).to(chosen.device)
        a, b = chosen[inside].flatten(1), rejected[inside].flatten(1)
        rest = b.sum(0)
        tables.append(rest + keep[:, inside] @ (a - b))
        totals.append(a.sum(0) + rest)
    first = _and_without(torch.stack(tables)).unflatten(-1, (draws, bins))  # [1 + folds, 1 + permutations, draws, bins]
    total = _and_without(torch.stack(totals)).unflatten(-1, (draws, bins)).unsqueeze(1)  # [1 + folds, 1, draws, bins]
    share = first.sum(-1) / total.sum(-1)
    return _entropy(total) - share * _entropy(first) - (1 - share) * _entropy(total - first)


def _and_without(folds: Tensor) -> Tensor:
    """[folds, …] → [1 + folds, …]: their sum, then the sum without each."""
    total = folds.sum(0, keepdim=True)
    return torch.cat([total, total - folds])


def _entropy(counts: Tensor) -> Tensor:
    """Entropy in nats of counts [..., bins] scaled to one; zero where there are none."""
    counts = counts.clamp(min=0)  # a difference of sums may be −1e-17
    total = counts.sum(-1)
    return torch.where(total > 1e-9, total.log() - torch.special.xlogy(counts, counts).sum(-1) / total, 0.0)


def rows(layers: Sequence[PairInformation], variable: str, bins: int, positions: int) -> list[Measure]:
    """Rows of the table `measures` for every layer and the mean over layers, raw, null and corrected, in log n.

    Errors over pairs: of raw the jackknife over folds; of the null the spread of a single permutation; of corrected
    the larger of the two, since without information the jackknife may vanish by chance.
    """
    scale = math.log(bins)
    raw, null = (np.stack([getattr(layer, name) for layer in layers]) / scale for name in ("raw", "null"))
    permuted = np.stack([layer.permuted for layer in layers]) / scale  # [layers, permutations]
    mean = permuted[1:].mean(0) if len(layers) > 1 else permuted[0]
    spread = np.array([*permuted.std(1, ddof=1), mean.std(ddof=1)])
    folds, draws_of = raw.shape[1] - 1, raw.shape[2]
    measures: list[Measure] = []
    for correction, values in (("raw", raw), ("null", null), ("corrected", raw - null)):
        columns = replicates(values)
        for column, layer in enumerate([*range(len(layers)), None]):
            value, draws, pairs, of_draws, _ = summarise(columns[:, column], folds)
            least = float(spread[column])
            over_pairs = {"raw": pairs, "null": least, "corrected": max(pairs or 0.0, least)}[correction]
            name = (layer, "information", variable, None, correction)
            measures.append(Measure(*name, value, draws, over_pairs, positions, 2, of_draws, None))
            if correction == "corrected":
                without = columns[1 + 2 * draws_of :, column]
                name = (layer, FOLDS, variable, None, correction)
                measures.append(Measure(*name, value, None, jackknife(without), positions, 2, without.tolist(), None))
    return measures

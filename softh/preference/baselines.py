"""What length and words alone say about which answer was preferred, and pairs matched so that length says nothing."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from softh.preference.linear import Verdict, cross_validate

BINS = 8
"""Quantiles of the difference in length."""
CELL = 0.2
"""Width, in log tokens, of the cells in which pairs are matched by the lengths of both answers."""
VOCABULARY = 2000
"""Words, the most frequent of those in at least LEAST answers."""
LEAST = 4

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]")
"""A word, a sign, or a character of a script that puts no spaces between words."""


def length(lengths: np.ndarray, fold: np.ndarray, folds: int) -> Verdict:
    """How often the longer answer is chosen, by how much longer it is, counted on the other folds.

    lengths: [pairs, 2] tokens of the chosen and the rejected answer. Bins are quantiles of |log length ratio|, which no
    label enters; counts begin at one.
    """
    ratio = np.log(lengths[:, 0]) - np.log(lengths[:, 1])
    edges = np.unique(np.quantile(np.abs(ratio[ratio != 0]), np.linspace(0, 1, BINS + 1)[1:-1])) if ratio.any() else []
    place = np.searchsorted(edges, np.abs(ratio))
    odds = np.zeros(len(ratio))
    for held in range(folds):
        inside, outside = fold == held, (fold != held) & (ratio != 0)
        longer, shorter = (
            1 + np.bincount(place[outside & (np.sign(ratio) == sign)], minlength=BINS) for sign in (1, -1)
        )
        odds[inside] = (np.sign(ratio) * np.log(longer / shorter)[place])[inside]
    return Verdict(odds)


def words(answers: Sequence[tuple[str, str]], fold: np.ndarray, folds: int) -> Verdict:
    """A linear model of which words, and how many of each, the two answers have: log(1 + count), in any order."""
    counted = [[Counter(_WORD.findall(text.lower())) for text in pair] for pair in answers]
    seen = Counter(word for pair in counted for bag in pair for word in bag)
    often = [word for word, count in seen.most_common(VOCABULARY) if count >= LEAST]
    number = {word: place for place, word in enumerate(often)}
    difference = np.zeros((len(answers), max(1, len(often))))
    for row, pair in zip(difference, counted, strict=True):
        for sign, bag in zip((1, -1), pair, strict=True):
            for word, count in bag.items():
                if word in number:
                    row[number[word]] += sign * np.log1p(count)
    return cross_validate(torch.from_numpy(difference), fold, folds)


def match(lengths: np.ndarray, seed: int) -> np.ndarray:
    """Numbers of pairs among which length tells nothing, sorted.

    Pairs are put in cells by the length of the longer and of the shorter answer; in each cell as many are kept whose
    chosen answer is the longer one as of the others, at random. Pairs of equal lengths are all kept.
    """
    ratio = lengths[:, 0] - lengths[:, 1]
    cells = np.round(np.log(np.sort(lengths, axis=1)) / CELL).astype(int)
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 3)))).permutation(len(lengths))
    sides: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}
    for pair in order[ratio[order] != 0]:
        sides.setdefault(tuple(cells[pair]), ([], []))[int(ratio[pair] > 0)].append(int(pair))
    kept = [pair for both in sides.values() for side in both for pair in side[: min(map(len, both))]]
    return np.array(sorted([*kept, *np.flatnonzero(ratio == 0)]), dtype=np.int64)

"""Baselines of a probe, length only and bag of words, and pairs matched so that length is uninformative."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from softh.preference.linear import CrossValidation, cross_validate

BINS = 8
"""Quantiles of the difference in length."""
CELL = 0.2
"""Width, in log tokens, of the cells in which pairs are matched by the lengths of both answers."""
VOCABULARY = 2000
"""Most words of the bag: the most frequent of those that occur at least LEAST times."""
LEAST = 4

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]")
"""A word, a sign, or a character of a script that puts no spaces between words."""


def length(lengths: np.ndarray, fold: np.ndarray, folds: int) -> CrossValidation:
    """Predict the preferred answer from lengths: how often the longer one is chosen, by how much longer it is.

    Frequencies come from the other folds and begin at a count of one; bins are quantiles of |log length ratio|, which
    do not depend on the labels.

    Args:
        lengths: [pairs, 2] tokens of the chosen and the rejected answer.
        fold: [pairs] int64 from 0 to folds − 1.
        folds: number of folds.

    >>> lengths = np.tile([[20, 10]], (60, 1))  # the longer answer is always chosen
    >>> length(lengths, np.arange(60) % 3, 3).accuracy.mean()
    np.float64(1.0)
    """
    ratio = np.log(lengths[:, 0]) - np.log(lengths[:, 1])
    edges = np.unique(np.quantile(np.abs(ratio[ratio != 0]), np.linspace(0, 1, BINS + 1)[1:-1])) if ratio.any() else []
    bin_of_pair = np.searchsorted(edges, np.abs(ratio))
    odds = np.zeros(len(ratio))
    for test in range(folds):
        inside, outside = fold == test, (fold != test) & (ratio != 0)
        longer, shorter = (
            1 + np.bincount(bin_of_pair[outside & (np.sign(ratio) == sign)], minlength=BINS) for sign in (1, -1)
        )
        odds[inside] = (np.sign(ratio) * np.log(longer / shorter)[bin_of_pair])[inside]
    return CrossValidation(odds)


def words(answers: Sequence[tuple[str, str]], fold: np.ndarray, folds: int) -> CrossValidation:
    """Logistic regression on bags of words: features are log(1 + count) of each word, answer less answer.

    Args:
        answers: (chosen, rejected) of each pair.
        fold: [pairs] int64 from 0 to folds − 1.
        folds: number of folds.
    """
    counted = [[Counter(WORD.findall(text.lower())) for text in pair] for pair in answers]
    seen = Counter(word for pair in counted for bag in pair for word in bag)
    vocabulary = [word for word, count in seen.most_common(VOCABULARY) if count >= LEAST]
    column = {word: index for index, word in enumerate(vocabulary)}
    difference = np.zeros((len(answers), max(1, len(vocabulary))))
    for row, pair in zip(difference, counted, strict=True):
        for sign, bag in zip((1, -1), pair, strict=True):
            for word, count in bag.items():
                if word in column:
                    row[column[word]] += sign * np.log1p(count)
    return cross_validate(torch.from_numpy(difference), fold, folds)


def match(lengths: np.ndarray, seed: int) -> np.ndarray:
    """Select pairs among which length is uninformative; returns their numbers, sorted.

    Pairs are put in cells by the length of the longer and of the shorter answer; of each cell, equally many pairs are
    selected at random whose chosen answer is the longer one and whose chosen answer is the shorter one. Pairs of equal
    lengths are all selected.

    Args:
        lengths: [pairs, 2] tokens of the chosen and the rejected answer.
        seed: of the selection.

    >>> match(np.array([[20, 10], [20, 10], [10, 20], [15, 15]]), seed=0).tolist()[1:]
    [2, 3]
    """
    ratio = lengths[:, 0] - lengths[:, 1]
    cells = np.round(np.log(np.sort(lengths, axis=1)) / CELL).astype(int)
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, 3)))).permutation(len(lengths))
    sides: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}
    for pair in order[ratio[order] != 0]:
        sides.setdefault(tuple(cells[pair]), ([], []))[int(ratio[pair] > 0)].append(int(pair))
    selected = [pair for both in sides.values() for side in both for pair in side[: min(map(len, both))]]
    return np.array(sorted([*selected, *np.flatnonzero(ratio == 0)]), dtype=np.int64)

"""Labels: which positions count, and that ids mean n-grams."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softh.estimator.labels import LabelSet, ngram_ids, ngram_labels, valid_positions


def encoded(texts: list[np.ndarray], highest: int, variable: str, order: int) -> LabelSet:
    return ngram_labels(ngram_ids(texts, order), valid_positions(texts, highest), variable, order)


documents = st.lists(st.lists(st.integers(0, 5), max_size=14).map(np.array), min_size=1, max_size=6)


def test_positions_leave_room_for_every_ngram_on_both_sides() -> None:
    positions = valid_positions([np.arange(9), np.arange(3), np.arange(8)], 4)
    assert positions.document.tolist() == [0, 0, 2]
    assert positions.offset.tolist() == [3, 4, 3]
    assert positions.flat.tolist() == [3, 4, 15]


@given(documents, st.integers(1, 4), st.sampled_from(["input", "output"]))
def test_equal_ids_if_and_only_if_equal_ngrams(texts: list[np.ndarray], order: int, variable: str) -> None:
    texts = [text.astype(np.int64) for text in texts]
    positions = valid_positions(texts, 4)
    labels = encoded(texts, 4, variable, order)
    wanted = [
        tuple(texts[d][i - order + 1 : i + 1] if variable == "input" else texts[d][i + 1 : i + 1 + order])
        for d, i in zip(positions.document, positions.offset, strict=True)
    ]
    assert all(len(ngram) == order for ngram in wanted)
    assert len(set(wanted)) == labels.distinct == len(set(labels.labels.tolist()))
    assert len(set(zip(wanted, labels.labels.tolist(), strict=True))) == labels.distinct


def test_quadgrams_of_a_large_vocabulary_do_not_overflow() -> None:
    tokens = np.random.default_rng(0).integers(0, 262_144, 5000)
    tokens[-4:] = tokens[:4]
    positions = valid_positions([tokens], 4)
    labels = encoded([tokens], 4, "input", 4)
    wanted = {tuple(tokens[i - 3 : i + 1]) for i in positions.flat}
    assert labels.distinct == len(wanted)

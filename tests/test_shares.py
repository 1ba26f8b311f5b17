"""Shares of context: parts that add up to H(Z), with the errors of differences."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from softh.analysis.shares import of_context
from softh.errors import InputError
from softh.estimator.debiasing import Conditionals
from softh.estimator.labels import VARIABLES
from softh.estimator.measures import Entropies, Key, jackknife, measure

BINS, LAYERS, FOLDS, DRAWS = 50, 3, 8, 6


@pytest.fixture
def entropies() -> Entropies:
    """H(Z | label) falls with the order; what moves an estimate from draw to draw and fold to fold moves all orders."""
    random = np.random.default_rng(0)
    shape = (LAYERS, 1 + FOLDS, DRAWS)
    shared = 0.2 * random.standard_normal((LAYERS, 1, DRAWS)) + 0.05 * random.standard_normal((1, 1 + FOLDS, 1))
    entropy = 3 + shared + 0.002 * random.standard_normal(shape)
    known = {
        Key(variable, order): Conditionals(*(2.5 - 0.3 * order + shared + 0.002 * random.standard_normal((4, *shape))))
        for variable in VARIABLES
        for order in (1, 2, 3)
    }
    return Entropies(entropy, known, dict.fromkeys(known, 9), BINS, 1000)


def rows(entropies: Entropies) -> list[dict[str, Any]]:
    """Debiased rows of the mean over layers as the store gives them, one an order."""
    setup = {"estimate_id": "00aa", "correction": "debiased", "layer": None, "width": 8, "seed": 0, "frame": "iid"}
    setup |= {"bins": BINS, "corpus_digest": "c", "documents": 64, "folds": FOLDS, "draws": DRAWS}
    found = {order: setup | {"ngram": order} for order in (1, 2, 3)}
    for row in (asdict(each) for each in measure(entropies)):
        if row["layer"] is not None or row["quantity"] not in ("entropy", "information"):
            continue
        name = row["variable"] or "entropy"
        ends = {"": "value", "_se_draws": "se_draws", "_se_documents": "se_documents", "_draws": "draws"}
        values = {f"{name}{end}": row[key] for end, key in (ends | {"_folds": "folds"}).items()}
        for order in (1, 2, 3):
            if name == "entropy" or (row["ngram"], row["correction"]) == (order, "debiased"):
                found[order] |= values
    return list(found.values())


def test_the_parts_add_up_to_the_entropy(entropies: Entropies) -> None:
    shares = of_context(rows(entropies))
    assert [share.name for share in shares] == ["token", "bigram", "trigram", "rest"]
    assert [share.above for share in shares] == [0, 1, 2, 3]
    total = entropies.entropy[1:, 0].mean() / math.log(BINS)
    assert math.fsum(share.part.value or math.nan for share in shares) == pytest.approx(total)


def test_errors_are_those_of_the_differences(entropies: Entropies) -> None:
    """Against values taken from the entropies themselves; as if apart they would be several times larger."""
    bigram = of_context(list(reversed(rows(entropies))), "output")[1].part
    one, two = (entropies.conditional[Key("output", order)].debiased[1:].mean(0) / math.log(BINS) for order in (1, 2))
    apart = one - two  # [1 + folds, draws]
    assert bigram.value == pytest.approx(apart[0].mean())
    assert bigram.se_documents == pytest.approx(jackknife(apart[1:].mean(1)))
    assert bigram.se_draws == pytest.approx(apart[0].std(ddof=1) / math.sqrt(DRAWS))
    alone = [row["output_se_draws"] for row in rows(entropies)[:2]]
    assert math.hypot(*alone) > 1.5 * (bigram.se_draws or math.inf)


def test_the_part_of_the_token_has_the_error_of_its_information(entropies: Entropies) -> None:
    given = rows(entropies)
    token = of_context(given)[0].part
    assert token.value == given[0]["input"]
    assert token.se_draws == pytest.approx(given[0]["input_se_draws"])
    assert token.se_documents == pytest.approx(given[0]["input_se_documents"])


def test_rows_of_two_estimates_are_refused(entropies: Entropies) -> None:
    first = rows(entropies)
    with pytest.raises(InputError, match="select an estimate"):
        of_context([first[0], {**first[1], "estimate_id": "00bb"}])
    with pytest.raises(InputError, match="one an order"):
        of_context([first[0], first[0]])

"""Terms: each is defined once, shown on hover where it is said first, and has a place on Method."""

import re
from pathlib import Path

import pytest

from dashboard.page import glossary
from softh.quantities import CORRECTION_NAMES, QUANTITIES

METHOD = Path(__file__).parents[1] / "pages" / "method.py"


def test_every_quantity_and_correction_is_a_term() -> None:
    assert {each.name for each in QUANTITIES} <= set(glossary.TERMS)
    assert {name.partition(",")[0].replace("permutation ", "") for name in CORRECTION_NAMES.values()} <= set(
        glossary.TERMS
    )


def test_a_term_is_linked_where_it_is_said_first_and_only_there() -> None:
    said = glossary.linked("Complexity falls; complexity is what is kept.")
    assert said.count("](") == 1
    assert re.match(r'\[Complexity\]\(/\S*method#term-complexity "I\(X;Z\)', said)


@pytest.mark.parametrize("text", ["`complexity`", "[complexity](x)", "toy-9M-raw", "drawn", "nullable"])
def test_code_links_and_parts_of_words_stay_as_they_are(text: str) -> None:
    assert glossary.linked(text) == text


def test_the_longer_term_wins() -> None:
    assert "#term-null-corrected" in glossary.linked("null-corrected values")
    assert "#term-distance-to-the-bound" in glossary.linked("its distance to the bound")


def test_no_definition_breaks_the_link_that_holds_it() -> None:
    assert [name for name, said in glossary.TERMS.items() if '"' in said or "\n" in said or "]" in said] == []


@pytest.mark.parametrize(
    ("head", "words"),
    [("Optimality", "share of what is retained"), ("I(X;Z) / log n complexity", "retain"), ("RankMe", "directions"),
     ("To the bound", "does not predict"), ("Model", None), ("Date", None)],
)  # fmt: skip
def test_heads_of_tables_have_their_definitions(head: str, words: str | None) -> None:
    found = glossary.of_head(head)
    assert found is None if words is None else words in (found or "")


def test_every_term_has_an_address_of_its_own() -> None:
    addresses = [address for _, address, _ in glossary.entries()]
    assert len(set(addresses)) == len(glossary.TERMS)
    assert "glossary.entries()" in METHOD.read_text(encoding="utf-8")

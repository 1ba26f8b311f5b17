"""Registries: a new entry is known everywhere that reads them, an unknown name lists what there is."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from softh.errors import InputError
from softh.estimator import labels
from softh.text import corpus, sources
from tests.tiny import tokenizer


def test_reading_the_corpora_imports_nothing_heavy() -> None:
    code = (
        "import sys; from softh.text import sources; sources.usage(); sources.find('c4'); sources.captions()\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


def test_a_new_corpus_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, documents: int, seed: int) -> sources.Sample:
        return sources.Sample(name, sources.draw(["one", "two", "three"], documents, seed), "Numbers, public domain.")

    entry = sources.Source(
        "numbers", label="numbers", summary="Numbers.", caption="numbers in words", needs_network=True, load=load
    )
    monkeypatch.setattr(sources, "SOURCES", (entry, *sources.SOURCES))
    assert len(corpus.load("numbers", 2, 0).texts) == 2
    assert sources.find("numbers").needs_network
    assert sources.caption("numbers") == "numbers in words"
    with pytest.raises(
        InputError, match="corpus was 'letters'; expected numbers, weymouth-nt, python-docs, c4 or file:PATH"
    ):
        corpus.load("letters", 2, 0)


def test_names_of_corpora_and_of_kinds_of_labels_are_unique() -> None:
    assert len({source.name for source in sources.SOURCES}) == len(sources.SOURCES)
    assert len({source.label for source in sources.SOURCES}) == len(sources.SOURCES)
    assert len({kind.name for kind in labels.LABEL_KINDS}) == len(labels.LABEL_KINDS)


@pytest.mark.parametrize("kind", labels.LABEL_KINDS, ids=lambda kind: kind.name)
def test_every_kind_labels_every_position_densely(kind: labels.LabelKind) -> None:
    text = corpus.sample("proverbs", ["look before you leap", "he who laughs last laughs last"], 2, 0, "Proverbs.")
    text = replace(text, labels=("en", "fr"))
    tokenized = kind.tokenize(text, tokenizer(), context=64, highest_order=2)
    positions = kind.positions(tokenized, 2)
    sets = list(kind.labels(tokenized, (1, 2), torch.device("cpu")))
    assert [(each.variable, each.order) for each in sets] == [(v, k) for v in labels.VARIABLES for k in (1, 2)]
    for label_set in sets:
        assert len(label_set.labels) == len(positions) > 0
        assert set(label_set.labels.tolist()) == set(range(label_set.distinct))
    assert labels.label_kind(kind.name) is kind


def test_an_unknown_kind_of_label_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="labels was 'letters'; expected one of tokens, words, bytes"):
        labels.label_kind("letters")

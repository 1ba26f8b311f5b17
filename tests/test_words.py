"""Labels that tokenizers share: the same words at the same places whatever the tokens, and folds of whole sources."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softh.errors import InputError
from softh.estimator import labels
from softh.estimator.entropies import document_folds
from softh.estimator.pipeline import estimate
from softh.spec import EstimateSpec
from softh.text import corpus
from softh.text.corpus import Corpus, tokenize_words
from tests.shapes import bert_tokenizer, bos_tokenizer
from tests.tiny import save_model, save_text, texts, tokenizer

WORDS, BYTES = labels.label_kind("words"), labels.label_kind("bytes")


def label_sets(kind: labels.LabelKind, documents: list[str], tokens: object, orders: tuple[int, ...] = (1, 2)) -> list:
    tokenized = kind.tokenize(Corpus("some", tuple(documents), "", ""), tokens, 64, max(orders))
    return [found.labels.tolist() for found in kind.labels(tokenized, orders, torch.device("cpu"))]


@pytest.mark.parametrize("kind", [WORDS, BYTES], ids=["words", "bytes"])
def test_labels_are_the_same_for_every_tokenizer(kind: labels.LabelKind) -> None:
    documents = [text.lower() for text in texts(12)]
    found = [label_sets(kind, documents, make()) for make in (tokenizer, bos_tokenizer, lambda: tokenizer(400))]
    assert found[0] == found[1] == found[2]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(min_size=1, max_size=9).filter(lambda word: "".join(word.split()) == word), min_size=4, max_size=20
    )
)
def test_the_token_of_a_word_ends_it_and_has_read_nothing_of_the_next(words: list[str]) -> None:
    text, tokens = "  ".join(words), tokenizer()
    tokenized = tokenize_words(Corpus("some", (text,), "", ""), tokens, 400, 1)
    [found] = tokenized.words
    assert list(found.texts) == words
    offsets = tokens(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    for word, token in zip(words, found.last_token, strict=True):
        assert text[: offsets[token][1]].rstrip().endswith(word[-1])
    ends = np.cumsum([len(word) + 2 for word in words]) - 2
    assert all(offsets[token][1] <= end + 2 for token, end in zip(found.last_token, ends, strict=True))


def test_words_and_bytes_are_what_stands_before_and_after() -> None:
    documents = ["one two  three\nfour five", "six seven eight nine ten"]
    tokenized = WORDS.tokenize(Corpus("some", tuple(documents), "", ""), tokenizer(), 64, 2)
    positions = WORDS.positions(tokenized, 2)
    assert positions.document.tolist() == [0, 0, 1, 1]  # of five words, the second and the third
    assert len(label_sets(WORDS, documents, tokenizer())[0]) == 4
    inputs, _, outputs, _ = label_sets(BYTES, documents, tokenizer())
    assert inputs == [2, 0, 1, 3]  # two, three, seven, eight: the last byte is o, e, n, t
    assert outputs == [3, 1, 0, 2]  # three, four, eight, nine: the first byte is t, f, e, n


def test_a_document_has_the_same_words_whatever_its_tokens() -> None:
    text = " ".join(f"word{number}" for number in range(100))
    for tokens in (tokenizer(), bos_tokenizer()):
        tokenized = tokenize_words(Corpus("some", (text,), "", ""), tokens, 64, 2)
        words = tokenized.words[0].texts
        assert text.startswith(" ".join(words))
        assert 3 * 64 - 8 < len(" ".join(words)) <= 3 * 64
        assert tokenized.max_length >= len(tokenized.ids[0])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("これは空白のない文章です。" * 9, "characters between white space; expected words with spaces"),
        ("two words", "have fewer than 4 words"),
    ],
)
def test_text_without_words_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        tokenize_words(Corpus("some", (text,), "", ""), tokenizer(), 64, 2)


def test_a_tokenizer_without_offsets_is_a_sentence() -> None:
    slow = type("Slow", (), {"is_fast": False})()
    with pytest.raises(InputError, match="gives no offsets"):
        tokenize_words(Corpus("some", ("a b c d e",), "", ""), slow, 64, 1)


def test_tokens_that_join_words_are_a_sentence() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    joined = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))  # the whole text is one token
    with pytest.raises(InputError, match="reaches beyond the word 'to'"):
        tokenize_words(
            Corpus("some", ("to be or not",), "", ""),
            PreTrainedTokenizerFast(tokenizer_object=joined, unk_token="<unk>"), 64, 1,
        )  # fmt: skip


def test_words_of_a_tokenizer_that_normalises_are_found_too() -> None:
    tokenized = tokenize_words(Corpus("some", ("the quick brown fox",), "", ""), bert_tokenizer(), 64, 1)
    assert tokenized.words[0].texts == ("the", "quick", "brown", "fox")


@pytest.mark.parametrize("kind", ["words", "bytes"])
def test_an_estimate_has_labels_of_its_kind(tmp_path: Path, kind: str) -> None:
    model, text = save_model(tmp_path / "tiny"), save_text(tmp_path / "text.jsonl")
    spec = EstimateSpec(
        model=str(model), corpus=f"file:{text}", documents=24, context=24, draws=2, bins=20, orders=(1,)
    )
    found, tokens = estimate(dataclasses.replace(spec, labels=kind)), estimate(spec)
    assert found.id != tokens.id
    assert found.record()["estimate"]["labels"] == kind
    assert any(row.quantity == "information" and row.correction == "debiased" for row in found.measures)
    assert found.positions < tokens.positions


def test_folds_are_whole_sources_where_there_are_enough() -> None:
    sources = [f"book {number % 11}" for number in range(60)]
    fold = document_folds(60, sources, 8)
    assert {name: len({fold[i] for i in range(60) if sources[i] == name}) for name in sources} == dict.fromkeys(
        sources, 1
    )
    assert sorted(set(fold.tolist())) == list(range(8))
    assert document_folds(60, ["web"] * 60, 8).tolist() == [number % 8 for number in range(60)]
    assert document_folds(60, [], 8).tolist() == [number % 8 for number in range(60)]
    assert document_folds(1, ["a"], 8).tolist() == [0]


def test_sources_of_a_file_come_with_its_documents(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    rows = [{"text": f"Text number {number}.", "source": f"book {number // 2}"} for number in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = corpus.load(f"file:{path}", 6, 0)
    assert all(
        source == f"book {int(text.split()[-1][:-1]) // 2}"
        for text, source in zip(found.texts, found.sources, strict=True)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "Without a source."}]))
    assert corpus.load(f"file:{path}", 6, 0).sources == ()

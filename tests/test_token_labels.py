"""Labels of single tokens: what each kind is, spans and columns, and a planted label at the layer that has it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import softh
from dashboard.views import registry
from softh import InputError
from softh.estimator import token_labels
from softh.estimator.labels import label_corpus, label_kind, valid_positions
from softh.models.hidden_states import HiddenStates
from softh.store import read, write
from softh.text import corpus
from softh.text.corpus import Corpus, TokenizedCorpus, tokenize
from tests.tiny import save_model, texts, tokenizer

PROSE = "The cat, who sat there, ate 12 mats; then foo_bar(x) ran 3.5 times."


def of_words(text: str) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are words and single punctuation marks."""
    splitter = pre_tokenizers.Whitespace()
    names = {piece for piece, _ in splitter.pre_tokenize_str(text)}
    made = Tokenizer(models.WordLevel({name: at for at, name in enumerate(["<unk>", *sorted(names)])}, "<unk>"))
    made.pre_tokenizer = splitter
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def tokenized(text: str, labels: Any = None) -> tuple[Corpus, TokenizedCorpus, PreTrainedTokenizerFast]:
    made = of_words(text)
    whole = Corpus("one", (text,), "0", "One.", labels=() if labels is None else (labels,))
    return whole, tokenize(whole, made, 64, 1), made


def test_classes_are_those_of_the_words_that_tokens_end() -> None:
    whole, ids, made = tokenized(PROSE)
    [found] = token_labels.classes(whole, ids, made)
    pieces = made.convert_ids_to_tokens(ids.ids[0])
    named = {piece: token_labels.CLASSES[label] for piece, label in zip(pieces, found, strict=True)}
    assert {piece for piece, name in named.items() if name == "function"} == {"The", "who", "there", "then"}
    assert {piece for piece, name in named.items() if name == "content"} == {
        "cat",
        "sat",
        "ate",
        "mats",
        "ran",
        "times",
    }
    assert named["12"] == named["3"] == "number"
    assert named[","] == named[";"] == "punctuation"
    assert named["foo_bar"] == named["x"] == "code"


@pytest.mark.parametrize(
    ("word", "name"),
    [("don't", "function"), ("1st", "number"), ("2,000", "number"), ("McDonald", "content"), ("getValue", "code"),
     ("os.path.join", "code"), ("—", "punctuation"), ("élève", "content"), ("a->b", "code"), ("\n\n", "white space")],
)  # fmt: skip
def test_classes_of_words(word: str, name: str) -> None:
    found = token_labels.character_classes(f"x {word} y")[2 : 2 + len(word)]
    assert token_labels.CLASSES[found[0]] == name


def test_bands_hold_about_a_fifth_of_the_text_each_and_places_are_octaves() -> None:
    text = corpus.sample("some", texts(30), 30, 0, "English.")
    ids = tokenize(text, tokenizer(), 128, 1)
    band = np.concatenate(token_labels.bands(text, ids, None))
    share = np.bincount(band, minlength=5) / len(band)
    assert share.sum() == pytest.approx(1)
    assert (np.abs(share - 0.2) < 0.06).all()
    flat = np.concatenate(ids.ids)
    counts = np.bincount(flat)[flat]
    assert all(counts[band == low].min() >= counts[band == low + 1].max() for low in range(4))
    assert token_labels.places(text, ids, None)[0][:9].tolist() == [0, 1, 1, 2, 2, 2, 2, 3, 3]


def test_a_token_has_the_label_of_the_span_that_holds_its_last_character() -> None:
    text = "alpha beta gamma delta"
    spans = [
        {"start": 0, "end": 3, "label": "head"},  # not the end of alpha
        {"start": 4, "end": 8, "label": "cross"},  # the end of alpha, not that of beta
        {"start": 9, "end": 22, "label": "rest"},
    ]
    whole, ids, made = tokenized(text, spans)
    [found] = token_labels.column(whole, ids, made)
    names = sorted({span["label"] for span in spans})
    assert [names[label] for label in found] == ["cross", "rest", "rest", "rest"]
    by_token = [{"token_start": 1, "token_end": 3, "label": 7}]
    assert token_labels.column(*tokenized(text, by_token))[0].tolist() == [-1, 0, 0, -1]


def test_spans_that_label_nothing_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    spans = [{"start": 0, "end": 3, "label": "a"}, {"start": 6, "end": 10, "label": "b"}]
    assert token_labels.column(*tokenized("alpha beta", spans))[0].tolist() == [-1, 1]
    assert "1 spans hold the last character of no token and label nothing" in caplog.text


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([{"start": 0, "end": 99, "label": "a"}], "A span of document 1 ends at character 99, and its text has 10"),
        ([{"start": 0, "end": 5, "label": "a"}, {"start": 2, "end": 10, "label": "b"}], "Spans of document 1 overlap"),
        ([{"start": 3, "end": 3, "label": "a"}], "A span of document 1 was .* with 0 ≤ start < end"),
        ([{"start": 0, "end": 5}], "expected start, end .* and label"),
        ([1, 2], "A span of document 1 was '1'"),
        ({"a": 1}, "A label was .*; expected a text or number, or a list of spans"),
    ],
)
def test_spans_that_cannot_be_are_told(spans: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        token_labels.column(*tokenized("alpha beta", spans))


def save_rows(path: Path, label: Callable[[int, str], object]) -> Path:
    rows = [{"text": text, "mark": label(at, text)} for at, text in enumerate(texts(40))]
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def spans_of(at: int, text: str) -> list[dict[str, object]]:
    """Marks of fifteen characters that have nothing to do with the text; a third of it has none."""
    rng = np.random.default_rng(at)
    starts = range(0, len(text) - 30, 15)
    marks = rng.integers(3, size=len(starts))
    return [
        {"start": start, "end": start + 15, "label": "ab"[mark]}
        for start, mark in zip(starts, marks, strict=True)
        if mark < 2
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_planted_label_is_found_at_its_layer_and_absent_elsewhere(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model(tmp_path / "model")
    path = save_rows(tmp_path / f"marked{suffix}", spans_of)
    planted = 3 * torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    each = HiddenStates.each

    def with_planted(self: HiddenStates, layers: Any, on_layer: Any) -> None:
        def plant(documents: np.ndarray, layer: int, hidden: torch.Tensor, text: torch.Tensor | None) -> None:
            if layer == 1:
                marks = torch.from_numpy(np.concatenate([self.tokenized.symbols[at] for at in documents]))
                rows = torch.arange(len(marks)) if text is None else text
                hidden = hidden.clone()
                scale = hidden.norm(dim=1).mean()
                hidden[rows] += scale * torch.where((marks >= 0)[:, None], planted[marks.clamp(min=0)], 0)
            on_layer(documents, layer, hidden, text)

        each(self, layers, plant)

    monkeypatch.setattr(HiddenStates, "each", with_planted)
    found = softh.estimate(
        str(model), corpus=f"file:{path}", labels="column:mark", orders=(1,), context=64, draws=4, save=False
    )
    known = {
        row.layer: row for row in found.measures
        if (row.quantity, row.variable, row.correction) == ("information", "input", "debiased")
    }  # fmt: skip
    assert known[1].labels == 2
    assert known[1].value > 0.05
    for layer in (0, 2):
        assert abs(known[layer].value) < max(4 * known[layer].se_documents, 0.002)


def test_only_tokens_with_a_label_are_positions(tmp_path: Path) -> None:
    path = save_rows(tmp_path / "some.jsonl", lambda at, text: spans_of(at, text) if at % 2 else None)
    text = label_corpus(f"file:{path}", 40, 0, "column:mark")
    kind = label_kind("column:mark")
    ids = kind.tokenize(text, tokenizer(), 64, 2)
    positions = kind.positions(ids, 2)
    assert len(ids.ids) == 20  # documents without any label are left out
    assert 0 < len(positions) < len(valid_positions(ids.ids, 2))
    assert (np.concatenate(ids.symbols)[positions.flat] >= 0).all()
    sets = {(each.variable, each.order): each for each in kind.labels(ids, (1, 2), torch.device("cpu"))}
    assert sets["input", 1].distinct == 2
    assert sets["output", 1].distinct == 3  # the next token may have none
    joint = {
        tuple(pair) for pair in zip(sets["input", 1].labels.tolist(), sets["output", 1].labels.tolist(), strict=True)
    }
    assert len(joint) > 3


def test_labels_of_a_column_are_part_of_the_identity(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = save_rows(tmp_path / "one" / "x.jsonl", lambda at, _: at % 2)
    second = save_rows(tmp_path / "two" / "x.jsonl", lambda at, _: at % 3)
    marked = [label_corpus(f"file:{path}", 9, 0, "column:mark").digest for path in (first, second)]
    plain = [label_corpus(f"file:{path}", 9, 0, "tokens").digest for path in (first, second)]
    assert len(set(marked)) == 2
    assert len(set(plain)) == 1
    assert plain[0] not in marked


@pytest.mark.parametrize(
    ("labels", "label", "said"),
    [
        ("column:topic", 1, "x.jsonl has columns text, mark; expected labels in a column called topic"),
        ("languages", 1, "expected labels in a column called language or lang"),
        ("column:mark", 1, "All tokens of x that have a label of column:mark have the same"),
        ("column:mark", None, "No token of x that counts has a label of column:mark"),
        ("sources", 1, "expected labels in a column called source"),
        ("letters", 1, "labels was 'letters'; expected one of tokens, words, bytes, classes, .* or column:NAME"),
        ("values", 1, "labels was 'values', which are of time series"),
        ("column:", 1, "labels was 'column:'"),
    ],
)
def test_labels_that_are_not_there_are_told(labels: str, label: object, said: str, tmp_path: Path) -> None:
    path = save_rows(tmp_path / "x.jsonl", lambda *_: label)
    with pytest.raises(InputError, match=said):
        softh.estimate(str(save_model(tmp_path / "model")), corpus=f"file:{path}", labels=labels, save=False)


def test_a_text_without_columns_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="python-docs says nothing of its documents called topic"):
        label_corpus("python-docs", 4, 0, "column:topic")
    assert len(set(label_corpus("python-docs", 9, 0, "sources").labels)) > 1


@pytest.mark.parametrize("labels", ["classes", "bands", "places", "sources"])
def test_labels_of_tokens_are_estimates_like_others(
    labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model(tmp_path / "model")
    found = softh.estimate(
        str(model), corpus="python-docs", documents=24, labels=labels, orders=(1, 2), context=48, draws=3, save=False
    )
    write.save(found.record(), tmp_path / "data")
    assert not read.warnings(tmp_path / "data")
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    view, notes = registry.build("layers", {}, dark=False)
    assert not notes
    assert f"Labels are {labels} (" in view.caption
    assert f"labels {labels}" in view.source
    assert "time series" not in view.title + view.caption

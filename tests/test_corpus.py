"""Samples are fixed by their seed, every format reads alike, and windows hold text and nothing else."""

import gzip
import json
import lzma
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from pydoc_data.topics import topics

import datasets
import huggingface_hub.constants
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.text import sources
from softh.text.corpus import Corpus, load, tokenize
from tests.hub import Hub, Repo, serve
from tests.shapes import bert_tokenizer, bos_tokenizer
from tests.tiny import texts, tokenizer


@pytest.fixture(scope="module")
def bpe() -> PreTrainedTokenizerFast:
    return tokenizer()


@pytest.fixture(scope="module")
def gemma_like() -> PreTrainedTokenizerFast:
    return bos_tokenizer()


def _corpus(*documents: str) -> Corpus:
    return Corpus("some", documents, "", "")


def _refused(name: str, *parts: str) -> None:
    with pytest.raises(InputError) as refusal:
        load(name, 10, 0)
    assert "\n" not in str(refusal.value)
    for part in parts:
        assert part in str(refusal.value)


# Samples


def test_python_docs_are_passages_of_one_topic_each() -> None:
    found = load("python-docs", 10_000, 0)
    assert 250 <= len(found.texts) <= 300
    assert min(map(len, found.texts)) >= sources.PASSAGE
    homes = [set(topic.split("\n\n")) for topic in topics.values()]
    passages = [text.split("\n\n") for text in found.texts]
    assert all(any(home.issuperset(passage) for home in homes) for passage in passages)
    paragraphs = [" ".join(paragraph.split()) for passage in passages for paragraph in passage]
    assert len(set(paragraphs)) == len(paragraphs)


def test_the_default_text_is_whole_verses_of_one_book_each() -> None:
    every = load(sources.DEFAULT, 10_000, 0)
    assert (len(every.texts), sum(map(len, every.texts))) == (641, 1_031_467)
    assert min(map(len, every.texts)) >= sources.MODERN_SPEECH
    assert len(set(every.texts)) == len(every.texts)
    assert len(set(every.sources)) == 27
    sample = load(EstimateSpec(model="m").corpus, EstimateSpec(model="m").documents, 0)
    assert sample.digest == load(sources.DEFAULT, 256, 0).digest
    assert (
        sample.digest == "5e462448db91cf45d0a6638b1c6e46353df7bda3c2ed643a2e8b9d43ee8be725"
    )  # what every stored estimate on it says


def test_a_default_text_of_other_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = sources.modern_speech()
    monkeypatch.setattr(sources, "modern_speech", lambda: [(real[0][0] + ".", real[0][1]), *real[1:]])
    _refused(sources.DEFAULT, "another text", "pip install pythonbible-wmth==0.0.2")


def test_a_default_text_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise sources.metadata.PackageNotFoundError

    monkeypatch.setattr(sources.metadata, "files", absent)
    _refused(sources.DEFAULT, "not installed", "pip install pythonbible-wmth==0.0.2", "python-docs")


def test_the_seed_fixes_sample_and_order() -> None:
    first = load("python-docs", 20, 7)
    assert load("python-docs", 20, 7) == first
    assert load("python-docs", 5, 7).texts == first.texts[:5]
    other = load("python-docs", 20, 8)
    assert other.texts != first.texts
    assert other.digest != first.digest


def test_the_digest_depends_on_the_texts_and_their_order_alone(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for place in (path, copy):
        place.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("ab", "c")))
    both = load(f"file:{path}", 10, 0)
    assert load(f"file:{copy}", 10, 0).digest == both.digest
    copy.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "bc")))
    assert load(f"file:{copy}", 10, 0).digest != both.digest
    plain = sha256(b"".join(len(t).to_bytes(8, "little") + t.encode() for t in both.texts)).hexdigest()
    assert both.digest == plain


def _write(folder: Path, name: str, documents: list[str]) -> Path:
    path = folder / name
    rows = "".join(json.dumps({"text": text, "source": "x"}) + "\n" for text in documents).encode()
    plain = "\n\n".join(documents).encode()
    if name.endswith(".parquet"):
        pl.DataFrame({"text": documents, "n": range(len(documents))}).write_parquet(path)
    else:
        content = plain if ".txt" in name else rows
        pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
        path.write_bytes(pack(content))
    return path


FORMATS = ["c.jsonl", "c.jsonl.xz", "c.jsonl.gz", "c.txt", "c.txt.xz", "c.txt.gz", "c.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_documents(tmp_path: Path, name: str) -> None:
    documents = [" ".join(text.split()) for text in texts(12)] + ["naïve ☃ 😀\nsecond line"]
    found = load(f"file:{_write(tmp_path, name, documents)}", 100, 3)
    assert sorted(found.texts) == sorted(documents)
    assert found.name == "c"
    assert found.texts == load(f"file:{_write(tmp_path, 'c.parquet', documents)}", 100, 3).texts
    assert "13 of 13 documents" in found.note


def test_dots_spaces_and_brackets_belong_to_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "my [own] *texts*"
    folder.mkdir()
    found = load(f"file:{_write(folder, 'v1.2 a?b.jsonl.xz', ['one', 'two'])}", 100, 0)
    assert (found.name, sorted(found.texts)) == ("v1.2 a?b", ["one", "two"])


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"text": "T", "content": "C"}, "text"),
        ({"content": "T", "id": "C"}, "content"),
        ({"body": "T", "n": 1}, "body"),
    ],
)
def test_the_text_column_is_found(tmp_path: Path, row: dict[str, object], column: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    found = load(f"file:{path}", 1, 0)
    assert found.texts == ("T",)
    assert f"column {column}" in found.note


@pytest.mark.parametrize("row", [{"a": "x", "b": "y"}, {"n": 1}, {"text": ["x"]}, {"text": {"a": "x"}}])
def test_a_file_without_a_text_column_names_those_it_has(tmp_path: Path, row: dict[str, object]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    _refused(f"file:{path}", "a.jsonl has columns", ", ".join(row), "called text")


def test_empty_documents_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": ""}\n{"text": null}\n{"text": " \\n"}\n')
    assert load(f"file:{path}", 10, 0).texts == ("one",)
    path.write_text('{"text": ""}\n')
    _refused(f"file:{path}", "no document with text")


@pytest.mark.parametrize("name", ["python_docs", "", "wikitext", "books.jsonl"])
def test_an_unknown_corpus_is_refused(name: str) -> None:
    _refused(name, repr(name), "weymouth-nt, python-docs, c4 or file:PATH")


def test_files_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    _refused(f"file:{tmp_path / 'none.jsonl'}", "no file is there", "check the path")
    _refused(f"file:{tmp_path}.jsonl", "no file is there")
    _refused("file:a.docx", "a.docx", "convert it")
    for name in FORMATS:
        whole = _write(tmp_path, name, texts(200))
        for content in (b"", whole.read_bytes()[: whole.stat().st_size // 2], b"\xff\xfe{" * 50):
            if content and name == "c.txt":
                continue  # any half of a plain text is a plain text
            broken = tmp_path / f"broken-{name}"
            broken.write_bytes(content)
            _refused(f"file:{broken}", "broken-c")


def test_reading_a_file_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    load(f"file:{_write(tmp_path, 'a.jsonl', ['one'])}", 1, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


# C4, from a hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve() as server:
        for name, value in (
            ("ENDPOINT", server.url),
            ("HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"),
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
        ):
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.url)
        monkeypatch.setattr(
            datasets.config, "HUB_DATASETS_URL", server.url + "/datasets/{repo_id}/resolve/{revision}/{path}"
        )
        yield server


C4_CARD = """---
configs:
- config_name: en
  data_files:
  - split: train
    path: en/c4-train.*.json.gz
  - split: validation
    path: en/c4-validation.*.json.gz
---
"""


def test_c4_is_streamed_from_its_validation_split(hub: Hub) -> None:
    def shard(kind: str, number: int) -> bytes:
        rows = [{"text": f"{kind} {number} {row}", "timestamp": "", "url": ""} for row in range(20)]
        return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())

    files = {
        f"en/c4-{kind}.{n:05}-of-00002.json.gz": shard(kind, n) for kind in ("train", "validation") for n in (0, 1)
    }
    hub.repos["datasets/allenai/c4"] = Repo({"main": {"README.md": C4_CARD.encode(), **files}})
    found = load("c4", 5, 0)
    assert found.name == "c4"
    assert "ODC-BY" in found.note
    assert len(found.texts) == 5
    assert all(text.startswith("validation") for text in found.texts)
    assert load("c4", 5, 0) == found
    assert load("c4", 5, 1).texts != found.texts
    assert not any("train" in name for name in hub.downloads())


def test_c4_without_a_network_is_a_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    _refused("c4", "hub could not be reached", "choose python-docs")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    _refused("c4", "hub could not be reached", "choose python-docs")


# TokenizedCorpus


def test_windows_hold_the_first_tokens_of_the_text(bpe: PreTrainedTokenizerFast) -> None:
    documents = texts(6)
    found = tokenize(_corpus(*documents), bpe, 32, 4)
    assert (found.prefix, found.suffix, found.skipped) == ((), (), 0)
    for text, ids, covered in zip(documents, found.ids, found.predicted_bytes, strict=True):
        assert ids.dtype == np.int64
        assert ids.tolist() == bpe(text)["input_ids"][:32]
        assert covered == len(bpe.decode(ids[1:].tolist()).encode())


def test_special_tokens_are_fed_and_never_counted(gemma_like: PreTrainedTokenizerFast) -> None:
    text = texts(1)[0]
    found = tokenize(_corpus(text), gemma_like, 32, 4)
    assert found.prefix == (gemma_like.bos_token_id,)
    assert found.ids[0].tolist() == gemma_like(text)["input_ids"][1:32]
    assert found.predicted_bytes[0] == len(gemma_like.decode(found.ids[0].tolist()).encode())
    pair = bert_tokenizer()
    found = tokenize(_corpus(text), pair, 32, 4)
    assert (found.prefix, found.suffix) == ((pair.cls_token_id,), (pair.sep_token_id,))
    assert len(found.ids[0]) == 30
    assert not {pair.cls_token_id, pair.sep_token_id} & set(found.ids[0].tolist())


def test_special_tokens_spelled_out_in_a_text_are_text(gemma_like: PreTrainedTokenizerFast) -> None:
    found = tokenize(_corpus("What <bos> means, and what it does not."), gemma_like, 64, 1)
    assert gemma_like.bos_token_id not in found.ids[0].tolist()
    assert gemma_like.decode(found.ids[0].tolist()).startswith("What <bos> means")


@settings(max_examples=150, deadline=None)
@given(text=st.text(min_size=1, max_size=60), context=st.integers(6, 20))
def test_a_window_ends_between_characters_and_its_bytes_are_counted(text: str, context: int) -> None:
    bpe = _shared_bpe()
    encodable = text.encode(errors="replace").decode()
    try:
        found = tokenize(_corpus(encodable), bpe, context, 1)
    except InputError:
        assert len(bpe(encodable)["input_ids"]) < 2
        return
    ids = found.ids[0].tolist()
    decoded = bpe.decode(ids)
    assert encodable.startswith(decoded)
    first = bpe(encodable, return_offsets_mapping=True)["offset_mapping"][0][1]
    assert found.predicted_bytes[0] == len(decoded[first:].encode())


def _shared_bpe(made: list[PreTrainedTokenizerFast] = []) -> PreTrainedTokenizerFast:  # noqa: B006  (made once)
    if not made:
        made.append(tokenizer())
    return made[0]


def test_a_book_gives_the_window_of_its_whole_text(bpe: PreTrainedTokenizerFast) -> None:
    book = " ".join(topics[name] for name in sorted(topics))
    spaces = " " * 3000 + book  # few tokens in many characters
    for text in (book, spaces):
        assert tokenize(_corpus(text), bpe, 64, 1).ids[0].tolist() == bpe(text)["input_ids"][:64]


def test_documents_too_short_are_counted_and_left_out(bpe: PreTrainedTokenizerFast) -> None:
    found = tokenize(_corpus("a", texts(1)[0], "b"), bpe, 32, 4)
    assert (len(found.ids), len(found.predicted_bytes), found.skipped) == (1, 1, 2)
    with pytest.raises(InputError, match="All 2 documents of some have fewer than 8 tokens"):
        tokenize(_corpus("a", "b"), bpe, 32, 4)


def test_a_context_without_room_for_the_orders_is_refused(gemma_like: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"context was 8 tokens.*1 special"):
        tokenize(_corpus(texts(1)[0]), gemma_like, 8, 4)
    assert len(tokenize(_corpus(texts(1)[0]), gemma_like, 9, 4).ids[0]) == 8


def test_windows_differ_when_what_is_fed_differs(
    bpe: PreTrainedTokenizerFast, gemma_like: PreTrainedTokenizerFast
) -> None:
    text = _corpus(*texts(3))
    one = tokenize(text, bpe, 32, 4)
    assert tokenize(text, bpe, 32, 2).digest == one.digest
    assert tokenize(text, bpe, 31, 4).digest != one.digest
    assert tokenize(text, gemma_like, 33, 4).digest != one.digest
    assert tokenize(_corpus(*text.texts[:2]), bpe, 32, 4).digest != one.digest

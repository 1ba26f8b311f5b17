"""A frozen sample: written once, the same positions for estimates, callbacks and foreign loops."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM

import softh
from softh import Accumulator, FrozenSample, InputError
from softh.callback import InformationPlane
from softh.cli.main import main
from softh.text import corpus
from tests.tiny import llama, save_model, save_text, texts, tokenizer

TEXT = corpus.sample("some", [*texts(14), "a"], 15, 0, "English of Python's help.")


@pytest.fixture
def sample(tmp_path: Path) -> FrozenSample:
    return FrozenSample.write(tmp_path / "sample", tokenizer(), TEXT, context=32, orders=(1, 2))


def estimated(model: Path, sample: FrozenSample, **changes: Any) -> softh.Estimate:
    settings = {"documents": 64, "context": 32, "orders": (1, 2), "draws": 3, "bins": 20} | changes
    return softh.estimate(str(model), corpus=f"file:{sample.folder}", data=sample.folder.parent / "data", **settings)


def informations(estimate: softh.Estimate) -> dict[tuple[int, str], float]:
    return {
        (row.layer, f"{row.variable} {row.ngram}"): row.value
        for row in estimate.measures
        if row.quantity == "information" and row.correction == "raw" and row.layer is not None
    }


@pytest.mark.parametrize("labels", ["tokens", "words", "bytes"])
def test_an_estimate_and_a_foreign_loop_measure_the_same_positions(tmp_path: Path, labels: Any) -> None:
    sample = FrozenSample.write(tmp_path / "sample", tokenizer(), TEXT, context=32, orders=(1, 2), labels=labels)
    folder = save_model(tmp_path / "model")
    found = estimated(folder, sample, labels=labels)
    assert (found.positions, found.documents, found.corpus.name) == (sample.about["positions"], len(sample), "some")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    accumulator = Accumulator(
        [str(layer) for layer in range(3)], sample.label_sets, positions=10_000, draws=3, bins=20, sample=sample.digest
    )
    for batch in sample.batches(5):
        ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask)
        with torch.no_grad():
            states = model.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        hidden = {str(layer): each.flatten(0, 1)[batch.rows] for layer, each in enumerate(states)}
        accumulator.update(hidden, batch.labels, document=batch.document, position=batch.position)
    raw = {(int(key[0]), key[1]): each.raw.value for key, each in accumulator.results().items()}
    expected = informations(found)
    assert raw.keys() == expected.keys()
    assert [raw[key] for key in raw] == pytest.approx([expected[key] for key in raw], abs=1e-4)


def test_a_callback_measures_on_it(sample: FrozenSample) -> None:
    records: list[dict[str, Any]] = []
    torch.manual_seed(0)
    plane = InformationPlane(
        "mine-1m", tokenizer(), 4, corpora=[f"file:{sample.folder}"], documents=64, context=32, draws=2, orders=(1, 2),
        save=records.append,
    )  # fmt: skip
    plane.at(AutoModelForCausalLM.from_config(llama()), 0)
    assert plane.failures == []
    assert records[0]["estimate"]["positions"] == sample.about["positions"]
    assert records[0]["estimate"]["corpus"] == "some"


def test_fewer_documents_are_its_first(sample: FrozenSample) -> None:
    some = corpus.load(f"file:{sample.folder}", 5, seed=3)
    assert some.texts == sample.corpus.texts[:5]
    assert len(sample) == 14  # the short document has no position


def test_another_tokenizer_context_or_kind_of_label_is_a_sentence(tmp_path: Path, sample: FrozenSample) -> None:
    model = save_model(tmp_path / "model")
    with pytest.raises(InputError, match="made with --context 32, and 24 was asked for"):
        estimated(model, sample, context=24)
    with pytest.raises(InputError, match="made for --labels tokens"):
        estimated(model, sample, labels="words")
    tokenizer(280).save_pretrained(model)
    with pytest.raises(InputError, match=r"made with the tokenizer .* gives other token ids"):
        estimated(model, sample)


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"could not be written in .*: free some space"):
        FrozenSample.write(tmp_path / "file" / "sample", tokenizer(), TEXT, context=32, orders=(1, 2))

    def full(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("softh.estimator.frozen_sample.save_file", full)
    with pytest.raises(InputError, match=r"could not be written in .*No space left.*: free some space"):
        FrozenSample.write(tmp_path / "sample", tokenizer(), TEXT, context=32, orders=(1, 2))
    assert list((tmp_path / "sample").iterdir()) == []


def test_damage_is_a_sentence(sample: FrozenSample) -> None:
    documents, state = sample.folder / "documents.jsonl", sample.folder / "sample.json"
    documents.write_text(documents.read_text().replace("the", "The", 1))
    for read in (FrozenSample, lambda folder: corpus.load(f"file:{folder}", 5, 0)):
        with pytest.raises(InputError, match=r"documents\.jsonl has changed"):
            read(sample.folder)
    about = json.loads(state.read_text())
    lacking = {name: value for name, value in about.items() if name != "context"}
    for changed in (
        json.dumps(lacking),
        json.dumps(about | {"orders": 1}),
        "[" * 100_000,
        '{"format": 1' + "0" * 5_000 + "}",
    ):
        state.write_text(changed)
        with pytest.raises(InputError, match="is damaged"):
            FrozenSample(sample.folder)
    for changed, sentence in (("{", "is damaged"), (json.dumps(about | {"format": 2}), "written in format 2")):
        state.write_text(changed)
        with pytest.raises(InputError, match=sentence):
            FrozenSample(sample.folder)
    with pytest.raises(InputError, match=r"holds no sample\.json"):
        FrozenSample(sample.folder.parent)


def test_the_command_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, text = save_model(tmp_path / "model"), save_text(tmp_path / "text.jsonl")

    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["softh", "sample", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0

    options = ("--tokenizer", model, "--corpus", f"file:{text}", "--context", 32, "--orders", "1", "--documents", 8)
    assert run(*options, "-o", tmp_path / "made", "--json") == 0
    about = json.loads(capsys.readouterr().out)
    made = FrozenSample(tmp_path / "made")
    assert made.about == about
    assert made.label_sets == ("input 1", "output 1")
    assert (about["documents"], about["corpus"], about["tokenizer"]) == (8, "text", str(model))
    batches = list(made.batches(3))
    assert sum(len(batch.rows) for batch in batches) == about["positions"]
    assert np.array_equal(np.concatenate([batch.document for batch in batches]), np.sort(np.repeat(range(8), 31)))
    assert run(*options, "-o", tmp_path / "made") == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert run("--tokenizer", tmp_path, "-o", tmp_path / "none") == 2
    assert "holds no tokenizer" in capsys.readouterr().err

"""Planes by source: those of one pass are those of each source alone, and together they are the whole."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import softh
from dashboard.data import queries
from dashboard.views import registry
from softh import InputError
from softh.analysis.by_source import split
from softh.cli.main import app
from softh.estimator.conditional import Assignments, conditional_entropy, group, single_group
from softh.estimator.entropies import MOST_SOURCES
from softh.estimator.labels import LabelSet
from softh.store import read
from tests.tiny import llama, save_model, texts


def save_sources(path: Path, sources: list[str]) -> Path:
    rows = [{"text": text, "source": sources[at % len(sources)]} for at, text in enumerate(texts(48))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_entropy_and_information_are_sums_of_what_lies_within_and_between_sources() -> None:
    rng = np.random.default_rng(0)
    source, label = rng.integers(0, 3, 900), rng.integers(0, 12, 900)
    p = rng.dirichlet(np.ones(20), (900, 2)) + (np.arange(20) % 12 == label[:, None])[:, None]
    p = torch.from_numpy(p / p.sum(-1, keepdims=True)).double()
    entropy = -torch.special.xlogy(p, p).sum(-1)

    def h(rows: np.ndarray, labels: np.ndarray | None = None) -> float:
        fold = torch.zeros(len(rows), dtype=torch.int64)
        grouping = single_group(fold, 1)
        if labels is not None:
            distinct, dense = np.unique(labels, return_inverse=True)
            grouping = group(LabelSet("input", 1, torch.from_numpy(dense.reshape(-1)), len(distinct)), fold, 1)
        return float(conditional_entropy(Assignments(p[rows], entropy[rows]), grouping, "positions")[0].mean())

    every = np.arange(900)
    of_sources = [np.flatnonzero(source == each) for each in range(3)]
    whole = {"positions": 900, "entropy": h(every), "input": h(every) - h(every, label)}
    parts = [
        {"positions": len(rows), "entropy": h(rows), "input": h(rows) - h(rows, label[rows])} for rows in of_sources
    ]
    between = h(every) - h(every, source)  # I(S;Z)
    given_labels = h(every, label) - h(every, label * 3 + source)  # I(S;Z | X)
    assert split(whole, parts, "entropy").between == pytest.approx(between, abs=1e-9)
    found = split(whole, parts, "input")
    assert found.between == pytest.approx(between - given_labels, abs=1e-9)
    assert found.within + found.between == pytest.approx(whole["input"], abs=1e-12)


def test_one_pass_gives_the_estimates_of_every_source_alone(tmp_path: Path) -> None:
    corpus = f"file:{save_sources(tmp_path / 'some.jsonl', ['a', 'b', 'a', 'c'])}"
    model = str(save_model(tmp_path / "model"))
    options = {"corpus": corpus, "context": 32, "orders": (1, 2), "draws": 3, "save": False}
    found = softh.estimate_by_source(model, **options)
    assert list(found) == [None, "a", "b", "c"]
    whole = softh.estimate(model, **options)
    assert [row.value for row in whole.measures] == [row.value for row in found[None].measures]
    for source in ("a", "c"):
        alone = softh.estimate(model, source=source, **options)
        assert alone.id == found[source].id != whole.id
        theirs = {key(row): row for row in alone.measures}
        compared = 0
        for row in found[source].measures:
            other = theirs[key(row)]
            compared += row.value is not None
            assert row.value == pytest.approx(other.value, abs=1e-6)
            assert row.se_documents == pytest.approx(other.se_documents, abs=1e-5)
        assert compared > 100
    labelled = softh.estimate(model, labels="sources", **options)
    shares = {name: each.positions / whole.positions for name, each in found.items()}
    assert sum(shares.values()) == 2
    raw = {name: value(each, "entropy") for name, each in found.items()}
    between = raw[None] - math.fsum(shares[name] * raw[name] for name in ("a", "b", "c"))
    assert between == pytest.approx(value(labelled, "information", "input", 1), abs=1e-6)  # I(S;Z)


@pytest.mark.gpu
def test_planes_by_source_on_a_gpu_are_those_of_a_cpu(tmp_path: Path) -> None:
    corpus = f"file:{save_sources(tmp_path / 'some.jsonl', ['a', 'b', 'a', 'c'])}"
    model = str(save_model(tmp_path / "model", llama(hidden_size=64, num_attention_heads=4)))
    options = {"corpus": corpus, "context": 32, "orders": (1, 2), "draws": 3, "dtype": "float32", "save": False}
    found, expected = (softh.estimate_by_source(model, device=device, **options) for device in ("cuda", "cpu"))
    for source, estimate in expected.items():
        theirs = {key(row): row.value for row in found[source].measures}
        for row in estimate.measures:
            if row.quantity in ("entropy", "information"):
                assert theirs[key(row)] == pytest.approx(row.value, abs=5e-6)


def key(row: softh.estimator.measures.Measure) -> tuple[object, ...]:
    return row.layer, row.quantity, row.variable, row.ngram, row.correction


def value(estimate: softh.Estimate, *wanted: object) -> float:
    """Mean over layers, raw."""
    rows = [row for row in estimate.measures if key(row)[:4] == (None, *wanted, *(None,) * (3 - len(wanted)))]
    return next(row.value for row in rows if row.correction == "raw" and row.value is not None)


def test_the_command_shows_every_source_and_stores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = save_sources(tmp_path / "some.jsonl", ["prose", "verse"])
    model, data = save_model(tmp_path / "model"), tmp_path / "data"
    command = ["estimate", str(model), "--corpus", f"file:{corpus}", "--context", "32", "--orders", "1", "--draws", "2"]
    done = CliRunner().invoke(app, [*command, "--by-source", "--data", str(data)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for words in ("prose", "verse", "within sources", "between sources"):
        assert words in done.stdout
    stored = read.estimates(data)
    assert sorted(json.loads(spec).get("source") or "" for spec in stored["spec"]) == ["", "prose", "verse"]
    assert stored["settings"].n_unique() == 3
    assert not read.warnings(data)
    monkeypatch.setenv("SOFTH_DATA", str(data))
    view, _ = registry.build("layers", {}, dark=False)
    figure = view.figures["sources"]
    assert sorted(name for trace in figure.data for name in trace.text) == ["all", "prose", "verse"]
    assert all(len(trace.error_x.array) == len(trace.x) for trace in figure.data)
    [note] = view.notes
    whole, within, between = (float(number) for number in re.findall(r"-?\d\.\d{4}", note)[3:6])  # I(X;Z)
    assert whole == pytest.approx(within + between, abs=2e-4)
    alone, _ = registry.build("layers", {"settings": [next(s.label for s in queries.setups() if "verse" in s.label)]})
    assert "sources" not in alone.figures


def test_texts_of_one_source_and_unknown_sources_are_told(tmp_path: Path) -> None:
    model = str(save_model(tmp_path / "model"))
    options = {"context": 32, "orders": (1,), "draws": 2, "save": False}
    one = f"file:{save_sources(tmp_path / 'one.jsonl', ['a'])}"
    with pytest.raises(InputError, match="The text has 1 sources; expected documents of several"):
        softh.estimate_by_source(model, corpus=one, **options)
    with pytest.raises(InputError, match="No document of one is of source 'b'; it has a: choose one"):
        softh.estimate(model, corpus=one, source="b", **options)


def test_many_small_sources_are_one_part(tmp_path: Path) -> None:
    corpus = f"file:{save_sources(tmp_path / 'many.jsonl', [f'book {at:02}' for at in range(40)])}"
    found = softh.estimate_by_source(
        str(save_model(tmp_path / "model")), corpus=corpus, context=32, orders=(1,), draws=2, save=False
    )
    assert len(found) == 1 + MOST_SOURCES
    assert list(found)[-1] == "other sources"
    whole, *parts = found.values()
    assert sum(part.positions for part in parts) == whole.positions

"""Preference pairs of every form become the same pairs, and whatever is no pair is counted or said in one sentence."""

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import huggingface_hub.constants
import numpy as np
import polars as pl
import pytest

from softh import jobs
from softh.cli.main import main
from softh.errors import InputError
from softh.jobs import tasks
from softh.preference import pairs, sources
from softh.preference.pairs import Pair, load
from softh.store import read
from tests.hub import Hub, Repo, serve
from tests.tiny import save_model

ROWS = [
    {
        "prompt": f"Name ship {n}.",
        "chosen": f"Ship {n} is the Argo.",
        "rejected": f"No ship {n}, go away.",
        "source": "a",
    }
    for n in range(24)
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refused(name: object, *parts: str) -> None:
    with pytest.raises(InputError) as refusal:
        load(str(name), 100, 0)
    assert "\n" not in str(refusal.value)
    for part in parts:
        assert part in str(refusal.value)


def messages(row: dict[str, Any], side: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[side]}]


def test_every_form_and_format_gives_the_same_pairs(tmp_path: Path) -> None:
    plain = load(str(write(tmp_path / "a.jsonl", ROWS)), 100, 0)
    assert plain.pairs[3] == Pair((("user", "Name ship 3."),), "Ship 3 is the Argo.", "No ship 3, go away.", "a", 3)
    listed = [{**row, **{side: messages(row, side) for side in ("chosen", "rejected")}} for row in ROWS]
    talked = [
        {side: f"\n\nHuman: {row['prompt']}\n\nAssistant: {row[side]}" for side in ("chosen", "rejected")}
        | {"source": "a"}
        for row in ROWS
    ]
    prompted = [{**row, "prompt": f"Human: {row['prompt']}\n\nAssistant:"} for row in ROWS]
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "c.parquet")
    pl.DataFrame(listed).write_parquet(tmp_path / "d.parquet")
    others = [
        *(write(tmp_path / f"{n}.jsonl", rows) for n, rows in enumerate([listed, talked, prompted])),
        *(tmp_path / name for name in ("a.json", "b.jsonl.gz", "c.parquet", "d.parquet")),
    ]
    for path in others:
        found = load(f"file:{path}", 100, 0)
        assert found.pairs == plain.pairs, path
        assert found.digest == plain.digest


def test_what_is_no_pair_is_counted_and_set_aside(tmp_path: Path) -> None:
    odd = [
        {**ROWS[0], "rejected": ROWS[0]["chosen"] + " "},
        {**ROWS[1], "chosen": " \n"},
        {**ROWS[2], "rejected": None},
        ROWS[5],
        {"chosen": messages(ROWS[3], "chosen"), "rejected": messages(ROWS[4], "rejected")},
    ]
    found = load(str(write(tmp_path / "a.jsonl", [*ROWS, *odd])), 100, 0)
    assert len(found.pairs) == 24
    assert found.excluded == {
        pairs.IDENTICAL: 1, pairs.EMPTY: 1, pairs.MISSING_ANSWER: 1, pairs.DUPLICATE: 1, pairs.MISMATCHED_PROMPTS: 1,
    }  # fmt: skip


def test_columns_that_lack_are_named_with_those_that_were_found(tmp_path: Path) -> None:
    refused(
        write(tmp_path / "a.jsonl", [{"text": "x", "label": 1}]), "columns text, label", "no chosen and no rejected"
    )
    refused(write(tmp_path / "b.jsonl", [{"prompt": "x", "chosen": "y"}]), "no rejected", "both answers")
    pl.DataFrame({"text": ["x"], "score": [1]}).write_parquet(tmp_path / "c.parquet")
    refused(tmp_path / "c.parquet", "columns text, score")


def test_useless_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    same = [{**row, "rejected": row["chosen"]} for row in ROWS]
    refused(write(tmp_path / "same.jsonl", same), "24 with identical answers")
    one = [{**row, "rejected": None} for row in ROWS]
    refused(write(tmp_path / "one.jsonl", one), "24 with only one answer")
    refused(write(tmp_path / "empty.jsonl", []), "columns none")
    refused(write(tmp_path / "odd.jsonl", [{"chosen": 3, "rejected": "a"}]), "Row 1", "holds a int")
    refused(write(tmp_path / "list.jsonl", [{"chosen": [{"text": "a"}], "rejected": "a"}]), "role and content")
    (tmp_path / "broken.jsonl").write_text('{"chosen": "a", "rejected": "b"}\n{"chosen": ')
    refused(tmp_path / "broken.jsonl", "Line 2 of broken.jsonl is not JSON")
    (tmp_path / "array.json").write_text('[{"chosen": "a"')
    refused(tmp_path / "array.json", "not a complete JSON array")
    (tmp_path / "rows.jsonl").write_text('["a", "b"]\n')
    refused(tmp_path / "rows.jsonl", "named columns")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00{")
    refused(tmp_path / "binary.jsonl", "cannot be read")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode())[:40])
    refused(tmp_path / "cut.jsonl.gz", "cannot be read")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    refused(tmp_path / "cut.parquet", "complete Parquet")
    (tmp_path / "a.csv").write_text("chosen,rejected\n")
    refused(f"file:{tmp_path}/a.csv", "convert it")
    refused(tmp_path / "nowhere.jsonl", "no file is there")
    refused("three words here", "Anthropic/hh-rlhf")


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST", 100)
    (tmp_path / "a.jsonl").write_text("x" * 1000)
    refused(tmp_path / "a.jsonl", "Line 1 of a.jsonl has no end")


def test_a_sample_is_random_fixed_by_its_seed_and_says_so(tmp_path: Path) -> None:
    many = [{"chosen": f"a {n}", "rejected": f"b {n}"} for n in range(3_000)]
    for path in (write(tmp_path / "a.jsonl", many), tmp_path / "a.parquet"):
        if path.suffix == ".parquet":
            pl.DataFrame(many).write_parquet(path)
        first, again, other = (load(str(path), 300, seed) for seed in (0, 0, 1))
        assert first == again
        assert first.digest != other.digest
        assert "300 of 3,000 rows, a random sample" in first.note
        rows = np.array([pair.row for pair in first.pairs])
        assert len(set(rows)) == 300
        assert (np.diff(rows) > 0).all()
        assert all(pair.chosen == f"a {pair.row}" for pair in first.pairs)
        assert abs(rows.mean() - 1_500) < 200


def test_words_of_any_language_are_words() -> None:
    from softh.preference import baselines  # beside what it is about

    assert baselines.WORD.findall("Ship, 船が来た! Корабль") == ["Ship", ",", "船", "が", "来", "た", "!", "Корабль"]


# From the hub


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


def test_a_data_set_of_the_hub_is_streamed(hub: Hub) -> None:
    listed = [
        {"prompt": row["prompt"], **{side: messages(row, side) for side in ("chosen", "rejected")}} for row in ROWS
    ]
    content = "".join(json.dumps(row) + "\n" for row in listed).encode()
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n"
    card += b"  - split: train_prefs\n    path: data/prefs.jsonl\n---\n"
    name = "HuggingFaceH4/ultrafeedback_binarized"
    hub.repos[f"datasets/{name}"] = Repo({"main": {"README.md": card, "data/prefs.jsonl": content}})
    found = load(name, 10, 0)
    assert len(found.pairs) == 10
    assert {pair[:3] for pair in found.pairs} <= {
        ((("user", row["prompt"]),), row["chosen"], row["rejected"]) for row in ROWS
    }
    assert load(f"{name}@train_prefs", 10, 0).digest == found.digest
    refused(f"{name}@nothing", "the hub does not give")
    refused("nobody/nothing", "check the name and the network")


# The command line and the queue


class Answer(NamedTuple):
    """What a person sees."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs the command line on folders of its own."""
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["softh", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Answer(end.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Arguments of a probe that takes a second."""
    folder = tmp_path_factory.mktemp("probe")
    model, file = save_model(folder / "tiny"), write(folder / "pairs.jsonl", ROWS)
    return [model, "--pairs", file, "--context", 96, "--draws", 3, "--bins", 20, "--swaps", 20]


def test_the_command_prints_what_it_stored(
    command: Callable[..., Answer],
    probe: list[object],
    tmp_path: Path,
) -> None:
    answer = command("preference", *probe)
    assert answer.code == 0, answer.err
    [row] = read.probes(tmp_path / "data").to_dicts()
    assert read.estimates(tmp_path / "data").is_empty()
    assert f"probe {row['estimate_id']}" in answer.out
    assert "24 measured, in plain form" in answer.out
    rows = read.preferences(tmp_path / "data").filter(what="preference", subset="all", quantity="information")
    for value in rows.filter(correction="corrected")["value"]:
        assert f"{1000 * value:.3f} ±" in answer.out
    assert command("show", row["estimate_id"][:6]).out == answer.out
    assert row["estimate_id"][:8] in command("list").out
    found = json.loads(command("preference", *probe, "--json").out)
    assert found["estimate"]["spec"]["labels"] == "preference"
    assert command("pack").code == 0
    assert read.probes(tmp_path / "data").height == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pairs", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--context", 4_000], "4000"),
        (["--context", 12], "longer --context than 12"),
        (["--limit", 1], "limit was 1"),
        (["--limit", 3], "expected at least 16"),
        (["--swaps", 1], "swaps was 1"),
        (["--folds", 2], "folds was 2"),
    ],
)
def test_bad_input_is_one_sentence_and_stores_nothing(
    command: Callable[..., Answer],
    probe: list[object],
    tmp_path: Path,
    arguments: list[object],
    words: str,
) -> None:
    answer = command("preference", *probe, *arguments)
    assert (answer.code, answer.out) == (2, "")
    sentence = answer.err.strip().splitlines()[-1]
    assert words in sentence
    assert sentence.endswith(".")
    assert read.probes(tmp_path / "data").is_empty()


def test_a_probe_can_be_queued(
    command: Callable[..., Answer],
    probe: list[object],
    tmp_path: Path,
) -> None:
    assert "Job 1 is queued: tiny: preferences of pairs.jsonl." in command("preference", *probe, "--queue").out
    [job] = jobs.listing(data=tmp_path / "data")
    told: list[str] = []
    stored = tasks.run(job.kind, job.spec, {"data": str(tmp_path / "data")}, lambda phase, *_: told.append(phase))
    assert read.probes(tmp_path / "data")["estimate_id"].to_list() == [stored]
    assert {"pairs", "loading", "forward passes", "statistics"} <= set(told)

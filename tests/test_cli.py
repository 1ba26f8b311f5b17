"""The command line: what it prints where, what it stores, and how it says no."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command

from softh import __version__
from softh.cli.main import app, main
from softh.spec import EstimateSpec, PreferenceSpec, choices_of, types_of
from softh.store import read, write
from tests.store_rows import build_record, record
from tests.tiny import save_model, save_text

ROOT = Path(__file__).parent.parent


class Answer(NamedTuple):
    """What a person sees."""

    code: int
    out: str
    err: str


@pytest.fixture
def softh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
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
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Arguments of an estimate that takes a second."""
    folder = tmp_path_factory.mktemp("tiny")
    model, text = save_model(folder / "tiny"), save_text(folder / "text.jsonl")
    return [model, "--corpus", f"file:{text}", "--documents", 24, "--context", 40, "--draws", 3, "--orders", "1,2"]


def started(arguments: list[object], folder: Path, **options: object) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    folders = {"SOFTH_DATA": str(folder / "data"), "SOFTH_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "-m", "softh", *map(str, arguments)], cwd=ROOT, env=os.environ | folders, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_estimate_prints_what_it_stored(softh: Callable[..., Answer], tiny: list[object], tmp_path: Path) -> None:
    answer = softh("estimate", *tiny, "--layers")
    assert answer.code == 0
    [row] = read.estimates(tmp_path / "data").to_dicts()
    assert f"estimate {row['estimate_id']}" in answer.out
    for which in ("debiased", "lower", "raw"):
        for value in read.layers(tmp_path / "data", row["estimate_id"], correction=which)["input"]:
            assert ("–" if value is None else f"{value:z.4f}") in answer.out
    lines = answer.out.strip().splitlines()
    assert lines[0].startswith("On the plane: complexity ")
    assert lines[-3] == lines[0]
    assert "no other model was measured" in lines[-2]
    assert lines[-1].startswith("See it: ")
    for phase in ("forward passes", "statistics"):
        assert phase in answer.err
        assert phase not in answer.out


def test_json_is_the_whole_estimate_and_nothing_else(
    softh: Callable[..., Answer], tiny: list[object], tmp_path: Path
) -> None:
    found = json.loads(softh("estimate", *tiny, "--json").out)
    assert set(found) == {"model", "checkpoint", "estimate", "measures"}
    assert found["estimate"]["spec"]["orders"] == [1, 2]
    assert found["estimate"]["bins"] == 100
    stored = read.measures(tmp_path / "data", found["estimate"]["estimate_id"])
    assert found["measures"] == stored.drop("estimate_id").to_dicts()
    assert json.loads(softh("show", found["estimate"]["estimate_id"], "--json").out) == found


def test_the_same_estimate_again_takes_the_place_of_the_first(
    softh: Callable[..., Answer], tiny: list[object], tmp_path: Path
) -> None:
    first, second = (json.loads(softh("estimate", *tiny, "--json").out) for _ in range(2))
    assert "stored already" in softh("estimate", *tiny).err
    assert first["measures"] == second["measures"]
    assert read.estimates(tmp_path / "data").height == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bins", 1], "bins was 1"),
        (["--draws", 0], "draws was 0"),
        (["--orders", "1,5"], "orders was 1,5"),
        (["--orders", "two"], "orders was 'two'"),
        (["--directions", "square"], "directions was 'square'"),
        (["--frame", "square"], "directions was 'square'"),
        (["--temperature-rule", "guess"], "temperature_rule was 'guess'"),
        (["--label-weighting", "none"], "label_weighting was 'none'"),
        (["--directions", "orthonormal", "--frame", "iid"], "--frame is the former name of --directions"),
        (["--dtype", "int8"], "dtype was 'int8'"),
        (["--folds", 1], "folds was 1"),
        (["--corpus", "file:nowhere.txt"], "nowhere.txt"),
        (["--context", 4_000], "4000"),
        (["--device", "tpu"], "device was 'tpu'"),
    ],
)
def test_bad_input_is_one_sentence_and_stores_nothing(
    softh: Callable[..., Answer], tiny: list[object], tmp_path: Path, arguments: list[object], words: str
) -> None:
    answer = softh("estimate", *tiny, *arguments)
    assert answer.code == 2
    assert answer.out == ""
    sentence = answer.err.strip().splitlines()[-1]
    assert words in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in answer.err
    assert read.estimates(tmp_path / "data").is_empty()


def test_debiased_comes_first_between_its_bounds_and_what_has_none_says_so(
    softh: Callable[..., Answer], tmp_path: Path
) -> None:
    for name, kept in (("New", True), ("Old", False)):
        write.save(build_record(name, debiased=kept), tmp_path / "data")
    new, old = (row["estimate_id"] for row in read.estimates(tmp_path / "data").sort("model").to_dicts())
    shown = softh("show", new, "--layers").out
    row = read.trajectory(tmp_path / "data", estimates=[new], order=1).rows_by_key(
        "correction", named=True, unique=True
    )
    assert "labels (order 1), by layer" not in softh("show", new).out
    assert f"{row['lower']['input']:.4f} to {row['raw']['input']:.4f}" in shown
    assert shown.index("debiased") < shown.index("raw, as published") < shown.index("permutation null")
    assert "bracket" in shown
    assert "no debiased" not in shown
    before = " ".join(softh("show", old, "--layers").out.split())
    assert "This estimate has no debiased values" in before
    assert "bracket" not in before
    assert " debiased – – –" in before


def test_a_list_shows_debiased_values_and_says_which_rows_have_none(
    softh: Callable[..., Answer], tmp_path: Path
) -> None:
    write.save(build_record("Old", debiased=False), tmp_path / "data")
    assert "null-corrected, since none has debiased values" in " ".join(softh("list").out.split())
    write.save(build_record("New", labels="words"), tmp_path / "data")
    listed = softh("list").out
    values = {row["model"]: row["input"] for row in json.loads(softh("list", "--json").out)}
    rows = read.trajectory(tmp_path / "data", order=1)
    assert values == {
        "New": rows.filter(model="New", correction="debiased")["input"].item(),
        "Old": rows.filter(model="Old", correction="corrected")["input"].item(),
    }
    assert f"{values['Old']:.4f}*" in listed
    assert f"{values['New']:.4f}*" not in listed
    assert "* null-corrected: 1 of 2 have no debiased value." in listed
    assert "64×128" in listed
    assert "words" in listed


def test_a_word_where_a_number_belongs_exits_with_2(softh: Callable[..., Answer], tiny: list[object]) -> None:
    answer = softh("estimate", *tiny, "--bins", "many")
    assert (answer.code, answer.out) == (2, "")
    assert "--bins" in answer.err


def test_data_is_tried_before_the_model_is_looked_for(softh: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = softh("estimate", tmp_path / "no-model", "--data", tmp_path / "file" / "data")
    assert answer.code == 2
    assert "Not a directory" in answer.err
    assert "no-model" not in answer.err


def test_a_full_disk_is_one_sentence(tiny: list[object], tmp_path: Path) -> None:
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000)); "
    code = limit + "sys.argv[0] = 'softh'; runpy.run_module('softh', run_name='__main__')"
    folders = {"SOFTH_DATA": str(tmp_path / "data"), "SOFTH_CACHE": str(tmp_path / "cache")}
    full = subprocess.run(
        [sys.executable, "-c", code, "estimate", *map(str, tiny)],
        cwd=ROOT, env=os.environ | folders, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert full.stderr.splitlines()[-1].startswith("The cache in ")
    assert read.estimates(tmp_path / "data").is_empty()


def test_control_c_ends_with_130_and_a_sentence(tiny: list[object], tmp_path: Path) -> None:
    process = started(["estimate", *tiny, "--draws", 20_000], tmp_path)
    while not list((tmp_path / "cache").glob("*")):  # the model is loaded and its states are being remembered
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1].startswith("Stopped: nothing was stored")
    assert "Traceback" not in errors
    assert read.estimates(tmp_path / "data").is_empty()


def test_former_names_of_options_mean_the_same(softh: Callable[..., Answer]) -> None:
    today = ["--directions", "orthonormal", "--center", "--temperature-rule", "exact", "--label-weighting", "labels"]
    former = ["--frame", "orthonormal", "--centred", "--calibration", "exact", "--weighting", "labels"]
    assert softh("submit", "some/model", *today).out.startswith("Job 1 is queued: some/model")
    assert softh("submit", "some/model", *former).out.startswith("Job 1 is queued, as it was submitted before")
    assert softh("submit", "some/model").out.startswith("Job 2 is queued: ")


def test_every_field_of_a_specification_is_an_option_with_its_default() -> None:
    for name, spec in (("estimate", EstimateSpec), ("submit", EstimateSpec), ("preference", PreferenceSpec)):
        options = {parameter.name: parameter for parameter in get_command(app).commands[name].params}
        for field in dataclasses.fields(spec):
            if len(choices_of(types_of(spec)[field.name])) == 1:  # nothing to choose
                continue
            default = None if field.default is dataclasses.MISSING else field.default
            expected = ",".join(map(str, default)) if isinstance(default, tuple) else default
            assert options[field.name].default == expected
            assert options[field.name].required == (field.default is dataclasses.MISSING)


def test_the_version_is_printed_and_an_unknown_command_lists_those_there_are(softh: Callable[..., Answer]) -> None:
    assert softh("--version") == (0, f"softh {__version__}\n", "")
    answer = softh("estmate")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("estmate is not a command; expected one of ")
    assert " estimate, " in answer.err
    assert softh("scores", "move").err.startswith("move is not a command; expected one of import, export, list: ")


def test_list_shows_one_line_an_estimate(softh: Callable[..., Answer], tmp_path: Path) -> None:
    write.save(record("00aa00aa00aa00aa", revision="step64"), tmp_path / "data")
    write.save(record("00bb00bb00bb00bb", revision="step128", step=128), tmp_path / "data")
    lines = softh("list").out.splitlines()
    [first] = [line for line in lines if "00aa00aa" in line]
    assert first.split() == [
        "00aa00aa", "tiny", "step64", "python-docs", "8×128", "0.9000", "0.3100", "0.1100", "–", "1.250", "2026-11-01",
    ]  # fmt: skip
    assert sum("00bb00bb" in line for line in lines) == 1
    assert [row["estimate_id"][:4] for row in json.loads(softh("list", "--json").out)] == ["00aa", "00bb"]


def test_list_of_nothing_says_what_to_do(softh: Callable[..., Answer]) -> None:
    answer = softh("list")
    assert answer.code == 0
    assert "python -m softh estimate" in answer.out
    assert json.loads(softh("list", "--json").out) == []


def test_a_damaged_run_is_named_and_the_rest_is_listed(softh: Callable[..., Answer], tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path / "data")
    (tmp_path / "data" / "runs" / "00bb.parquet").write_bytes(b"half a run")
    answer = softh("list")
    assert answer.code == 0
    assert "00aa" in answer.out
    assert answer.err.startswith("00bb.parquet is left out")


@pytest.mark.parametrize("columns", ["60", "100", "200"])
def test_show_loses_no_digit_however_narrow_the_terminal(
    softh: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    write.save(record("00aa"), tmp_path / "data")
    out = softh("show", "00a", "--layers").out
    assert "…" not in out
    for number in ("0.9000 ±0.0224", "0.4110", "0.1110", "0.3110 ±0.0224", "1.2500 bits per byte", "50 / 50"):
        assert number in out


def test_show_of_an_unknown_id_is_a_sentence(softh: Callable[..., Answer]) -> None:
    answer = softh("show", "ffff")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "No stored estimate has the id 'ffff': choose one that `python -m softh list` shows.\n"


def test_pack_says_what_it_did_and_list_is_the_same_after(softh: Callable[..., Answer], tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path / "data")
    before = softh("list").out
    assert softh("pack").out.startswith("1 run file folded into ")
    assert softh("pack").out.startswith("0 run files folded into ")
    assert softh("list").out == before
    assert not list((tmp_path / "data" / "runs").iterdir())


def test_everything_but_an_estimate_does_without_torch(tmp_path: Path) -> None:
    write.save(record("00aa"), tmp_path / "data")
    code = (
        "import sys; from softh.cli.main import app\n"
        "for line in ('--help', 'estimate --help', 'list', 'show 00aa', 'pack'):\n"
        "    app(line.split(), standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"SOFTH_DATA": str(tmp_path / "data")},
        text=True, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines()[-1] == "[]"

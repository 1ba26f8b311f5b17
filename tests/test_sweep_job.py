"""A sweep in the queue: its units show while they run, what failed makes it fail, and a retry does what is left."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from softh import jobs
from softh.cli.main import app
from softh.errors import InputError
from softh.jobs import records, tasks
from softh.jobs.format import progress
from softh.store import read
from tests.tiny import save_model, save_text


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOFTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def write_recipe(folder: Path, *models: str) -> Path:
    head = '[estimate]\ncorpus = "file:text.jsonl"\ndocuments = 8\ncontext = 32\norders = [1]\ndraws = 2\n'
    path = folder / "two.toml"
    path.write_text(head + "".join(f"[[model]]\nid = '{model}'\n" for model in models))
    return path


def test_a_queued_sweep_is_open_once_and_keeps_how_it_shall_run(data: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "./a")
    for _ in range(2):
        run = CliRunner().invoke(app, ["sweep", str(recipe), "--queue", "--shards", "4", "--device", "cpu", "--free"])
        assert run.exit_code == 0, run.output
    (job,) = jobs.listing()
    assert (job.kind, job.title) == ("sweep", "sweep of two")
    assert job.settings == {"recipe": str(recipe), "folder": str(tmp_path)}
    options = json.loads(job.options)
    assert (options["shards"], options["device"], options["free"], options["engine"]) == (4, "cpu", True, "local")


@pytest.mark.parametrize(("option", "value"), [("--shards", "0"), ("--gpus", "0"), ("--engine", "magic")])
def test_a_way_that_cannot_be_is_refused_before_anything_is_queued(data: Path, option: str, value: str) -> None:
    run = CliRunner().invoke(app, ["sweep", "any.toml", "--queue", option, value])
    assert isinstance(run.exception, InputError)
    assert f"{option[2:]} was" in str(run.exception)
    assert not jobs.listing()


def run(data: Path, *models: str) -> tuple[str, list[tuple[str, int, int, str]]]:
    """A sweep as its job runs it: what it came to, and all that it told."""
    folder, told = data.parent, []
    asked = json.dumps({"recipe": str(write_recipe(folder, *models)), "folder": str(folder)})
    options = {"data": str(data), "device": "cpu"}
    return tasks.run("sweep", asked, options, lambda *step: told.append(step)), told


def test_a_sweep_as_a_job_shows_its_units_and_leaves_out_what_is_stored(data: Path, tmp_path: Path) -> None:
    save_text(tmp_path / "text.jsonl")
    save_model(tmp_path / "run" / "step1")
    came_to, told = run(data, "./run/step1")
    assert came_to == "1 estimated, 0 stored before, 0 failed."
    assert read.estimates(data)["revision"].to_list() == ["step1"]
    assert {step[0] for step in told} == {"checkpoints"}
    assert [told[0][1], told[-1][1], told[-1][2]] == [0, 1, 1]
    assert any(note.startswith("run/step1") for *_, note in told)
    assert run(data, "./run/step1") == ("0 estimated, 1 stored before, 0 failed.", [])


@pytest.mark.real
def test_a_sweep_as_a_job_fails_for_what_failed_once_the_rest_is_stored(data: Path, tmp_path: Path) -> None:
    save_text(tmp_path / "text.jsonl")
    save_model(tmp_path / "run" / "step1")
    with pytest.raises(InputError, match=r"1 estimated, 0 stored before, 1 failed: ./gone"):
        run(data, "./gone", "./run/step1")
    assert read.estimates(data)["revision"].to_list() == ["step1"]


def test_what_runs_of_a_sweep_is_said_until_it_ends(data: Path) -> None:
    folder = jobs.folder()
    number, _ = records.add(folder, "sweep", "{}", "sweep of two", {})
    assert records.claim_next(folder) == number
    records.advance(folder, number, "checkpoints", 3, 24, "run/step8: statistics, 2 of 5")
    assert progress(jobs.find(number)) == "checkpoints, 3 of 24; now run/step8: counting, 2 of 5"
    records.advance(folder, number, "checkpoints", 4, 24)
    assert "now" not in progress(jobs.find(number))
    records.end(folder, number, "done", result="24 estimated, 0 stored before, 0 failed.")
    assert progress(jobs.find(number)) == "24 estimated, 0 stored before, 0 failed."

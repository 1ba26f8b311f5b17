"""Rows that cannot be read, processes that stay, names that hold anything: the queue and its lists go on."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softh import access, jobs, logs
from softh.errors import InputError
from softh.jobs import processes, records
from softh.jobs.supervisor import Supervisor
from softh.spec import EstimateSpec, PreferenceSpec
from tests.store_rows import HOSTILE


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


def insert(folder: Path, number: int = 1, **values: object) -> None:
    """Store rows as another program might: nothing of them is checked."""
    with records.connect(folder) as connection:
        for place in range(number):
            columns = {"kind": "steps", "spec": json.dumps({"n": place}), "title": "one", "submitted": 0.0, **values}
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({marks})", [*columns.values()])


@pytest.mark.parametrize(
    "wrong",
    [
        {"spec": "{"}, {"spec": "[]"}, {"spec": "null"}, {"options": "{"}, {"options": "3"}, {"spec": "[" * 100_000},
        {"options": b"\xff\xfe"}, {"spec": ""}, {"options": "[1]"},
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_ends_as_failed_and_is_listed(data: Path, wrong: dict[str, object]) -> None:
    insert(jobs.folder(), **wrong)
    assert Supervisor(jobs.folder(), lambda: False).run_next({})
    [job] = jobs.listing()
    assert job.state == "failed"
    assert job.message is not None
    assert "submit the job again" in job.message


def test_text_that_is_no_utf8_hides_no_other_job(data: Path) -> None:
    insert(jobs.folder(), title="sound")
    with records.connect(jobs.folder()) as connection:
        connection.execute(
            "INSERT INTO jobs (kind, spec, title, submitted) VALUES ('steps', '{}', CAST(x'ff41' AS TEXT), 0)"
        )
    assert [job.title for job in jobs.listing()] == ["sound", "\ufffdA"]


def test_every_open_job_is_listed_and_the_ended_that_are_not_are_counted(data: Path) -> None:
    insert(jobs.folder(), 1_000)
    insert(jobs.folder(), 700, state="done")
    listed = jobs.listing()
    assert [sum(job.state == state for job in listed) for state in ("queued", "done")] == [1_000, 500]
    assert jobs.unlisted() == 200


def test_a_process_that_left_its_group_holds_no_slot(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = "import time; time.sleep(300)"
    code = (
        "import subprocess, sys, json\n"
        f"child = subprocess.Popen([sys.executable, '-c', {stray!r}], start_new_session=True)\n"
        "open('stray', 'w').write(str(child.pid))\n"
    )
    real = subprocess.Popen
    monkeypatch.chdir(data)

    def started(folder: Path, number: int, order: object, slot: object, *, secrets: bool) -> subprocess.Popen[bytes]:
        environment = os.environ | {processes.MARK: f"{folder.resolve()}#{number}"}
        return real([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True, env=environment)

    monkeypatch.setattr(processes, "start", started)
    insert(jobs.folder())
    began = time.monotonic()
    assert Supervisor(jobs.folder(), lambda: False).run_next({})
    assert time.monotonic() - began < 60
    assert jobs.listing()[0].state == "failed"
    assert processes.orphans(jobs.folder()) == []


def test_an_audit_line_is_one_line_whatever_a_name_holds(data: Path) -> None:
    names = ["a\nb", "a\u2028b", "a\u0085b", "a\ud800b", "a\r\n{}", "\x00\x1b[31m", HOSTILE]
    for name in names:
        with access.audited("test", data, name=name):
            pass
    lines = (data / access.AUDIT).read_bytes().decode().splitlines()
    assert [json.loads(line)["name"] for line in lines] == names


def test_a_log_line_is_one_line_whatever_a_name_holds() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "Job %s", ("a\nb\u2028c\x1b[31m",), None)
    assert len(logs.LineFormatter(logs.TEXT).format(record).splitlines()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "![x](http:",
        "[a](b)@c",
        "owner/name\n",
        "",
        "a b/c",
        "-x/y",
        "owner/na\u202eme",
        "![x](http://evil.example/b.png)[Session expired, sign in](http://evil.example/login)@x",
        "/nowhere/<b>",
        "~/[a](b)",
    ],
)
def test_a_name_that_no_model_has_is_not_queued(data: Path, name: str) -> None:
    for spec in (EstimateSpec, PreferenceSpec):
        with pytest.raises(InputError):
            jobs.submit_spec(spec(model=name, **({"pairs": "a/b"} if spec is PreferenceSpec else {})))
    assert jobs.listing() == []


def test_a_title_is_one_printable_line_of_bounded_length(data: Path) -> None:
    job, _ = jobs.submit("steps", {}, title=HOSTILE + "\n\u202e" + "x" * 10_000)
    assert job.title.isprintable()
    assert len(job.title) <= 300

"""Who may do what: lists, read-only, quotas, whose uploads, and the audit line of every job and upload."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.decks import store
from dashboard.server import auth
from softh import access, jobs
from softh.access import Person
from softh.errors import InputError
from softh.jobs import launcher, records
from softh.jobs.format import ago
from softh.store import write
from softh.uploads import quota, texts

Be = Callable[[Person], None]
FIRST = Path(__file__).with_name("jobs_version_1.sql")
"""The tables as the first version made them."""
SCORE = {"model": "a", "revision": None, "task": "t", "metric": "m", "score": 1.0, "stderr": None, "source": "s"}
ADA = {"is_logged_in": True, "email": "Ada@Example.org", "sub": "1"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def be(data: Path) -> Iterator[Be]:
    """Has the person at work be another; the page's own answer is back when the test ends."""
    yield lambda person: access.set_identity_provider(lambda: person)
    access.set_identity_provider(lambda: auth.person(auth.claims()))


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_VIEWERS", "@lab.example, eve@example.org")
    monkeypatch.setenv("SOFTH_STARTERS", " ada@example.org ,")


def lines(data: Path) -> list[dict]:
    return [json.loads(line) for line in (data / access.AUDIT).read_text(encoding="utf-8").splitlines()]


def submit(name: str) -> jobs.Job:
    return jobs.submit("steps", {"name": name}, title=f"count {name}")[0]


def signed_in(email: str, **more: object) -> dict[str, object]:
    return {"is_logged_in": True, "email": email, "sub": "7", **more}


def test_without_settings_a_page_may_everything_and_nobody_is_limited(data: Path) -> None:
    assert auth.person({}) == Person(place="page")
    assert auth.may_view({})


@pytest.mark.usefixtures("lists")
@pytest.mark.parametrize(
    ("claims", "sees", "starts"),
    [
        (ADA, True, True),
        (signed_in("eve@example.org"), True, False),
        (signed_in("bob@LAB.example"), True, False),
        (signed_in("bob@notlab.example"), False, False),
        (signed_in("bob@lab.example.evil"), False, False),
        (signed_in("ada@example.org", email_verified=False), False, False),
        (signed_in("", sub="ada@example.org"), False, False),
        ({"email": "ada@example.org"}, False, False),
        ({"is_logged_in": "yes", "email": "ada@example.org"}, False, False),
        ({}, False, False),
    ],
)
def test_lists_say_who_may_look_and_who_may_start(claims: dict, sees: bool, starts: bool) -> None:
    assert auth.may_view(claims) == sees
    assert (auth.person(claims).refusal == "") == starts


def test_without_a_list_of_viewers_everybody_signed_in_may_look_and_nobody_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("this is no TOML")
    monkeypatch.setattr(auth.st, "get_option", lambda name: [str(secrets)])
    assert auth.may_view(ADA)
    assert not auth.may_view({})
    assert "SOFTH_STARTERS" in auth.person(ADA).refusal


def test_the_wrong_number_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTH_STARTERS", "ada@example.org")
    monkeypatch.setenv("SOFTH_USER_JOBS", "many")
    with pytest.raises(InputError, match="SOFTH_USER_JOBS was 'many'; expected a number"):
        auth.person(ADA)


def test_read_only_refuses_every_change_and_writes_nothing(
    data: Path, be: Be, monkeypatch: pytest.MonkeyPatch, record: Callable[..., dict]
) -> None:
    submit("a")
    write.save(record(), data)
    [run] = (data / "runs").glob("*.parquet")
    deck = store.save("talk", [])
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and "jobs.sqlite-" not in path.name}
    monkeypatch.setenv("SOFTH_READ_ONLY", "1")
    be(auth.person({}))
    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("a worker was started"))
    jobs.ensure_worker()
    for attempt in (
        lambda: submit("b"),
        lambda: jobs.cancel(1),
        lambda: jobs.retry(1),
        lambda: jobs.delete(1),
        lambda: texts.save("mine.txt", b"words"),
        lambda: write.save(record(seed=1), data),
        lambda: write.save_scores([SCORE], data),
        lambda: write.remove(data, run.stem),
        lambda: write.pack(data),
        lambda: store.add_slide("other", store.Slide("layers", {})),
        lambda: store.save(deck, []),
        lambda: store.delete(deck),
    ):
        with pytest.raises(InputError, match="This server only shows"):
            attempt()
    assert {path: path.read_bytes() for path in before} == before
    assert {path for path in data.rglob("*") if path.is_file() and "jobs.sqlite-" not in path.name} == set(before)


def test_jobs_of_a_person_are_bounded_and_carry_the_name(data: Path, be: Be) -> None:
    be(Person("ada@example.org", "page", jobs=2))
    first, _ = submit("a"), submit("b")
    with pytest.raises(InputError, match="You have 2 open jobs; expected at most 2"):
        submit("c")
    assert submit("a").id == first.id
    be(Person("eve@example.org", "page", jobs=2))
    assert submit("c").person == "eve@example.org"
    be(Person("ada@example.org", "page", jobs=2))
    jobs.cancel(first.id)
    assert submit("d").person == "ada@example.org"
    assert "by ada@example.org" in ago(first)
    be(Person())
    assert submit("e").person == ""


def test_uploads_of_a_person_are_bounded_and_theirs_to_delete(data: Path, be: Be) -> None:
    be(Person("ada@example.org", "page", upload_bytes=1000))
    path = texts.save("mine.txt", b"a" * 600)
    with pytest.raises(InputError, match=r"would take .*; expected at most 1.0 kB"):
        texts.save("more.txt", b"b" * 600)
    assert texts.save("mine.txt", b"a" * 600) == path
    assert [one.size for one in quota.list_uploads("ada@example.org")] == [600]
    be(Person("eve@example.org", "page", upload_bytes=1000))
    assert list(quota.list_uploads("eve@example.org")) == []
    with pytest.raises(InputError, match=r"not eve@example\.org's"):
        texts.delete(path.parent)
    be(Person("ada@example.org", "page", upload_bytes=1000))
    texts.delete(path.parent)
    texts.save("more.txt", b"b" * 600)
    said = [(line["who"], line["what"], line["outcome"]) for line in lines(data)]
    ada, eve = "ada@example.org", "eve@example.org"
    assert said == [
        (ada, "upload text", "done"),
        (ada, "upload text", "refused"),
        (eve, "delete upload", "refused"),
        (ada, "delete upload", "done"),
        (ada, "upload text", "done"),
    ]
    assert "aaaa" not in (data / access.AUDIT).read_text()


def test_every_job_leaves_audit_lines(data: Path, be: Be) -> None:
    be(Person("ada@example.org", "page"))
    job = submit("a")
    jobs.cancel(job.id)
    again = jobs.retry(job.id)
    jobs.delete(job.id)
    be(Person("eve@example.org", "page", refusal="eve@example.org may look."))
    with pytest.raises(InputError):
        jobs.cancel(again.id)
    be(Person())
    submit("b")
    found = [(line["who"], line["from"], line["what"], line["outcome"], line.get("job")) for line in lines(data)]
    ada = ("ada@example.org", "page")
    assert found == [
        (*ada, "submit job", "done", job.id),
        (*ada, "cancel job", "done", job.id),
        (*ada, "retry job", "done", job.id),
        (*ada, "dismiss job", "done", job.id),
        ("eve@example.org", "page", "cancel job", "refused", again.id),
        ("", "command line", "submit job", "done", again.id + 1),
    ]


def test_records_of_the_first_version_open_and_go_on(data: Path) -> None:
    jobs.folder().mkdir()
    with sqlite3.connect(jobs.folder() / records.FILE) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8") + "PRAGMA user_version = 1;")
        connection.execute("INSERT INTO jobs (kind, spec, title, submitted) VALUES ('steps', '{}', 'old', 1)")
    [job] = jobs.listing()
    assert (job.title, job.person) == ("old", "")
    assert submit("new").id == 2
    jobs.cancel(1)
    assert records.ended(jobs.folder())["cancelled"][0] == 1


def test_what_ended_is_counted_even_when_dismissed(data: Path) -> None:
    job = submit("a")
    assert records.claim_next(jobs.folder()) == job.id
    records.end(jobs.folder(), job.id, "done", result="x")
    jobs.delete(job.id)
    submit("b")
    assert records.ended(jobs.folder())["done"][0] == 1
    assert records.waiting_and_running(jobs.folder()) == {"queued": 1, "interrupted": 0, "running": 0}


def test_pages_start_no_worker_where_workers_are_started_elsewhere(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit("a")
    monkeypatch.setenv("SOFTH_WORKER_IDLE", "0")
    monkeypatch.setattr(launcher, "launch", lambda *_: pytest.fail("a worker was started"))
    jobs.ensure_worker()


def test_a_process_that_identifies_nobody_may_change_nothing(tmp_path: Path) -> None:
    code = (
        "from softh import access; from softh.errors import InputError; from softh.store import write\n"
        "from pathlib import Path; import sys\n"
        "try: write.check_writable(Path(sys.argv[1]))\n"
        "except InputError as error: print(error)\n"
        "with access.as_owner(): write.check_writable(Path(sys.argv[1])); print('owner')\n"
        "access.set_identity_provider(lambda: access.Person(refusal='No.'))\n"
        "with access.as_owner(): print(access.current_user().refusal)"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    refused, owner, provider = run.stdout.splitlines()
    assert refused.startswith("Nobody is identified in this process")
    assert (owner, provider) == ("owner", "No.")

"""The queue: every job ends once, whatever is killed; the same is never queued twice; a cancelled one is gone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from softh import jobs
from softh.errors import InputError
from softh.format import duration
from softh.jobs import processes, records, supervisor, worker
from softh.jobs.format import ago, progress
from softh.spec import EstimateSpec

WORKER = Path(__file__).with_name("jobs_worker.py")
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTH_DATA", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    """Starts a worker on the tests' kinds of jobs; all of them are gone when the test ends."""
    started = []

    def launch(idle: float = 0.5) -> subprocess.Popen:
        command = [sys.executable, str(WORKER), str(jobs.folder()), str(idle)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True))
        return started[-1]

    yield launch
    for process in started:
        process.kill()
        process.wait()
    processes.kill_orphans(jobs.folder())


def counting(name: str, steps: int = 3, pause: float = 0.01) -> jobs.Job:
    return jobs.submit("steps", {"name": name, "steps": steps, "pause": pause}, title=f"count {name}")[0]


def misbehaving(how: str) -> jobs.Job:
    return jobs.submit("misbehave", {"how": how}, title=how)[0]


def until(holds: Callable[[], object], seconds: float = 30) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it never came about"
        time.sleep(0.02)
    return time.monotonic() - began


def running(number: int) -> bool:
    return jobs.find(number).state == "running"


def ends(folder: Path) -> Counter:
    return Counter(job for job, _, state in records.events(folder) if state in records.ENDED)


def test_jobs_run_in_their_order_and_say_what_they_made(data: Path, start: Start) -> None:
    numbers = [counting(name).id for name in "abc"]
    assert [job.place for job in jobs.listing()] == [1, 2, 3]
    assert start().wait(60) == 0
    assert [jobs.find(number).state for number in numbers] == ["done"] * 3
    assert [jobs.find(number).result for number in numbers] == ["counted-a", "counted-b", "counted-c"]
    assert (data / "marks").read_text().split() == ["a", "b", "c"]
    assert set(ends(jobs.folder()).values()) == {1}


def test_the_same_is_never_queued_twice_and_may_come_again_later(data: Path, start: Start) -> None:
    first, again = counting("a"), counting("a")
    assert (first.id, len(jobs.listing())) == (again.id, 1)
    assert jobs.submit("other", first.spec, title="of another kind")[1]
    start().wait(60)
    assert counting("a").id != first.id


def test_the_order_of_keys_makes_no_other_specification(data: Path) -> None:
    one, _ = jobs.submit("steps", {"a": 1, "b": [2]}, title="x")
    assert jobs.submit("steps", '{"b": [2], "a": 1}', title="y") == (one, False)


def test_what_goes_wrong_is_a_sentence(data: Path, start: Start) -> None:
    numbers = {how: misbehaving(how).id for how in ("sentence", "memory", "bug", "chatty")}
    unknown, _ = jobs.submit("magic", {}, title="of no kind")
    start().wait(60)
    assert jobs.find(numbers["sentence"]).message == "The model was odd; expected an even one: choose another."
    assert "memory this job may use was exhausted" in str(jobs.find(numbers["memory"]).message)
    assert "nobody foresaw this" in str(jobs.find(numbers["bug"]).message)
    assert "KeyError" in jobs.log_tail(numbers["bug"])
    assert jobs.find(numbers["chatty"]).result == "fine"
    assert "a library says hello" in jobs.log_tail(numbers["chatty"])
    assert "'magic'; expected one of estimate" in str(jobs.find(unknown.id).message)
    assert {jobs.find(number).state for number in numbers.values()} == {"failed", "done"}


def test_a_job_whose_process_is_always_killed_fails_in_the_end(data: Path, start: Start) -> None:
    number = misbehaving("killed").id
    start(5)
    until(lambda: jobs.find(number).state == "failed", 60)
    assert f"killed {supervisor.MAX_CRASHES} times" in str(jobs.find(number).message)
    assert jobs.find(number).deaths == supervisor.MAX_CRASHES - 1


@pytest.mark.parametrize("how", ["family", "deaf"])
def test_cancel_ends_a_job_and_all_its_processes_within_five_seconds(how: str, data: Path, start: Start) -> None:
    number = misbehaving(how).id
    start(10)
    until(lambda: jobs.find(number).phase == "waiting")
    group = processes.orphans(jobs.folder())
    assert jobs.cancel(number)
    assert until(lambda: jobs.find(number).state == "cancelled", 5) < 5
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in group)
    assert not jobs.cancel(number)


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(data: Path, start: Start) -> None:
    number, other = counting("a").id, counting("b").id
    assert jobs.cancel(number)
    assert jobs.find(number).state == "cancelled"
    start().wait(60)
    assert (data / "marks").read_text().split() == ["b"]
    assert jobs.retry(number).id not in {number, other}


def test_a_running_job_is_cancelled_when_its_worker_is_dead(data: Path, start: Start) -> None:
    number = counting("a", steps=1_000, pause=0.05).id
    process = start(10)
    until(lambda: running(number))
    process.kill()
    process.wait()
    assert jobs.cancel(number)
    assert jobs.find(number).state == "cancelled"


def test_a_killed_worker_takes_its_job_along_and_the_next_one_goes_on(data: Path, start: Start) -> None:
    long, short = counting("long", 30, 0.05).id, counting("short").id
    process = start(10)
    until(lambda: (jobs.find(long).done or 0) > 2)
    process.kill()
    process.wait()
    until(lambda: not processes.orphans(jobs.folder()), 5)
    assert running(long)
    start().wait(60)
    history = [state for job, _, state in records.events(jobs.folder()) if job == long]
    assert history == ["queued", "running", "interrupted", "running", "done"]
    assert (data / "marks").read_text().split() == ["long", "short"]
    assert jobs.find(short).state == "done"


def test_an_interrupted_job_goes_before_those_that_wait(data: Path, start: Start) -> None:
    first, _ = counting("first", 20, 0.05), [counting(name) for name in "bcd"]
    start(1)
    until(lambda: (jobs.find(first.id).done or 0) > 2)
    for process in processes.orphans(jobs.folder()):
        process.kill()
    until(lambda: not jobs.listing(jobs.OPEN))
    assert (data / "marks").read_text().split() == ["first", "b", "c", "d"]


def test_a_stopped_worker_ends_politely_and_keeps_the_job(data: Path, start: Start) -> None:
    number = counting("a", 1_000, 0.05).id
    process = start(10)
    until(lambda: running(number))
    process.terminate()
    assert process.wait(10) == 0
    assert jobs.find(number).state == "interrupted"
    assert not processes.orphans(jobs.folder())
    assert jobs.listing()[0].place == 1


def test_a_folder_has_one_worker(data: Path, start: Start) -> None:
    number = counting("a", 1_000, 0.05).id
    start(10)
    until(lambda: running(number))
    assert jobs.worker_is_running()
    assert start().wait(20) == 3
    assert running(number)


def test_a_job_that_an_earlier_release_queued_is_run(data: Path, start: Start) -> None:
    with records.connect(jobs.folder()) as connection:  # tables of huey, with a message that is long out of date
        connection.execute("CREATE TABLE task (id INTEGER PRIMARY KEY, queue TEXT, data BLOB, priority REAL)")
        connection.execute("CREATE TABLE kv (queue TEXT, key TEXT, value BLOB, PRIMARY KEY (queue, key))")
        connection.execute("INSERT INTO task (queue, data) VALUES ('jobs', '{\"args\": [7]}')")
    number, _ = records.add(
        jobs.folder(), "steps", '{"name":"a","steps":1}', "submitted by somebody who was killed", {}
    )
    start(5)
    until(lambda: jobs.find(number).state == "done")
    late, _ = records.add(jobs.folder(), "steps", '{"name":"b","steps":1}', "the same while a worker runs", {})
    until(lambda: jobs.find(late).state == "done")


def test_orphans_of_a_worker_are_killed_by_the_next(data: Path, start: Start) -> None:
    environment = os.environ | {processes.MARK: f"{jobs.folder().resolve()}#7"}
    orphan = subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)
    start().wait(60)
    assert orphan.wait(5) == -signal.SIGKILL


def test_kills_at_random_moments_lose_nothing_and_end_nothing_twice(data: Path, start: Start) -> None:
    chance = random.Random(0)
    numbers = [counting(str(number), 3, 0.05).id for number in range(10)]
    for _ in range(5):
        process = start(30)
        time.sleep(chance.uniform(0.2, 1.2))
        victims = processes.orphans(jobs.folder()) if chance.random() < 0.5 else []
        for victim in victims:
            victim.kill()
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.wait()
    start(1).wait(120)
    assert [jobs.find(number).state for number in numbers] == ["done"] * 10
    assert ends(jobs.folder()) == Counter(numbers)
    assert not processes.orphans(jobs.folder())


def test_two_hundred_jobs_are_listed_in_their_order(data: Path) -> None:
    with records.connect(jobs.folder()) as connection:
        rows = [("steps", json.dumps({"name": number}), "one of many", time.time()) for number in range(200)]
        connection.executemany("INSERT INTO jobs (kind, spec, title, submitted) VALUES (?, ?, ?, ?)", rows)
    assert [job.place for job in jobs.listing()] == list(range(1, 201))


def test_progress_has_a_rate_and_the_time_left(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    monkeypatch.setattr("softh.jobs.records.time.time", lambda: clock)
    number = counting("a").id
    assert records.claim_next(jobs.folder()) == number
    assert progress(jobs.find(number)) == "starting"
    records.advance(jobs.folder(), number, "forward passes", 4, 16)
    assert jobs.find(number).rate is None
    clock += 0.25
    records.advance(jobs.folder(), number, "forward passes", 6, 16)
    job = jobs.find(number)
    assert (job.rate, job.seconds_left) == (8, 1.25)
    assert progress(job) == "running the text, 6 of 16, 8.0/s, 1 s left"
    records.advance(jobs.folder(), number, "statistics", 0, 4)
    assert jobs.find(number).rate is None


def test_an_ended_job_can_be_deleted_and_an_open_one_cannot(data: Path) -> None:
    number = counting("a").id
    with pytest.raises(InputError, match="is queued; expected one that has ended"):
        jobs.delete(number)
    jobs.cancel(number)
    jobs.delete(number)
    with pytest.raises(InputError, match="No job has the number"):
        jobs.find(number)
    assert jobs.listing() == []


def test_only_what_ended_badly_is_retried(data: Path) -> None:
    with pytest.raises(InputError, match="is queued; expected one that failed"):
        jobs.retry(counting("a").id)


def test_an_estimate_is_titled_and_its_paths_are_absolute(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "model").mkdir()
    monkeypatch.chdir(data)
    job, _ = jobs.submit_spec(EstimateSpec(model="model", corpus="file:text.jsonl"))
    assert (job.settings["model"], job.settings["corpus"]) == (str(data / "model"), f"file:{data / 'text.jsonl'}")
    assert job.title == "model on text.jsonl, 256 × 256 tokens"
    job, _ = jobs.submit_spec(EstimateSpec(model="owner/name", revision="step8"))
    assert job.title == "owner/name at step8 on weymouth-nt, 256 × 256 tokens"


def test_records_that_are_no_database_are_a_sentence(data: Path) -> None:
    jobs.folder().mkdir()
    (jobs.folder() / records.FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match="cannot be used"):
        jobs.listing()


def test_without_jobs_nothing_is_made_and_no_worker_starts(data: Path) -> None:
    assert jobs.listing() == []
    jobs.ensure_worker()
    assert not jobs.worker_is_running()
    assert list(data.iterdir()) == []


def test_devices_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert worker.devices() == [{}]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert worker.devices() == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "3"}]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no sharing out by session here")
def test_a_job_gives_way_to_the_processes_of_other_sessions() -> None:
    code = (
        "import os; from softh.jobs import processes; processes.lower_priority(os.getpid()); "
        "print(open('/proc/self/autogroup').read())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], start_new_session=True, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip().endswith("nice 10")


def test_words(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [duration(seconds) for seconds in (0, 59, 150, 7_200, 180_000)] == ["0 s", "59 s", "2 min", "2 h", "2 days"]
    job, second = counting("a"), counting("b")
    assert [progress(listed) for listed in jobs.listing()] == ["next", "1 before it"]
    monkeypatch.setattr("softh.jobs.format.time.time", lambda: job.submitted + 300)
    assert ago(job) == "submitted 5 min ago"
    assert jobs.cancel(second.id)

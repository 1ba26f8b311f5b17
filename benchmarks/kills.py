"""Kills worker, job and app at random moments while ten estimates are queued: ``python -m benchmarks.kills [ROUNDS]``.

Every round submits what is missing to ten open jobs, waits a random time, kills one of the three with SIGKILL and
starts the app again when it was the app; the app starts a worker when none lives. In the end every job must have ended
exactly once with a whole result, and nothing may be left: no process, no half file.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from softh import jobs, settings
from softh.jobs import processes, records
from softh.models.cache import remove_orphans
from softh.spec import EstimateSpec
from softh.store import connection, read, write

ROOT = Path(__file__).resolve().parent.parent
OPEN = 10
LONGEST = 6.0
"""Seconds between two kills at most; a job takes about as long."""


def app(scratch: Path) -> None:
    """What is killed as the app: it keeps ten jobs open and runs the page, which starts a worker when none lives."""
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run().switch_page("pages/analyze.py")
    while True:
        while not (scratch / "enough").exists() and len(jobs.listing(jobs.OPEN)) < OPEN:
            made = len({job for job, _, _ in records.events(jobs.folder())})
            jobs.submit_spec(
                EstimateSpec(
                    model=str(scratch / "tiny"),
                    corpus=f"file:{scratch / 'text.jsonl'}",
                    documents=24,
                    context=64,
                    draws=2,
                    seed=made,
                )
            )
        assert not page.run().exception
        time.sleep(0.5)


def start_app(scratch: Path) -> subprocess.Popen[bytes]:
    with (scratch / "app.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.kills", "app", str(scratch)], cwd=ROOT, stdout=log, stderr=log
        )


def worker_pids(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "worker" in line and str(folder.parent.resolve()) in line:
            found.append(process.pid)
    return found


def kill(pids: list[int]) -> int:
    """How many processes were killed."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)


def torture(rounds: int, scratch: Path, seed: int = 0) -> dict[str, object]:
    """What came of it; the lists must be empty."""
    from tests.tiny import save_model, save_text  # brings torch, which the visitor's process does without

    os.environ |= {"SOFTH_DATA": str(scratch / "data"), "SOFTH_CACHE": str(scratch / "cache")}
    os.environ |= {"SOFTH_WORKER_IDLE": "20", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    save_model(scratch / "tiny")
    save_text(scratch / "text.jsonl")
    folder, chance, killed = jobs.folder(), random.Random(seed), Counter[str]()
    began = time.monotonic()
    visitor = start_app(scratch)
    try:
        for _ in range(rounds):
            time.sleep(chance.uniform(0, LONGEST))
            victim = chance.choice(["worker", "job", "app"])
            if victim == "app":
                killed[victim] += kill([visitor.pid])
                visitor.wait()
                visitor = start_app(scratch)
            elif victim == "worker":
                killed[victim] += kill(worker_pids(folder))
            else:
                killed[victim] += kill([process.pid for process in processes.orphans(folder)])
            assert visitor.poll() is None, (scratch / "app.log").read_text()[-2000:]
        (scratch / "enough").touch()
        while jobs.listing(jobs.OPEN):
            time.sleep(0.5)
            assert time.monotonic() - began < 60 * rounds + 600, "the queue never ends"
        return {"seconds": round(time.monotonic() - began)} | verdict(folder, killed)
    finally:
        kill([visitor.pid, *worker_pids(folder)])
        processes.kill_orphans(folder)


def verdict(folder: Path, killed: Counter[str]) -> dict[str, object]:
    data = folder.parent
    events = records.events(folder)
    submitted = {job for job, _, _ in events}
    ends = Counter(job for job, _, state in events if state in records.ENDED)
    found = [jobs.find(number) for number in sorted(submitted)]
    stored = set(read.estimates(data)["estimate_id"])
    swept = {"runs": write.remove_orphans(data, older=0), "cache": remove_orphans(settings.cache(), older=0)}
    left = [str(path) for path in data.rglob("*.tmp")]
    return {
        "killed": dict(killed),
        "submitted": len(submitted),
        "interrupted": sum(state == "interrupted" for _, _, state in events),
        "states": dict(Counter(job.state for job in found)),
        "failed": [job.message for job in found if job.state == "failed"],
        "ended_not_once": [number for number in submitted if ends[number] != 1],
        "lost": [job.id for job in found if job.state == "done" and job.result not in stored],
        "orphans": [process.pid for process in processes.orphans(folder)],
        "half_files": [*connection.warnings(data), *left],
        "left_by_killed_writers_and_swept": swept,
    }


def main() -> None:
    if sys.argv[1:2] == ["app"]:
        app(Path(sys.argv[2]))
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    scratch = Path(tempfile.mkdtemp(prefix="softh-kills-"))
    try:
        print(json.dumps({"rounds": rounds, **torture(rounds, scratch)}, indent=1))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()

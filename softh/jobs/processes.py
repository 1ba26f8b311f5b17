"""Processes of jobs: each in a group of its own, stopped by SIGTERM and then SIGKILL, found again when orphaned."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from softh.uploads import sandbox

COMMAND = (sys.executable, "-m", "softh.jobs.runner")
MARK = "SOFTH_JOB"
"""Environment variable of every process of a job, grandchildren included: its folder and its number."""
TERM_GRACE = 2.0
"""Seconds that a process has to stop after SIGTERM; then SIGKILL."""

_NICE = 10
"""Niceness of a job, so that pages and shells stay responsive."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def start(
    folder: Path, number: int, order: dict[str, Any], environment: dict[str, str], *, secrets: bool = True
) -> subprocess.Popen[bytes]:
    """Start the process of one job in a session of its own; it writes events to its standard output, its log to a file.

    order: kind, spec and options, sent as JSON to its standard input.
    environment: variables that select its device. secrets: whether it also gets all variables of this process, tokens
    included.
    """
    inherited = dict(os.environ) if secrets else sandbox.environment(offline=False)
    with log_path(folder, number).open("ab") as log:
        child = subprocess.Popen(
            [*COMMAND, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**inherited, **_QUIET, **environment, MARK: f"{folder.resolve()}#{number}"},
            start_new_session=True,
        )
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # its exit code says that it was killed
        child.stdin.write(json.dumps(order).encode())
        child.stdin.close()
    return child


def lower_priority(pid: int) -> None:
    """Lower the priority of a process and of its session.

    Where Linux schedules by session (autogroup), the niceness of a process counts within its session only, and a job
    has a session of its own.
    """
    psutil.Process(pid).nice(_NICE)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a process and its group: SIGTERM, and SIGKILL after TERM_GRACE seconds."""
    _signal_group(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(TERM_GRACE)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def orphans(folder: Path, number: int | None = None) -> list[psutil.Process]:
    """Running processes of jobs of a folder, or of one job."""
    mark = f"{folder.resolve()}#"
    running = []
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess, OSError):  # of another user, or ended
            found = process.environ().get(MARK, "")
            of_it = found.startswith(mark) if number is None else found == f"{mark}{number}"
            if of_it and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
    return running


def kill_orphans(folder: Path, number: int | None = None) -> int:
    """Kill processes that a killed worker, or one job, left running; waits for their end and returns how many."""
    running = orphans(folder, number)
    for process in running:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # Zombies are not counted: in a container, nothing may ever reap them.
    until = time.monotonic() + 10
    while running and orphans(folder, number) and time.monotonic() < until:
        time.sleep(0.05)
    return len(running)


def set_parent_death_signal(parent: int) -> None:
    """Have Linux kill this process when its parent ends; exit at once when the parent has ended already."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        prctl(_PR_SET_DUMPABLE, 1)  # a confined process hides its environment otherwise, and with it the mark
    if os.getppid() != parent:
        sys.exit(1)


def log_path(folder: Path, number: int) -> Path:
    """File of a job's log."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return logs / f"{number}.log"


def tail(folder: Path, number: int, most: int = 4_000) -> str:
    """The end of a job's log, at most so many bytes; empty when there is none."""
    path = log_path(folder, number)
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - most))
        return log.read().decode(errors="replace")


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)

"""Processes of jobs: started in a group of their own, stopped politely and then not, found again when orphaned."""

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
"""The page and the shell stay quick while a job computes."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


def start(
    folder: Path, number: int, order: dict[str, Any], environment: dict[str, str], *, secrets: bool = True
) -> subprocess.Popen[bytes]:
    """The process of one job, in a session of its own; events come on its standard output, its log goes to a file.

    order: what it does (kind, spec, options), given as JSON on standard input.
    environment: of its device. secrets: whether it gets this process's own, tokens and all, as well.
    """
    ours = dict(os.environ) if secrets else sandbox.environment(offline=False)
    with log_path(folder, number).open("ab") as log:
        child = subprocess.Popen(
            [*COMMAND, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**ours, **_QUIET, **environment, MARK: f"{folder.resolve()}#{number}"},
            start_new_session=True,
        )
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # one that was killed already tells so by its end
        child.stdin.write(json.dumps(order).encode())
        child.stdin.close()
    return child


def lower_priority(pid: int) -> None:
    """Let a process, and its session, come after the others of this machine.

    Where Linux shares processors out by session, as most desktops and servers do, what a process says of itself counts
    within its session alone, and a job has one of its own: the session has to say so too.
    """
    psutil.Process(pid).nice(_NICE)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group within TERM_GRACE seconds and a little."""
    _signal_group(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(TERM_GRACE)
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def orphans(folder: Path) -> list[psutil.Process]:
    """Living processes of any job of a folder."""
    mark = f"{folder.resolve()}#"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess, OSError):  # not ours, or gone
            if process.environ().get(MARK, "").startswith(mark) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_orphans(folder: Path) -> int:
    """End what a killed worker left running, and wait until it is gone; how many there were."""
    found = orphans(folder)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # A zombie does no more, and in a container nobody may be there to bury it.
    until = time.monotonic() + 10
    while orphans(folder) and time.monotonic() < until:
        time.sleep(0.05)
    return len(found)


def set_parent_death_signal(parent: int) -> None:
    """Have the system kill this process when its parent ends, however it ends; at once when it has ended already."""
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

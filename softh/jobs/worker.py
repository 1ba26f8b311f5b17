"""The worker of a folder's queue: one thread for each device runs one job after another."""

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from softh.errors import InputError
from softh.jobs import processes, records
from softh.jobs.launcher import LOCK
from softh.jobs.supervisor import Slot, Supervisor
from softh.locks import lock
from softh.store import write

log = logging.getLogger(__name__)

_POLL = 0.5
"""Seconds between two looks for a waiting job."""
_MAINTENANCE = 2.0
"""Seconds between two looks for jobs and files that were left behind."""
_WAIT = 2.0
"""Seconds to wait for the lock: a check of whether a worker runs holds it briefly."""


def work(folder: Path, idle: float | None = None) -> bool:
    """Run jobs until a signal asks to stop, or for `idle` seconds without any; False when another worker runs.

    Jobs that ran when the last worker ended, however it ended, run again; processes it left behind are killed first.
    Errors: InputError when the folder cannot be written, or on a system without POSIX signals and process groups.
    """
    if os.name != "posix":
        raise InputError(
            "The job queue needs process groups, which this system lacks; expected Linux or macOS: run "
            "`softh estimate` instead of `softh submit`."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except OSError as error:
        raise InputError(f"No worker can run in {folder} ({error.strerror}): make the folder writable.") from error
    with lock(folder / LOCK, wait=_WAIT) as alone:
        if alone:
            _run(folder, idle)
        return alone


def _run(folder: Path, idle: float | None) -> None:
    killed = processes.kill_orphans(folder)
    records.recover(folder)
    log.info("Worker %d starts in %s; %d orphans were killed.", os.getpid(), folder, killed)
    stop = threading.Event()
    supervisor = Supervisor(folder, stop.is_set)
    threads = [threading.Thread(target=_serve, args=(supervisor, slot, stop), daemon=True) for slot in devices()]
    for thread in threads:
        thread.start()
    # A closed terminal means stop as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    busy = time.monotonic()
    while not stop.wait(_MAINTENANCE):
        if records.rows(folder, records.OPEN, limit=1):
            busy = time.monotonic()
        supervisor.recover()
        write.remove_orphans(folder.parent)
        if idle is not None and time.monotonic() - busy > idle:
            log.info("No job for %.0f s: the worker ends.", idle)
            stop.set()
    for thread in threads:
        thread.join(processes.TERM_GRACE + 5)


def _serve(supervisor: Supervisor, slot: Slot, stop: threading.Event) -> None:
    """Run the jobs of one device; what goes wrong with one is logged, and the next one runs."""
    while not stop.is_set():
        try:
            if supervisor.run_next(slot):
                continue
        except Exception:  # a worker must survive whatever one job does; the log has the traceback
            log.exception("A job could not be run or its end could not be recorded.")
        stop.wait(_POLL)


def devices() -> list[Slot]:
    """One slot for each usable GPU, or one for the CPU. The driver is asked, since torch takes seconds to import."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name for name in visible.split(",") if name.strip() not in {"", "-1"}]
    elif shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
        names = [str(place) for place, _ in enumerate(listed.stdout.splitlines())] if listed.returncode == 0 else []
    else:
        names = []
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names] or [{}]

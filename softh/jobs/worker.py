"""The worker: huey's consumer over the queue of a folder, one thread a device, alone by a lock on a file."""

import fcntl
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from huey.consumer import Consumer, ConsumerStopped

from softh.errors import InputError
from softh.jobs import processes, records
from softh.jobs.launcher import LOCK
from softh.jobs.messages import Queue, open_queue
from softh.jobs.supervisor import Slot, Supervisor
from softh.store import write

log = logging.getLogger(__name__)

_LOOK = 2.0
"""Seconds between two looks after lost messages."""
_TRIES = 20
"""Looks at the lock, a tenth of a second apart: whoever asks whether a worker lives holds it for an instant."""


class Worker(Consumer):
    """huey's consumer, which also refills the queue, and ends after `idle` seconds without work."""

    def __init__(self, supervisor: Supervisor, queue: Queue, slots: int, idle: float | None) -> None:
        super().__init__(queue.huey, workers=slots, periodic=False, max_delay=0.5)
        self.folder = supervisor.folder
        self.supervisor = supervisor
        self.queue = queue
        self.idle = idle
        self.looked = self.busy = time.monotonic()

    def loop(self, health_check_ts: float | None = None) -> Any:
        """Called by huey ten times a second."""
        now = time.monotonic()
        if now - self.looked >= _LOOK:
            self.looked = now
            self._look()
            if self.idle is not None and now - self.busy > self.idle:
                log.info("No job for %.0f s: the worker ends.", self.idle)
                self.stop()
        return super().loop(health_check_ts)

    def _look(self) -> None:
        """Look after jobs that nobody else would take up."""
        if records.rows(self.folder, records.OPEN, limit=1):
            self.busy = time.monotonic()
        self.supervisor.recover()
        write.sweep(self.folder.parent)
        # A job that waits without a message was interrupted, or submitted by somebody killed before sending it.
        if not self.queue.huey.pending_count() and records.waiting(self.folder):
            self.queue.refill(self.folder)


def work(folder: Path, idle: float | None = None) -> bool:
    """Run jobs until a signal says stop, or for `idle` seconds without any; False when another worker lives.

    What ran when the last worker ended, however it ended, is taken up again; what it left running is killed first.
    """
    with _alone(folder) as alone:
        if not alone:
            return False
        killed = processes.kill_orphans(folder)
        records.recover(folder)
        log.info("Worker %d takes over %s; %d orphans.", os.getpid(), folder, killed)
        slots = devices()
        supervisor = Supervisor(folder, slots, lambda: worker.stop_flag.is_set())  # noqa: PLW0108  (the worker is made below)
        queue = open_queue(folder, supervisor.take)
        worker = Worker(supervisor, queue, len(slots), idle)
        queue.refill(folder)
        with suppress(ConsumerStopped):
            _consume(worker)
        for _, thread in worker.worker_threads:
            thread.join(processes.POLITE + 5)
        queue.close()
    return True


def devices() -> list[Slot]:
    """One slot a GPU that may be used, or one on the CPU; asked of the driver, since torch takes seconds to import."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name for name in visible.split(",") if name.strip() not in {"", "-1"}]
    elif shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=False)
        names = [str(place) for place, _ in enumerate(listed.stdout.splitlines())] if listed.returncode == 0 else []
    else:
        names = []
    return [{"CUDA_VISIBLE_DEVICES": name} for name in names] or [{}]


def _consume(worker: Worker) -> None:
    worker.start()
    # huey would begin anew at a hang-up; a closed terminal means stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: worker.stop_flag.set())
    while True:
        worker.loop()


@contextmanager
def _alone(folder: Path) -> Generator[bool]:
    """Hold the lock of the only worker; the system lets go when the process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("a")
    except OSError as error:
        raise InputError(f"No worker can run in {folder} ({error.strerror}): make the folder writable.") from error
    with handle:
        yield any(_locked(handle) for _ in range(_TRIES))


def _locked(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.1)
        return False
    return True

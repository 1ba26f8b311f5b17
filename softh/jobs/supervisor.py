"""One job from claim to end: its process is started, its events are read, and it is stopped on request."""

import json
import logging
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softh.jobs import processes, records, tasks
from softh.store import write

log = logging.getLogger(__name__)

MAX_CRASHES = 5
"""A job fails once its process was killed so many times: memory that ran out may run out again."""
_POLL = 0.2
"""Seconds between two checks of whether the job is to stop."""
_CLOSING = 20.0
"""Seconds that a process may take to end after its last event."""

Slot = dict[str, str]
"""Environment that gives a process its device."""


@dataclass
class EventReader:
    """Reads the events of a job's process and records its progress."""

    folder: Path
    number: int
    rest: bytes = b""
    result: str | None = None
    refused: str | None = None

    def feed(self, chunk: bytes) -> None:
        """Read some more bytes; the last progress among them is recorded."""
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        progress = None
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            self.result = event.get("result", self.result)
            self.refused = event.get("refused", self.refused)
            progress = event if "phase" in event else progress
        if progress:
            steps = (progress["phase"], progress["done"], progress["total"])
            records.advance(self.folder, self.number, *steps, note=progress.get("note") or None)


class Supervisor:
    """Runs jobs of one folder, one at a time on each slot; `stopping` says that the worker itself is to end."""

    def __init__(self, folder: Path, stopping: Callable[[], bool]) -> None:
        self.folder = folder
        self.stopping = stopping
        self.active: set[int] = set()
        self._claiming = threading.Lock()

    def run_next(self, slot: Slot) -> bool:
        """Run the next waiting job to its end; False when none waits. Interrupted jobs come first."""
        with self._claiming:
            number = None if self.stopping() else records.claim_next(self.folder)
            if number is None:
                return False
            self.active.add(number)
        try:
            job = records.one(self.folder, number)
            log.info("Job %d starts: %s", number, job.title, extra={"facts": {"job": number}})
            self._run(job, slot)
            self._log_end(number)
        finally:
            self.active.discard(number)
        return True

    def _log_end(self, number: int) -> None:
        job = records.one(self.folder, number)
        ran = (job.updated or 0) - (job.started or 0)
        facts = {"job": number, "state": job.state, "seconds": round(ran, 3)}
        log.info("Job %d is %s after %.1f s.", number, job.state, ran, extra={"facts": facts})

    def recover(self) -> None:
        """Queue jobs again that are recorded as running and are not: their end could not be recorded (a full disk)."""
        with self._claiming:
            lost = [job.id for job in records.rows(self.folder, ("running",)) if job.id not in self.active]
            for number in lost:
                records.interrupt(self.folder, number, "Its end could not be recorded; it will run again.", died=False)

    def _run(self, job: records.Job, slot: Slot) -> None:
        try:
            options = {**json.loads(job.options), "data": str(self.folder.parent.resolve()), "submitted": job.submitted}
            order = {"kind": job.kind, "spec": job.spec, "options": options}
            secrets = not tasks.untrusted(job.settings)
            json.dumps(order)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            message = f"Its record cannot be read ({type(error).__name__}); expected JSON: submit the job again."
            records.end(self.folder, job.id, "failed", message=message)
            return
        child = processes.start(self.folder, job.id, order, slot, secrets=secrets)
        events = EventReader(self.folder, job.id)
        try:
            stopped = self._read_events(child, events)
        finally:
            processes.stop(child)  # nothing of the group outlives the job
            processes.kill_orphans(self.folder, job.id)  # nor what left the group
            assert child.stdout is not None
            child.stdout.close()
        if stopped:
            self._stopped(job)
        else:
            self._ended(job, events, child.returncode)

    def _read_events(self, child: subprocess.Popen[bytes], events: EventReader) -> bool:
        """Read the events of the process until it ends; True when it was asked to stop before."""
        assert child.stdout is not None
        pipe, ended = child.stdout.fileno(), 0.0
        while not (self.stopping() or records.asked_to_stop(self.folder, events.number)):
            ready = select.select([pipe], [], [], _POLL)[0]
            ended = ended or (time.monotonic() if child.poll() is not None else 0.0)
            if ended and (not ready or time.monotonic() - ended > _CLOSING):
                return False  # a process that left the group keeps the pipe open
            if not ready:
                continue
            chunk = os.read(pipe, 65536)
            if chunk:
                events.feed(chunk)
                continue
            with suppress(subprocess.TimeoutExpired):  # one that hangs after its last event is stopped
                child.wait(_CLOSING)
            return False
        return True

    def _stopped(self, job: records.Job) -> None:
        if records.asked_to_stop(self.folder, job.id):
            records.end(self.folder, job.id, "cancelled")
        else:
            records.interrupt(self.folder, job.id, "Its worker was stopped; it will run again.", died=False)

    def _ended(self, job: records.Job, events: EventReader, code: int) -> None:
        if events.result is not None:
            write.put_on_share(self.folder.parent, events.result)  # what had no network when it was stored
            records.end(self.folder, job.id, "done", result=events.result)
        elif events.refused is not None:
            records.end(self.folder, job.id, "failed", message=events.refused)
        elif code >= 0:
            records.end(self.folder, job.id, "failed", message=_unexpected(self.folder, job.id, code))
        elif job.deaths + 1 < MAX_CRASHES:
            reason = f"Its process was killed (signal {-code}), {_times(job.deaths + 1)} so far; it will run again."
            records.interrupt(self.folder, job.id, reason, died=True)
        else:
            records.end(self.folder, job.id, "failed", message=_crashed(-code))


def _unexpected(folder: Path, number: int, code: int) -> str:
    lines = processes.tail(folder, number, 2_000).strip().splitlines()
    last = lines[-1][:300] if lines else "nothing"
    return f"The job stopped with exit code {code} unexpectedly; its log ends with “{last}”: please report it."


def _crashed(number: int) -> str:
    return (
        f"Its process was killed {MAX_CRASHES} times (last by signal {number}), most often for want of memory; "
        "expected it to end: choose fewer documents, a shorter context or a smaller model, and retry."
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"

"""One job from claim to end: its process is started, listened to, and stopped when somebody asks for it."""

import json
import logging
import os
import select
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

from softh.jobs import processes, records, tasks
from softh.store import write

log = logging.getLogger(__name__)

DEATHS = 5
"""How often a job is taken up again after its process was killed: memory that ran out may run out again."""
_POLL = 0.2
"""Seconds between two looks at whether the job shall stop."""
_CLOSING = 20.0
"""Seconds that a process may take to end after its last event."""

Slot = dict[str, str]
"""Environment that gives a process its device."""


@dataclass
class Listener:
    """What a process has told so far."""

    folder: Path
    number: int
    rest: bytes = b""
    result: str | None = None
    refused: str | None = None

    def hear(self, chunk: bytes) -> None:
        """Take in some bytes; the last progress among them is noted."""
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
    """Runs jobs of one folder, one a slot; `stopping` says that the worker itself shall end."""

    def __init__(self, folder: Path, slots: list[Slot], stopping: Callable[[], bool]) -> None:
        self.folder = folder
        self.slots: Queue[Slot] = Queue()
        for slot in slots:
            self.slots.put(slot)
        self.stopping = stopping
        self.active: set[int] = set()

    def take(self, number: int) -> None:
        """Take up the first job that waits, whichever the message named, and see it to its end.

        What was interrupted comes first, and its message was used up when it was taken.
        """
        slot = self.slots.get()
        try:
            while not self.stopping() and (waiting := records.waiting(self.folder)):
                if self._claimed(waiting[0], slot):
                    return
        finally:
            self.slots.put(slot)

    def _claimed(self, number: int, slot: Slot) -> bool:
        """Claim a job and run it; False when somebody else was quicker."""
        self.active.add(number)
        try:
            claimed = records.claim(self.folder, number)
            if claimed:
                job = records.one(self.folder, number)
                log.info("Job %d is taken up: %s", number, job.title, extra={"facts": {"job": number}})
                self._run(job, slot)
                self._tell(number)
            return claimed
        finally:
            self.active.discard(number)

    def _tell(self, number: int) -> None:
        job = records.one(self.folder, number)
        ran = (job.updated or 0) - (job.started or 0)
        facts = {"job": number, "state": job.state, "seconds": round(ran, 3)}
        log.info("Job %d is %s after %.1f s.", number, job.state, ran, extra={"facts": facts})

    def recover(self) -> None:
        """Put back what is called running and is not: its end could not be recorded, for want of disk perhaps."""
        for job in records.rows(self.folder, ("running",)):
            if job.id not in self.active:
                records.interrupt(
                    self.folder, job.id, "Its end could not be recorded; it is taken up again.", died=False
                )

    def _run(self, job: records.Job, slot: Slot) -> None:
        options = {**json.loads(job.options), "data": str(self.folder.parent.resolve()), "submitted": job.submitted}
        order = {"kind": job.kind, "spec": job.spec, "options": options}
        secrets = not tasks.untrusted(job.settings)
        child = processes.start(self.folder, job.id, order, slot, secrets=secrets)
        heard = Listener(self.folder, job.id)
        try:
            stopped = self._listen(child, heard)
        finally:
            processes.stop(child)  # nothing of the group outlives the job
            assert child.stdout is not None
            child.stdout.close()
        if stopped:
            self._stopped(job)
        else:
            self._ended(job, heard, child.returncode)

    def _listen(self, child: subprocess.Popen[bytes], heard: Listener) -> bool:
        """Hear what the process tells until it ends; True when it was asked to stop before."""
        assert child.stdout is not None
        pipe = child.stdout.fileno()
        while not (self.stopping() or records.asked_to_stop(self.folder, heard.number)):
            if not select.select([pipe], [], [], _POLL)[0]:
                continue
            chunk = os.read(pipe, 65536)
            if chunk:
                heard.hear(chunk)
                continue
            with suppress(subprocess.TimeoutExpired):  # one that hangs after its last word is stopped
                child.wait(_CLOSING)
            return False
        return True

    def _stopped(self, job: records.Job) -> None:
        if records.asked_to_stop(self.folder, job.id):
            records.end(self.folder, job.id, "cancelled")
        else:
            records.interrupt(self.folder, job.id, "Its worker was stopped; it is taken up again.", died=False)

    def _ended(self, job: records.Job, heard: Listener, code: int) -> None:
        if heard.result is not None:
            write.hand_over(self.folder.parent, heard.result)  # what had no network when it was stored
            records.end(self.folder, job.id, "done", result=heard.result)
        elif heard.refused is not None:
            records.end(self.folder, job.id, "failed", message=heard.refused)
        elif code >= 0:
            records.end(self.folder, job.id, "failed", message=_unforeseen(self.folder, job.id, code))
        elif job.deaths + 1 < DEATHS:
            reason = f"Its process was killed (signal {-code}), {_times(job.deaths + 1)} so far; it is taken up again."
            records.interrupt(self.folder, job.id, reason, died=True)
        else:
            records.end(self.folder, job.id, "failed", message=_deadly(-code))


def _unforeseen(folder: Path, number: int, code: int) -> str:
    lines = processes.tail(folder, number, 2_000).strip().splitlines()
    last = lines[-1][:300] if lines else "nothing"
    return f"The job stopped with exit code {code}, which nobody foresaw; its log ends with “{last}”: please report it."


def _deadly(number: int) -> str:
    return (
        f"Its process was killed {DEATHS} times (last by signal {number}), most often for want of memory; expected it "
        "to end: choose fewer documents, a shorter context or a smaller model, and retry."
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"

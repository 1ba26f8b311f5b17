"""The process of one job: ``python -m softh.jobs.runner WORKER``; reads its order on stdin, writes events to stdout.

An event is one line of JSON: {"phase", "done", "total", "note"}, then {"result": id} or {"refused": sentence}.
"""

import json
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

from softh import access
from softh.errors import InputError
from softh.jobs import processes

_EVERY = 0.5
"""Seconds between two events of one phase."""


class ProgressReporter:
    """Writes events to the pipe that the worker reads; called as the progress of an estimate."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.phase = ""
        self.sent = 0.0

    def __call__(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Send a step, unless another of its phase was sent within half a second; first and last steps always."""
        now = time.monotonic()
        if phase != self.phase or done >= total or now - self.sent >= _EVERY:
            self.phase, self.sent = phase, now
            self.send(phase=phase, done=done, total=total, note=note)

    def send(self, **event: Any) -> None:
        """Write one event."""
        os.write(self.pipe, json.dumps(event).encode() + b"\n")


def main() -> None:
    """Run the order on standard input; exit code 0 with a result, 2 with a sentence."""
    access.set_identity_provider(access.Person)  # whoever submitted the job was allowed to
    processes.set_parent_death_signal(int(sys.argv[1]))
    reporter = ProgressReporter(_take_stdout())
    # Otherwise nothing is cleaned up behind a cancelled job.
    signal.signal(signal.SIGTERM, _leave)
    processes.lower_priority(os.getpid())
    order = json.load(sys.stdin)
    from softh.jobs import tasks  # what is killed before this line costs nothing

    try:
        reporter.send(result=tasks.run(order["kind"], order["spec"], order["options"], reporter))
    except InputError as error:
        _refuse(reporter, str(error))
    except MemoryError:
        _refuse(reporter, f"The memory this job may use was exhausted; expected it to fit: {_SMALLER}.")
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        _refuse(reporter, f"The memory of this machine was exhausted; expected the model to fit: {_SMALLER}.")


def _refuse(reporter: ProgressReporter, sentence: str) -> NoReturn:
    reporter.send(refused=sentence)
    sys.exit(2)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _take_stdout() -> int:
    """The pipe to the worker, for events alone: what a library prints goes to the log."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    return pipe


_SMALLER = "choose fewer documents, a shorter context or a smaller model"

if __name__ == "__main__":
    main()

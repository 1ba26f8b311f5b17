"""huey's queue in the file of the job records: a message is the number of a job, in JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from softh.jobs import records

Take = Callable[[int], None]
"""Takes a job up by its number."""


class Json(Serializer):
    """Messages as JSON: huey pickles them otherwise, and a pickle runs whatever it holds."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict() if isinstance(data, Message) else data).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(bytes(data))
        return Message(**found) if isinstance(found, dict) else found


@dataclass(frozen=True)
class Queue:
    """An open queue; `take` is what its consumer does with a message."""

    huey: SqliteHuey
    task: Any

    def push(self, number: int) -> None:
        """Say that a job waits; one message too many does no harm, for a job is claimed in its record."""
        self.huey.enqueue(self.task.s(number))

    def refill(self, folder: Path) -> None:
        """One message for every waiting job, in their order, whatever messages were lost."""
        # First emptied, then listed: a job submitted in between has its record already, and a message of its own.
        self.huey.storage.flush_queue()
        for number in records.waiting(folder):
            self.push(number)

    def close(self) -> None:
        """Let go of the file."""
        self.huey.storage.close()


def open_queue(folder: Path, take: Take | None = None) -> Queue:
    """The queue of a folder; who only submits gives no `take`."""
    with records.connect(folder):
        pass  # makes the file in write-ahead mode, once
    huey = SqliteHuey(
        "softh",
        filename=str(folder / records.FILE),
        results=False,
        serializer=Json(),
        fsync=True,
        timeout=30,
        strict_fifo=True,
    )

    @huey.task(name="job")
    def job(number: int) -> None:
        if take is not None:
            take(number)

    return Queue(huey, job)

"""Progress of long work, as functions report it."""

from typing import Protocol


class Progress(Protocol):
    """What is told of long work; the last call of a phase has done == total."""

    def __call__(self, phase: str, done: int, total: int, note: str = "") -> None:
        """So many steps of a phase are done; `note` says what is at work now."""

"""The callback that long computations report their progress to."""

from typing import Protocol


class Progress(Protocol):
    """A progress callback; the last call of a phase has done == total."""

    def __call__(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` steps of a phase are done; `note` names what is running."""

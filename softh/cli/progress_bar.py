"""Progress of long work on stderr: one line a phase, with its rate and the time left."""

import sys
from types import TracebackType
from typing import Any, Self

from rich import progress
from rich.console import Console
from rich.progress import ProgressColumn, Task
from rich.text import Text


class Bar:
    """Progress bars of the phases that a computation reports; none before the first report."""

    def __init__(self) -> None:
        columns = (
            progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(), _Rate(),
            progress.TimeRemainingColumn(), progress.TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        # In a terminal, what is printed meanwhile appears above the bars.
        self.progress = progress.Progress(
            *columns, console=Console(stderr=True), speed_estimate_period=600, redirect_stdout=sys.stdout.isatty()
        )
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.tasks:
            self.progress.stop()

    def __call__(self, phase: str, done: int, total: int, note: str = "") -> None:
        """One step of a phase."""
        if phase not in self.tasks:
            self.progress.start()  # not before there is something to count: downloads draw bars of their own
            self.tasks[phase] = self.progress.add_task(phase, note=note)
        self.progress.update(self.tasks[phase], completed=done, total=total, note=note)


class _Rate(ProgressColumn):
    """Steps a second, or seconds a step when they are slow."""

    def render(self, task: Task) -> Text:
        """Text of the column."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")

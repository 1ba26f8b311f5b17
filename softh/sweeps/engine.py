"""Engines run the tasks of a sweep somewhere: each task ends once, and one that fails is tried again."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from softh import settings
from softh.errors import InputError
from softh.spec import EstimateSpec

if TYPE_CHECKING:
    from softh.sweeps import sharding

MAX_ATTEMPTS = 2
"""A task that failed is tried once more, on another machine where there is one."""

Task: TypeAlias = "EstimateSpec | sharding.ShardTask"
"""One estimate, or a shard of one."""
Watch = Callable[[Sequence[str]], None]
"""Called about once a second with the titles and states of the tasks that run."""


@dataclass(frozen=True)
class TaskResult:
    """Result of a task: exactly one of the four is given."""

    record: dict[str, Any] | None = None
    """Rows of an estimate, for :func:`softh.store.write.save`."""
    partial: Any = None
    """What a shard computed."""
    error: str | None = None
    """Why the task cannot be done, in one sentence for its author: the message of an InputError."""
    crashed: str | None = None
    """How its process or machine went away, in one sentence."""

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"A task result was given {given or 'nothing'}; expected exactly one of {[*vars(self)]}.")

    @property
    def failure(self) -> str | None:
        """Why there is no result, in one sentence; None for a task that succeeded."""
        return self.error if self.crashed is None else self.crashed


@dataclass(frozen=True)
class Outcome:
    """The end of one estimate of a sweep."""

    spec: EstimateSpec
    record: dict[str, Any] | None = None
    """Rows for :func:`softh.store.write.save`; None when it failed."""
    failure: str | None = None
    """Why it failed, in one sentence."""


class Engine(ABC):
    """A place where tasks run. A handle, whatever :meth:`submit` returns, names a submitted task."""

    @abstractmethod
    def has_capacity(self, task: Task) -> bool:
        """Whether this task is worth submitting now; True when none runs."""

    @abstractmethod
    def submit(self, task: Task) -> Any:
        """Start a task, and return its handle."""

    @abstractmethod
    def poll(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Handles of the tasks that have ended; returns within about a second, also when none has."""

    @abstractmethod
    def result(self, handle: Any) -> TaskResult:
        """Result of a task that has ended."""

    @abstractmethod
    def cancel(self, handle: Any) -> None:
        """End a task whose result is not needed any more."""

    def status(self, handle: Any) -> str:
        """The last progress that a task reported, where the engine can know; else empty."""
        return ""

    def prepare(self, task: Task, waiting: int) -> None:
        """Prepare for the next of `waiting` tasks while others run, such as by fetching; by default nothing."""
        return

    def close(self) -> None:
        """Release what the engine took, when no task runs any more."""
        return


def run(
    specs: Iterable[EstimateSpec], engine: Engine, attempts: int = MAX_ATTEMPTS, watch: Watch | None = None
) -> Iterator[Outcome]:
    """The outcome of every estimate once, in completion order."""
    try:
        with closing(run_tasks(specs, engine, attempts, watch)) as results:
            for spec, result in results:
                assert isinstance(spec, EstimateSpec)
                yield Outcome(spec, result.record, result.failure)
    finally:
        engine.close()


def run_sharded(
    specs: Iterable[EstimateSpec], engine: Engine, shards: int, attempts: int = MAX_ATTEMPTS, watch: Watch | None = None
) -> Iterator[Outcome]:
    """The outcome of one estimate after another, the tasks of each in so many shards."""
    from softh.sweeps import sharding  # imports torch, which a command that only lists does without

    def run_shards(tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        with closing(run_tasks(tasks, engine, attempts, watch)) as results:
            for task, result in results:
                if result.failure is not None:
                    raise InputError(result.failure)
                yield task, result.partial

    settings.cache().mkdir(parents=True, exist_ok=True)
    try:
        for spec in specs:
            try:
                yield Outcome(spec, sharding.estimate(spec, shards, run_shards, settings.cache()).record())
            except InputError as error:
                yield Outcome(spec, failure=str(error))
    finally:
        engine.close()


def run_tasks(
    tasks: Iterable[Task], engine: Engine, attempts: int = MAX_ATTEMPTS, watch: Watch | None = None
) -> Generator[tuple[Task, TaskResult]]:
    """Every task with its result, in completion order; one that fails is tried so many times in all.

    Closed early, it cancels the tasks that still run.
    """
    waiting = deque((task, 1) for task in tasks)
    running: dict[Any, tuple[Task, int]] = {}
    try:
        while waiting or running:
            while waiting and engine.has_capacity(waiting[0][0]):
                task, attempt = waiting.popleft()
                running[engine.submit(task)] = task, attempt
            if waiting:
                engine.prepare(waiting[0][0], len(waiting))
            if watch is not None:
                watch([_with_status(task, engine.status(handle)) for handle, (task, _) in running.items()])
            for handle in engine.poll([*running]):
                task, attempt = running.pop(handle)
                result = engine.result(handle)
                if result.failure is not None and attempt < attempts:
                    waiting.append((task, attempt + 1))
                    continue
                yield task, result
    finally:
        for handle in running:
            engine.cancel(handle)


def task_title(task: Task) -> str:
    """A task in a few words: a hub id or the end of a path, its revision, and the shard it is.

    >>> task_title(EstimateSpec(model="/home/me/run/step8"))
    'run/step8'
    """
    spec = spec_of(task)
    name = "/".join(Path(spec.model).parts[-2:]) + (f"@{spec.revision}" if spec.revision else "")
    return name if isinstance(task, EstimateSpec) else f"{name}, {task.title}"


def spec_of(task: Task) -> EstimateSpec:
    """The specification of the estimate that a task is, or is a shard of."""
    return task if isinstance(task, EstimateSpec) else task.spec


def run_task(
    task: Task, device: str, *, free: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> TaskResult:
    """Run one task in this process, on whatever machine; an InputError becomes the error of the result.

    free: remove a hub checkpoint from this machine once it is estimated.
    """
    from softh.checkpoints import hub
    from softh.estimator.pipeline import estimate
    from softh.models.cache import open_cache

    try:
        if not isinstance(task, EstimateSpec):
            return TaskResult(partial=task.run(device, progress))
        with open_cache(settings.cache()) as cache:
            record = estimate(task, device=device, cache=cache, progress=progress).record()
        if free:
            hub.remove_commit(task.model, record["checkpoint"]["digest"])
    except InputError as error:
        return TaskResult(error=str(error))
    return TaskResult(record=record)


def _with_status(task: Task, status: str) -> str:
    return f"{task_title(task)}: {status}" if status else task_title(task)

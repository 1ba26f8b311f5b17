"""The engine of one machine: a process for each task, on GPUs of its own; the next task is prepared meanwhile."""

import importlib
import multiprocessing
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from softh.checkpoints import resolve
from softh.cost import predict, preflight
from softh.cost.hardware import this_machine
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.sweeps.engine import Engine, Task, TaskResult, run_task, spec_of

_REPORT_SECONDS = 0.5
"""Seconds between two progress reports of a task."""


class _IdleProcess(NamedTuple):
    """A process that waits for a task, and the pipe to it."""

    pipe: Connection
    process: BaseProcess


@dataclass
class _RunningTask:
    """The process of a task, its GPUs, and what it has reported."""

    process: BaseProcess
    gpus: tuple[int, ...]
    status: str = ""
    result: TaskResult | None = None


@dataclass(frozen=True)
class _Fetch:
    """A process that fetches a checkpoint of the hub."""

    spec: EstimateSpec
    process: BaseProcess


class LocalEngine(Engine):
    """A process for each task, so that its memory is freed; one at a time, or as many as there are GPUs for."""

    def __init__(self, device: str = "auto", gpus: int | None = None, *, free: bool = False) -> None:
        """gpus: GPUs of every task; None is one where its model fits, else as few as hold it."""
        import torch

        self.device, self.gpus_each, self.free = device, gpus, free
        count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        self.gpus = visible.split(",")[:count] if visible else [str(number) for number in range(count)]
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[Connection, _RunningTask] = {}
        self._idle: dict[tuple[int, ...], _IdleProcess] = {}
        self._fetch: _Fetch | None = None
        self._gpus_needed: dict[tuple[str, str | None], int] = {}

    def has_capacity(self, task: Task) -> bool:
        """Whether as many GPUs are free as the task needs; without GPUs, whether nothing runs."""
        return not self._running or len(self._free_gpus()) >= self.gpus_needed(task)

    def submit(self, task: Task) -> Connection:
        """Run a task in a process of its own, after a fetch of its checkpoint that is under way."""
        if self._fetch is not None and self._fetch.spec == spec_of(task):
            self._fetch.process.join()
        gpus = tuple(self._free_gpus()[: self.gpus_needed(task)])
        idle = self._idle.pop(gpus, None)
        if idle is None or not idle.process.is_alive():
            idle = self._start_process(gpus)
        with suppress(OSError):  # killed meanwhile: it will return no result
            idle.pipe.send(task)
        self._running[idle.pipe] = _RunningTask(idle.process, gpus)
        return idle.pipe

    def _start_process(self, gpus: Sequence[int]) -> _IdleProcess:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_child, args=(theirs, self.device, self.free), daemon=True)
        with _visible([self.gpus[gpu] for gpu in gpus] if len(self.gpus) > 1 else None):
            process.start()
        theirs.close()
        return _IdleProcess(ours, process)

    def poll(self, handles: Sequence[Connection]) -> Sequence[Connection]:
        """Pipes of the processes that returned a result or ended without one."""
        ended = []
        for pipe in wait(handles, timeout=1):
            assert isinstance(pipe, Connection)
            message = None
            with suppress(EOFError, OSError):  # killed before it returned a result, or while it did
                message = pipe.recv()
            if isinstance(message, str):
                self._running[pipe].status = message
            else:
                self._running[pipe].result = message
                ended.append(pipe)
        return ended

    def result(self, handle: Connection) -> TaskResult:
        """What the process returned, or the code it ended with."""
        task = self._running.pop(handle)
        task.process.join()
        handle.close()
        code = task.process.exitcode
        return task.result or TaskResult(crashed=f"Its process ended with code {code} before it returned a result.")

    def status(self, handle: Connection) -> str:
        """The phase that a task is in, and how far."""
        return self._running[handle].status

    def prepare(self, task: Task, waiting: int) -> None:
        """Fetch the checkpoint of the next task, one at a time, each once; start processes for GPUs that are busy.

        What a process imports takes seconds, in which its GPUs would be idle.
        """
        busy = [running.gpus for running in self._running.values()] if self.gpus else []
        for gpus in busy:
            if gpus not in self._idle and len(self._idle) < waiting and len(gpus) == self.gpus_needed(task):
                self._idle[gpus] = self._start_process(gpus)
        spec = spec_of(task)
        if resolve.is_local(spec.model) or (
            self._fetch is not None and (self._fetch.process.is_alive() or self._fetch.spec == spec)
        ):
            return
        process = self._context.Process(target=_fetch_checkpoint, args=(spec,), daemon=True)
        process.start()
        self._fetch = _Fetch(spec, process)

    def cancel(self, handle: Connection) -> None:
        """End its process."""
        task = self._running.pop(handle)
        task.process.terminate()
        task.process.join()
        handle.close()

    def close(self) -> None:
        """End the fetch and the processes that wait for a task."""
        idle = [waiting.process for waiting in self._idle.values()]
        for process in idle + ([self._fetch.process] if self._fetch is not None else []):
            process.terminate()
            process.join()

    def gpus_needed(self, task: Task) -> int:
        """GPUs that a task runs on."""
        if len(self.gpus) < 2 or self.gpus_each is not None:
            return min(self.gpus_each or 1, max(1, len(self.gpus)))
        spec = spec_of(task)
        key = (spec.model, spec.revision)
        if key not in self._gpus_needed:
            self._gpus_needed[key] = min(len(self.gpus), _gpus_needed(spec))
        return self._gpus_needed[key]

    def _free_gpus(self) -> list[int]:
        busy = {gpu for task in self._running.values() for gpu in task.gpus}
        return [gpu for gpu in range(max(1, len(self.gpus))) if gpu not in busy]


def _gpus_needed(spec: EstimateSpec) -> int:
    """From the headers of the model; 1 for a model that cannot be read, which its task will report."""
    try:
        model = preflight.preflight(spec)
    except InputError:
        return 1
    sizes = predict.Sizes(model.parameters, model.layers, model.width, model.vocabulary)
    return predict.gpus_needed(
        sizes, predict.BYTES[predict.dtype_of(spec, on_gpu=True)], [gpu.total for gpu in this_machine().gpus]
    )


@contextmanager
def _visible(names: Sequence[str] | None) -> Generator[None]:
    """Show only these GPUs to a process that is started in the block: the first import may look for them."""
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
    try:
        yield
    finally:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _child(pipe: Connection, device: str, free: bool) -> None:
    """The process of one task, for which it waits."""
    importlib.import_module("softh.estimator.pipeline")
    try:
        task = pipe.recv()
    except EOFError:  # the engine was closed without a task for it
        return
    pipe.send(run_task(task, device, free=free, progress=_ProgressReporter(pipe)))


class _ProgressReporter:
    """Sends the phase and how far it is, not more often than twice a second."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.reported = pipe, 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.reported >= _REPORT_SECONDS:
            self.reported = now
            self.pipe.send(f"{phase}, {done} of {total}")


def _fetch_checkpoint(spec: EstimateSpec) -> None:
    """The process that fetches; an error is left to the task, which meets it again and reports it."""
    with suppress(InputError):
        resolve.resolve(spec.model, spec.revision)

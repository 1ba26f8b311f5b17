"""The engine of one machine: a process for each unit, on GPUs of its own, and what comes next made ready meanwhile."""

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
from softh.sweeps.engine import Answer, Engine, Unit, work

_EVERY = 0.5
"""Seconds between two words of a unit."""


class _Begun(NamedTuple):
    """A process that waits for a unit, and the pipe to it."""

    pipe: Connection
    process: BaseProcess


@dataclass
class _Running:
    """A process, the GPUs that are its own, and what it has said."""

    process: BaseProcess
    cards: tuple[int, ...]
    told: str = ""
    answer: Answer | None = None


@dataclass(frozen=True)
class _Fetch:
    """A process that fetches a checkpoint of the hub."""

    spec: EstimateSpec
    process: BaseProcess


class Local(Engine):
    """Processes of this machine, one at a time or as many as GPUs allow: what a unit takes of memory comes back."""

    def __init__(self, device: str = "auto", gpus: int | None = None, *, free: bool = False) -> None:
        """`gpus` for every unit; None is one where its model fits, else as few as hold it."""
        import torch

        self.device, self.asked, self.free = device, gpus, free
        count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        self.gpus = named.split(",")[:count] if named else [str(number) for number in range(count)]
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[Connection, _Running] = {}
        self._ready: dict[tuple[int, ...], _Begun] = {}
        self._fetch: _Fetch | None = None
        self._cards: dict[tuple[str, str | None], int] = {}

    def room(self, unit: Unit) -> bool:
        """Whether as many GPUs are idle as the unit takes; without GPUs, whether nothing runs."""
        return not self._running or len(self._idle()) >= self.cards(unit)

    def start(self, unit: Unit) -> Connection:
        """A process of its own; a checkpoint that is being fetched for it is waited for, so that it comes once."""
        if self._fetch is not None and self._fetch.spec == _spec(unit):
            self._fetch.process.join()
        cards = tuple(self._idle()[: self.cards(unit)])
        begun = self._ready.pop(cards, None)
        if begun is None or not begun.process.is_alive():
            begun = self._begin(cards)
        with suppress(OSError):  # killed meanwhile: it will give no answer
            begun.pipe.send(unit)
        self._running[begun.pipe] = _Running(begun.process, cards)
        return begun.pipe

    def _begin(self, cards: Sequence[int]) -> _Begun:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_child, args=(theirs, self.device, self.free), daemon=True)
        with _visible([self.gpus[card] for card in cards] if len(self.gpus) > 1 else None):
            process.start()
        theirs.close()
        return _Begun(ours, process)

    def done(self, running: Sequence[Connection]) -> Sequence[Connection]:
        """Pipes that gave an answer, or that nobody holds the other end of any more."""
        ended = []
        for pipe in wait(running, timeout=1):
            assert isinstance(pipe, Connection)
            heard = None
            with suppress(EOFError, OSError):  # killed before it answered, or while it did
                heard = pipe.recv()
            if isinstance(heard, str):
                self._running[pipe].told = heard
            else:
                self._running[pipe].answer = heard
                ended.append(pipe)
        return ended

    def answer(self, running: Connection) -> Answer:
        """What came through the pipe."""
        unit = self._running.pop(running)
        unit.process.join()
        running.close()
        return unit.answer or {"lost": f"Its process ended with code {unit.process.exitcode} before it answered."}

    def told(self, running: Connection) -> str:
        """The phase that a unit is in, and how far."""
        return self._running[running].told

    def prepare(self, unit: Unit, waiting: int) -> None:
        """Fetch the checkpoint of the next unit, one at a time, each once; begin processes on GPUs that are busy.

        What a process imports takes seconds, in which its GPUs would be idle.
        """
        busy = [running.cards for running in self._running.values()] if self.gpus else []
        for cards in busy:
            if cards not in self._ready and len(self._ready) < waiting and len(cards) == self.cards(unit):
                self._ready[cards] = self._begin(cards)
        spec = _spec(unit)
        if resolve.is_local(spec.model) or (
            self._fetch is not None and (self._fetch.process.is_alive() or self._fetch.spec == spec)
        ):
            return
        process = self._context.Process(target=_fetched, args=(spec,), daemon=True)
        process.start()
        self._fetch = _Fetch(spec, process)

    def stop(self, running: Connection) -> None:
        """End its process."""
        unit = self._running.pop(running)
        unit.process.terminate()
        unit.process.join()
        running.close()

    def close(self) -> None:
        """End what is being fetched and what was made ready."""
        made = [begun.process for begun in self._ready.values()]
        for process in made + ([self._fetch.process] if self._fetch is not None else []):
            process.terminate()
            process.join()

    def cards(self, unit: Unit) -> int:
        """How many GPUs a unit takes."""
        if len(self.gpus) < 2 or self.asked is not None:
            return min(self.asked or 1, max(1, len(self.gpus)))
        spec = _spec(unit)
        key = (spec.model, spec.revision)
        if key not in self._cards:
            self._cards[key] = min(len(self.gpus), _cards(spec))
        return self._cards[key]

    def _idle(self) -> list[int]:
        busy = {card for unit in self._running.values() for card in unit.cards}
        return [card for card in range(max(1, len(self.gpus))) if card not in busy]


def _spec(unit: Unit) -> EstimateSpec:
    return unit if isinstance(unit, EstimateSpec) else unit.spec


def _cards(spec: EstimateSpec) -> int:
    """From the sizes that a model's headers say; one for a model that cannot be looked at, which its unit will say."""
    try:
        found = preflight.preflight(spec)
    except InputError:
        return 1
    sizes = predict.Sizes(found.parameters, found.layers, found.width, found.vocabulary)
    return predict.cards(
        sizes, predict.BYTES[predict.dtype_of(spec, on_gpu=True)], [gpu.total for gpu in this_machine().gpus]
    )


@contextmanager
def _visible(names: Sequence[str] | None) -> Generator[None]:
    """The GPUs that a process which starts meanwhile sees: whatever it imports first may look for them."""
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
    """The process of one unit, which it waits for."""
    importlib.import_module("softh.estimator.pipeline")
    try:
        unit = pipe.recv()
    except EOFError:  # there was none for it
        return
    pipe.send(work(unit, device, free=free, progress=_Teller(pipe)))


class _Teller:
    """Says now and then which phase it is, and how far."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.told = pipe, 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.told >= _EVERY:
            self.told = now
            self.pipe.send(f"{phase}, {done} of {total}")


def _fetched(spec: EstimateSpec) -> None:
    """The process that fetches; whatever stands in the way, the unit will say."""
    with suppress(InputError):
        resolve.resolve(spec.model, spec.revision)

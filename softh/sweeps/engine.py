"""What runs the units of a sweep, wherever that is: each ends once, and one that is lost is tried again."""

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

TRIES = 2
"""A unit that failed is tried once more, on another machine where there is one; then it is set aside."""

Unit: TypeAlias = "EstimateSpec | sharding.Unit"
"""One estimate, or a part of one."""
Answer = dict[str, Any]
"""What a unit came to: the rows of its estimate under ``record``, what a part found under ``part``, or one sentence
under ``refused`` or ``lost``."""
Watch = Callable[[Sequence[str]], None]
"""Told about once a second which units run now."""


@dataclass(frozen=True)
class Outcome:
    """The end of one estimate."""

    spec: EstimateSpec
    record: dict[str, Any] | None
    """Rows for :func:`softh.store.write.save`; None when it is set aside."""
    why: str
    """Why it is set aside, in one sentence."""


class Engine(ABC):
    """A place where units run; it knows nothing of the store."""

    @abstractmethod
    def room(self, unit: Unit) -> bool:
        """Whether this unit is worth starting now; True when none runs."""

    @abstractmethod
    def start(self, unit: Unit) -> Any:
        """Start a unit; what it returns names the unit to the other methods."""

    @abstractmethod
    def done(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those that have ended; returns within about a second, also with none."""

    @abstractmethod
    def answer(self, running: Any) -> Answer:
        """What an ended unit came to."""

    @abstractmethod
    def stop(self, running: Any) -> None:
        """End a unit that nobody waits for any more."""

    def told(self, running: Any) -> str:
        """What a unit last said of itself, where that can be heard."""
        return ""

    def prepare(self, unit: Unit, waiting: int) -> None:
        """Make ready what the next of so many waiting units will need, while others run; by default nothing."""
        return

    def close(self) -> None:
        """Leave the place as it was, when no unit runs any more."""
        return


def run(
    specs: Iterable[EstimateSpec], engine: Engine, tries: int = TRIES, watch: Watch | None = None
) -> Iterator[Outcome]:
    """Every estimate once, as it ends, in no order."""
    try:
        with closing(attempts(specs, engine, tries, watch)) as ended:
            for spec, answer in ended:
                assert isinstance(spec, EstimateSpec)
                yield Outcome(spec, answer.get("record"), _why(answer))
    finally:
        engine.close()


def run_split(
    specs: Iterable[EstimateSpec], engine: Engine, parts: int, tries: int = TRIES, watch: Watch | None = None
) -> Iterator[Outcome]:
    """One estimate after another, the units of each in so many parts."""
    from softh.sweeps import sharding  # with torch, which a command that only lists does without

    def parts_of(units: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        with closing(attempts(units, engine, tries, watch)) as ended:
            for unit, answer in ended:
                if "part" not in answer:
                    raise InputError(_why(answer))
                yield unit, answer["part"]

    settings.cache().mkdir(parents=True, exist_ok=True)
    try:
        for spec in specs:
            try:
                yield Outcome(spec, sharding.estimate(spec, parts, parts_of, settings.cache()).record(), "")
            except InputError as error:
                yield Outcome(spec, None, str(error))
    finally:
        engine.close()


def attempts(
    units: Iterable[Unit], engine: Engine, tries: int = TRIES, watch: Watch | None = None
) -> Generator[tuple[Unit, Answer]]:
    """Every unit with its answer, as it ends, in no order; one whose process or machine goes away is tried again.

    Closed early, it stops whatever still runs.
    """
    waiting = deque((unit, 1) for unit in units)
    running: dict[Any, tuple[Unit, int]] = {}
    try:
        while waiting or running:
            while waiting and engine.room(waiting[0][0]):
                unit, attempt = waiting.popleft()
                running[engine.start(unit)] = unit, attempt
            if waiting:
                engine.prepare(waiting[0][0], len(waiting))
            if watch is not None:
                watch([_now(unit, engine.told(name)) for name, (unit, _) in running.items()])
            for name in engine.done([*running]):
                unit, attempt = running.pop(name)
                answer = engine.answer(name)
                if _why(answer) and attempt < tries:
                    waiting.append((unit, attempt + 1))
                    continue
                yield unit, answer
    finally:
        for name in running:
            engine.stop(name)


def title(unit: Unit) -> str:
    """A unit in a few words: a hub id or the end of a path, its revision, and the part it is."""
    spec = unit if isinstance(unit, EstimateSpec) else unit.spec
    name = "/".join(Path(spec.model).parts[-2:]) + (f"@{spec.revision}" if spec.revision else "")
    return name if isinstance(unit, EstimateSpec) else f"{name}, {unit.title}"


def work(
    unit: Unit, device: str, *, free: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> Answer:
    """Run one unit in this process; what its author can mend comes back as a sentence, on whatever machine.

    free: remove a hub checkpoint from this machine once it is estimated.
    """
    from softh.checkpoints import hub
    from softh.estimator.pipeline import estimate
    from softh.models.cache import open_cache

    try:
        if not isinstance(unit, EstimateSpec):
            return {"part": unit.run(device, progress)}
        with open_cache(settings.cache()) as cache:
            record = estimate(unit, device=device, cache=cache, progress=progress).record()
        if free:
            hub.forget(unit.model, record["checkpoint"]["digest"])
    except InputError as error:
        return {"refused": str(error)}
    return {"record": record}


def _why(answer: Answer) -> str:
    return answer.get("refused") or answer.get("lost", "")


def _now(unit: Unit, told: str) -> str:
    return f"{title(unit)}: {told}" if told else title(unit)

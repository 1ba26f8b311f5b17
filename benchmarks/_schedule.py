"""The schedule of a sweep in virtual time: the program's own scheduler over an engine that only keeps a clock."""

import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from softh.spec import EstimateSpec
from softh.sweeps import engine as engines

REPAIR = 600.0
"""Seconds until another GPU stands in for one that went away."""
SPREAD = 0.1
"""A unit takes up to so much more or less than expected."""


class Simulated(engines.Engine):
    """GPUs that go away at random, each with the unit it runs; time passes only in :meth:`poll`."""

    def __init__(self, seconds: Mapping[str, float], gpus: int, failures: float, seed: int) -> None:
        """`seconds` by model; `failures` an hour of a GPU that works."""
        self.seconds, self.failures, self.chance = seconds, failures / 3600, random.Random(seed)
        self.now = self.useful = self.lost = 0.0
        self.places = gpus
        self._ends: list[tuple[float, int]] = []
        self._units: dict[int, tuple[float, bool]] = {}
        self._count = 0

    def has_capacity(self, task: engines.Task) -> bool:
        """Whether a GPU stands idle."""
        return len(self._units) < self.places

    def submit(self, task: engines.Task) -> int:
        """A unit that ends in time, or when its GPU goes away."""
        assert isinstance(task, EstimateSpec)
        whole = self.seconds[task.model] * self.chance.uniform(1 - SPREAD, 1 + SPREAD)
        until = self.chance.expovariate(self.failures) if self.failures else whole
        self._count += 1
        self._units[self._count] = min(whole, until), until < whole
        heapq.heappush(self._ends, (self.now + min(whole, until), self._count))
        return self._count

    def cancel(self, handle: int) -> None:
        """Its GPU is free again."""
        self._units.pop(handle)

    def poll(self, handles: Sequence[Any]) -> Sequence[int]:
        """The next that ends, or none when all that happens next is a GPU that comes back."""
        self.now, unit = heapq.heappop(self._ends)
        if unit in self._units:
            return [unit]
        self.places += 1
        return []

    def result(self, handle: int) -> engines.TaskResult:
        """An empty record, or that the GPU is gone, and for how long."""
        spent, failed = self._units.pop(handle)
        if not failed:
            self.useful += spent
            return engines.TaskResult(record={})
        self.lost += spent
        self.places -= 1
        heapq.heappush(self._ends, (self.now + REPAIR, handle))
        return engines.TaskResult(crashed="Its machine went away.")


@dataclass(frozen=True)
class Course:
    """What became of a sweep; times in hours."""

    makespan: float
    utilisation: float
    """Useful time of the GPUs over all of it."""
    lost: float
    """Part of the working time that was lost."""
    aside: int
    """Units that the first sweep set aside after two tries."""
    sweeps: int
    """How often it was said until nothing was missing."""


def course(
    units: Sequence[EstimateSpec], seconds: Mapping[str, float], gpus: int, failures: float, seed: int
) -> Course:
    """Sweep until every unit is stored, as a person would who says the command again."""
    engine = Simulated(seconds, gpus, failures, seed)
    missing, sweeps, aside = list(units), 0, 0
    while missing:
        missing = [outcome.spec for outcome in engines.run(missing, engine) if outcome.record is None]
        sweeps += 1
        aside = aside or len(missing)
    working = engine.useful + engine.lost
    return Course(
        engine.now / 3600,
        engine.useful / (gpus * engine.now),
        engine.lost / working,
        aside if sweeps > 1 else 0,
        sweeps,
    )


def over_seeds(values: Sequence[float], form: str) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):{form}} ± {stdev(values):{form}}"

"""A logarithmic scale that has a place for zero: checkpoints start at step 0."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LogScale:
    """Decimal logarithm of counts with a place for zero, half a decade below the least positive one."""

    least: float
    most: float
    zero: bool

    @classmethod
    def of(cls, values: Sequence[float]) -> "LogScale":
        """The scale that holds all values, which are at least 0."""
        positive = [value for value in values if value > 0] or [1.0]
        return cls(min(positive), max(positive), min(values) <= 0)

    def place(self, value: float) -> float:
        """Where a value lies on a linear axis."""
        return math.log10(value) if value > 0 else math.log10(self.least) - 0.5

    def share(self, value: float) -> float:
        """Where a value lies from the first (0) to the last (1)."""
        first, last = self.place(0) if self.zero else self.place(self.least), self.place(self.most)
        return (self.place(value) - first) / (last - first) if last > first else 1.0

    def ticks(self, steps: Sequence[int] = ()) -> list[float]:
        """Values worth a tick: zero and these steps of each decade, by default 1, or 1, 2 and 5 on a short scale."""
        low, high = math.floor(math.log10(self.least)), math.ceil(math.log10(self.most))
        steps = steps or ((1,) if high - low > 2 else (1, 2, 5))
        candidates = [step * 10.0**power for power in range(low, high + 1) for step in steps]
        ticks = [value for value in candidates if self.least <= value <= self.most]
        return [0.0, *ticks] if self.zero else ticks


def linear_ticks(most: float) -> list[float]:
    """Five to ten round values from 0 to most."""
    step = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(step / part for part in (1, 2, 5, 10) if most / (step / part) >= 4)
    return [step * i for i in range(math.floor(most / step) + 1)]

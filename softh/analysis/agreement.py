"""Whether two measurements of the same thing agree: differences by layer with paired errors, and a tolerance."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from softh.analysis.differences import Difference, difference

Verdict = Literal["agrees", "differs", "undecided"]


@dataclass(frozen=True)
class Compared:
    """One quantity at one place of two measurements."""

    place: str
    """``layer 3``, ``mean``, or the revision of a checkpoint."""
    quantity: str
    first: float | None
    second: float | None
    difference: Difference
    """The second less the first."""

    @property
    def is_real(self) -> bool:
        """Whether the difference is larger than its 95 % interval."""
        value, half = self.difference.value, self.difference.half_width
        return value is not None and half is not None and abs(value) > half


@dataclass(frozen=True)
class ComparisonSummary:
    """A quantity over several places."""

    quantity: str
    places: int
    largest: float | None
    """Largest difference by size."""
    at: str
    mean: float | None
    correlation: float | None
    """Pearson's, of the values at all places; None for fewer than three or where one is constant."""
    real: int
    """Places where the difference is larger than its 95 % interval."""


def lines(
    place: str, first: Mapping[str, Any], second: Mapping[str, Any], quantities: Sequence[str]
) -> Iterator[Compared]:
    """Every quantity of two rows of :func:`softh.store.read.trajectory` at one place."""
    for name in quantities:
        yield Compared(place, name, first[name], second[name], difference(second, first, name))


def summarise(found: Sequence[Compared]) -> list[ComparisonSummary]:
    """One summary a quantity, in the order in which they come."""
    return [_summary(name, [line for line in found if line.quantity == name]) for name in _names(found)]


def judge(found: Sequence[Compared], tolerance: float) -> Verdict:
    """Whether all differences are within a tolerance.

    ``differs`` where one is larger than the tolerance by more than half of its 95 % interval, ``undecided`` where one
    is larger by less, or is not known; else ``agrees``.

    >>> sure = Difference(0.5, ((0.01, 7),), ((0.0, 7),))
    >>> judge([Compared("mean", "input", 1.0, 1.5, sure)], 0.1), judge([Compared("mean", "input", 1.0, 1.5, sure)], 0.6)
    ('differs', 'agrees')
    """
    verdicts = {_verdict(line, tolerance) for line in found}
    return "differs" if "differs" in verdicts else "undecided" if "undecided" in verdicts or not found else "agrees"


def _verdict(line: Compared, tolerance: float) -> Verdict:
    if line.first is None and line.second is None:
        return "agrees"  # nothing can be said of either
    if line.difference.value is None:
        return "undecided"
    size = abs(line.difference.value)
    if size <= tolerance:
        return "agrees"
    return "differs" if size - (line.difference.half_width or 0.0) > tolerance else "undecided"


def _names(found: Sequence[Compared]) -> list[str]:
    return list(dict.fromkeys(line.quantity for line in found))


def _summary(name: str, found: Sequence[Compared]) -> ComparisonSummary:
    known = [line for line in found if line.difference.value is not None]
    values = [line.difference.value for line in known if line.difference.value is not None]
    worst = max(known, key=lambda line: abs(line.difference.value or 0.0), default=None)
    pairs = [(line.first, line.second) for line in known if line.first is not None and line.second is not None]
    return ComparisonSummary(
        name,
        len(found),
        None if worst is None else worst.difference.value,
        "" if worst is None else worst.place,
        math.fsum(values) / len(values) if values else None,
        _correlation(pairs),
        sum(line.is_real for line in found),
    )


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 3 or any(max(each) - min(each) < 1e-12 for each in zip(*pairs, strict=True)):
        return None
    return statistics.correlation(*zip(*pairs, strict=True))

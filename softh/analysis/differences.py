"""One estimate less another, and one run less another, with the error of the difference.

What two estimates share moves both alike and leaves their difference alone, so the error is that of the differences of
what is stored for it: of the value of every draw, where both were measured in the same reference directions, and of the
value without each fold, where both saw the same documents in the same folds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from softh.analysis.standard_errors import combined, half_width

Row = Mapping[str, Any]
_Kind = Literal["draws", "documents"]
_Part = tuple[float, int | None]
"""A standard error and its degrees of freedom."""


@dataclass(frozen=True)
class Difference:
    """A number of one estimate less that of another."""

    value: float | None
    of_draws: tuple[_Part, ...] | None
    """One part by pairs, two as if apart; None where an error is not known."""
    of_documents: tuple[_Part, ...] | None
    of_seeds: tuple[_Part, ...] = ()
    """Of means over seeds, which share none."""

    @property
    def se_draws(self) -> float | None:
        """Standard error over draws of the reference directions."""
        return combined(*(error for error, _ in self.of_draws or ()))

    @property
    def se_documents(self) -> float | None:
        """Standard error over documents of the text."""
        return combined(*(error for error, _ in self.of_documents or ()))

    @property
    def se_seeds(self) -> float | None:
        """Standard error over runs that differ by their seed; None where neither is a mean over seeds."""
        return combined(*(error for error, _ in self.of_seeds))

    @property
    def error(self) -> float | None:
        """All together."""
        return combined(self.se_draws, self.se_documents, self.se_seeds)

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval; see :func:`softh.analysis.standard_errors.half_width`."""
        return half_width(*(self.of_draws or ()), *(self.of_documents or ()), *self.of_seeds)


def difference(row: Row, less: Row, name: str) -> Difference:
    """The quantity of one row less that of another, both as :func:`softh.store.read.trajectory` gives them."""
    value = None if row[name] is None or less[name] is None else row[name] - less[name]
    draws = _draws(row, less, name) if same_directions(row, less) else None
    folds = _folds(row, less, name) if same_documents(row, less) else None
    return Difference(
        value,
        ((_standard_error(draws), len(draws) - 1),) if draws else _apart(row, less, name, "draws"),
        ((jackknife(folds), len(folds) - 1),) if folds else _apart(row, less, name, "documents"),
        tuple(part for each in (row, less) if (part := _of_seeds(each, name))),
    )


def distance(row: Row, other: Row, names: Sequence[str]) -> Difference:
    """How far apart two rows lie on the plane of some quantities; its error is that along the line between them."""
    apart = [row[name] - other[name] for name in names]
    length = math.hypot(*apart)
    units = [part / length if length else 1 / math.sqrt(len(apart)) for part in apart]
    return difference(_along(row, names, units), _along(other, names, units), "distance")


def of_runs(rows: Sequence[Row], less: Sequence[Row], clock: str, quantities: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the first run with each quantity less that of the other at the same place of the clock.

    Both runs as rows of one order and correction; checkpoints that only one of them has are left out. The errors are in
    `_se_draws`, `_se_documents` and, of means over seeds, in `_sd_seeds`.
    """
    others = {row[clock]: row for row in less if row[clock] is not None}
    return [
        dict(row) | {key: value for name in quantities for key, value in _columns(row, other, name).items()}
        for row in rows
        if (other := others.get(row[clock])) is not None
    ]


def same_directions(row: Row, other: Row) -> bool:
    """Whether two estimates were measured in the same reference directions: the same width, seed and frame."""
    return all(row[name] == other[name] for name in ("width", "seed", "frame", "bins"))


def same_documents(row: Row, other: Row) -> bool:
    """Whether two estimates left out the same documents with each fold."""
    return all(row[name] == other[name] for name in ("corpus_digest", "documents", "folds"))


def jackknife(without: Sequence[float]) -> float:
    """Standard error √((g − 1)/g Σ (dᵢ − d̄)²) from g values without each fold.

    >>> jackknife([1.0, 3.0])
    1.0
    """
    folds, mean = len(without), math.fsum(without) / len(without)
    return math.sqrt((folds - 1) / folds * math.fsum((one - mean) ** 2 for one in without))


def _draws(row: Row, less: Row, name: str) -> list[float] | None:
    """The difference in every draw that both have; fewer draws are the first of more. None for fewer than two."""
    mine, theirs = ([*(each.get(f"{name}_draws") or ())] for each in (row, less))
    pairs: Iterable[tuple[float | None, float | None]] = zip(mine, theirs, strict=False)
    apart = [a - b for a, b in pairs if a is not None and b is not None]
    return apart if len(apart) > 1 else None


def _folds(row: Row, less: Row, name: str) -> list[float] | None:
    """The difference without each fold; None where one of them is not known."""
    mine, theirs = ([*(each.get(f"{name}_folds") or ())] for each in (row, less))
    if len(mine) < 2 or len(mine) != len(theirs) or None in (*mine, *theirs):
        return None
    return [a - b for a, b in zip(mine, theirs, strict=True)]


def _standard_error(values: Sequence[float]) -> float:
    number, mean = len(values), math.fsum(values) / len(values)
    return math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (number - 1) / number)


def _apart(row: Row, less: Row, name: str, kind: _Kind) -> tuple[_Part, ...] | None:
    """Both errors, as if nothing were shared; what is left of them in a mean over seeds is in the error over seeds."""
    parts = [_part(each, name, kind) for each in (row, less)]
    known = tuple((error, degrees) for error, degrees in parts if error is not None)
    return known if len(known) == 2 else None


def _part(row: Row, name: str, kind: _Kind) -> tuple[float | None, int | None]:
    if row.get("seeds") is not None:
        return 0.0, None
    # What is not of an estimate, such as a score, does not have its folds.
    degrees = row["draws" if kind == "draws" else "folds"] - 1 if f"{name}_se_draws" in row else None
    return row.get(f"{name}_se_{kind}"), degrees


def _of_seeds(row: Row, name: str) -> _Part | None:
    """Standard error of a mean over seeds."""
    seeds, deviation = row.get("seeds"), row.get(f"{name}_sd_seeds")
    return None if seeds is None or deviation is None else (deviation / math.sqrt(seeds), seeds - 1)


def _columns(row: Row, less: Row, name: str) -> dict[str, float | None]:
    found = difference(row, less, name)
    errors = {f"{name}_se_draws": found.se_draws, f"{name}_se_documents": found.se_documents}
    return {name: found.value, **errors, f"{name}_sd_seeds": found.se_seeds}


def _along(row: Row, names: Sequence[str], units: Sequence[float]) -> dict[str, Any]:
    """The row with `distance`, its quantities along a direction, and the replicates and errors of that."""

    def total(values: Sequence[Any]) -> float | None:
        if None in values:
            return None
        return math.fsum(unit * value for unit, value in zip(units, values, strict=True))

    found: dict[str, Any] = {"distance": total([row[name] for name in names])}
    for end in ("draws", "folds"):
        lists = [row.get(f"{name}_{end}") or () for name in names]
        found[f"distance_{end}"] = [total(each) for each in zip(*lists, strict=False)]
    for kind in ("draws", "documents"):
        errors = [row.get(f"{name}_se_{kind}") for name in names]
        scaled = [unit * error for unit, error in zip(units, errors, strict=True) if error is not None]
        found[f"distance_se_{kind}"] = math.hypot(*scaled) if scaled else None
    return {**row, **found}

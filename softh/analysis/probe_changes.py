"""Change of a probe from one model to another on the same pairs, with errors paired over draws and folds of pairs."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl

from softh.analysis.differences import jackknife
from softh.analysis.standard_errors import half_width
from softh.checkpoints.stages import stage_rank, without_stage

_SAME = ("settings", "width", "documents", "positions", "layers", "draws", "folds")
"""What two probes must share for their draws and folds to be the same; settings hold seed, bins and frame."""


@dataclass(frozen=True)
class Change:
    """After less before, of one layer, or of the mean over layers (None)."""

    layer: int | None
    value: float
    error: float
    """Standard error, over draws and pairs together."""
    low: float
    high: float
    """95 % interval."""


def stages(probes: pl.DataFrame) -> dict[str, tuple[str, str]]:
    """'NAME: base → dpo' → ids of the probe before and after, for every model probed before and after post-training.

    probes: one row a model, as :func:`softh.store.read.probes` gives; the longest way first.
    """
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in probes.to_dicts():
        families.setdefault(without_stage(row["model"]), []).append(row)
    steps = [
        (first - last, f"{name}: {_stage(before)} → {_stage(after)}", before, after)
        for name, rows in sorted(families.items())
        for (first, before), (last, after) in combinations(enumerate(sorted(rows, key=_rank)), 2)
        if _rank(before) < _rank(after) and all(before[key] == after[key] for key in _SAME)
    ]
    steps.sort(key=lambda step: step[0])
    return {name: (before["estimate_id"], after["estimate_id"]) for _, name, before, after in steps}


def changes(before: pl.DataFrame, after: pl.DataFrame) -> list[Change]:
    """Mean over layers first, then every layer.

    before, after: rows of :func:`softh.store.read.preferences` of one probe, `what` and `subset`.
    """
    pairs = zip(_by_layer(before), _by_layer(after), strict=True)
    each = [_change(layer, old, new) for (layer, old), (_, new) in pairs]
    return sorted(each, key=lambda change: -1 if change.layer is None else change.layer)


_Parts = tuple[float, Sequence[float], Sequence[float]]
"""Corrected information: its value, of every draw, and without each fold."""


def _by_layer(rows: pl.DataFrame) -> Iterator[tuple[int | None, _Parts]]:
    rows = rows.filter(correction="corrected").sort("layer", nulls_last=False)
    for (layer,), group in rows.group_by("layer", maintain_order=True):
        parts = {row["quantity"]: row for row in group.to_dicts()}
        yield layer, (parts["information"]["value"], parts["information"]["draws"], parts["folds"]["draws"])


def _change(layer: Any, old: _Parts, new: _Parts) -> Change:
    value = new[0] - old[0]
    draws = [b - a for a, b in zip(old[1], new[1], strict=True)]
    without = [b - a for a, b in zip(old[2], new[2], strict=True)]
    of_draws = statistics.stdev(draws) / math.sqrt(len(draws)) if len(draws) > 1 else 0.0
    of_pairs = jackknife(without)
    reach = half_width((of_draws, len(draws) - 1), (of_pairs, len(without) - 1)) or 0.0
    return Change(layer, value, math.hypot(of_draws, of_pairs), value - reach, value + reach)


def _rank(row: Mapping[str, Any]) -> int:
    return stage_rank(row["stage"])


def _stage(row: Mapping[str, Any]) -> str:
    return row["stage"] or "base"

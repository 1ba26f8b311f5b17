"""Change of a probe from one model to another on the same pairs, with errors paired over draws and folds of pairs."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import polars as pl

from softh.analysis.correlation import LEAST_FAMILIES, LEAST_MODELS, Effect, numbered, plain
from softh.analysis.differences import Difference, difference, jackknife
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


@dataclass(frozen=True)
class Step:
    """From one probed model to another that was trained from it."""

    chain: str
    """The name that both models have without their stage."""
    stages: tuple[str, str]
    models: tuple[str, str]
    probes: tuple[str, str]
    """Ids of the probes, before and after."""
    whole: bool
    """Whether it is the way from the first model of a chain to its last, over stages between them."""

    @property
    def name(self) -> str:
        """'base → sft'."""
        return " → ".join(self.stages)


@dataclass(frozen=True)
class Movement:
    """What one step of post-training changes, each paired: of the text that is kept, and of preferences."""

    step: Step
    complexity: Difference
    preference: Change


def stages(probes: pl.DataFrame) -> dict[str, tuple[str, str]]:
    """'NAME: base → dpo' → ids of the probe before and after, for every model probed before and after post-training.

    probes: one row a model, as :func:`softh.store.read.probes` gives; the longest way first.
    """
    found = [
        (first - last, f"{chain}: {_stage(before)} → {_stage(after)}", before, after)
        for chain, rows in _chains(probes)
        for (first, before), (last, after) in combinations(enumerate(rows), 2)
        if _comparable(before, after)
    ]
    found.sort(key=lambda step: step[0])
    return {name: (before["estimate_id"], after["estimate_id"]) for _, name, before, after in found}


def steps(probes: pl.DataFrame) -> list[Step]:
    """Every stage after the one before it, then the last after the first where there are stages between, by chain.

    probes: one row a model, as :func:`softh.store.read.probes` gives.
    """
    found = []
    for chain, rows in _chains(probes):
        ways = [(before, after, False) for before, after in pairwise(rows)]
        if len(rows) > 2:
            ways.append((rows[0], rows[-1], True))
        found += [
            Step(
                chain,
                (_stage(before), _stage(after)),
                (before["model"], after["model"]),
                (before["estimate_id"], after["estimate_id"]),
                whole,
            )
            for before, after, whole in ways
            if _comparable(before, after)
        ]
    return found


def movements(ways: Sequence[Step], preferences: pl.DataFrame, plane: pl.DataFrame) -> list[Movement]:
    """What each step changes; those are left out whose models are not both on the plane.

    preferences: rows of :func:`softh.store.read.preferences`, one `what` and `subset`. plane: one row a model, with its
    replicates, as :func:`softh.store.read.trajectory` gives them.
    """
    rows = {row["model"]: row for row in plane.to_dicts()}
    found = []
    for step in ways:
        if set(step.models) <= set(rows):
            before, after = (preferences.filter(pl.col("layer").is_null(), estimate_id=one) for one in step.probes)
            complexity = difference(rows[step.models[1]], rows[step.models[0]], "input")
            if complexity.half_width is not None and not (before.is_empty() or after.is_empty()):
                found.append(Movement(step, complexity, changes(before, after)[0]))
    return found


def association(moves: Sequence[Movement]) -> Effect | None:
    """Spearman's coefficient of both changes over single steps, chains as families; None for fewer than three."""
    single = [move for move in moves if not move.step.whole]
    chains = [move.step.chain for move in single]
    if len(single) < LEAST_MODELS or len(set(chains)) < LEAST_FAMILIES:
        return None
    x = np.array([move.complexity.value for move in single], dtype=float)
    return plain(x, np.array([move.preference.value for move in single]), numbered(chains), "spearman")


def finding(moves: Sequence[Movement]) -> str:
    """What the changes show, in sentences with their number, and whether that can settle anything.

    >>> step = Step("m", ("base", "sft"), ("m", "m-sft"), ("a", "b"), whole=False)
    >>> fall, gain = Difference(-0.1, ((0.01, 15),), ((0.01, 7),)), Change(None, 0.2, 0.15, -0.1, 0.5)
    >>> finding([Movement(step, fall, gain)]).partition("; significant:")[0]
    'In 1 step of post-training of 1 model, I(X;Z) falls in 1 (significantly in 1), and preference information rises \
in 1 (significantly in none)'
    """
    single = [move for move in moves if not move.step.whole]
    if not single:
        return ""
    chains = len({move.step.chain for move in single})
    ends = [(m.complexity.value or 0.0, m.complexity.half_width or 0.0) for m in single]
    of_text = _counts([value for value, _ in ends], [abs(value) > half for value, half in ends])
    values = [move.preference.value for move in single]
    of_pairs = _counts(values, [move.preference.low * move.preference.high > 0 for move in single])
    alike = sum(value * other > 0 for (value, _), other in zip(ends, values, strict=True))
    said = (
        f"In {_number(len(single), 'step')} of post-training of {_number(chains, 'model')}, I(X;Z) {of_text}, and "
        f"preference information {of_pairs}; significant: the 95 % interval excludes 0. In {alike} of {len(single)} "
        "both change in the same direction."
    )
    effect = association(moves)
    if effect is None or math.isnan(effect.low):
        sums = f", {len(moves) - len(single)} of them sums of others," if len(moves) > len(single) else ""
        return f"{said} These {_number(len(moves), 'point')}{sums} cannot settle whether the two are associated."
    told = f"Spearman's ρ is {effect.value:.2f} (95 % {effect.low:.2f} to {effect.high:.2f} over models)"
    sure = "are positively associated" if effect.value > 0 else "are negatively associated"
    verdict = sure if effect.low * effect.high > 0 else "show no clear association"
    return f"{said} {told.replace('-', '−')}: the two {verdict}."


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


def _chains(probes: pl.DataFrame) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Models that share a name but for their stage, in the order of training."""
    chains: dict[str, list[Mapping[str, Any]]] = {}
    for row in probes.to_dicts():
        chains.setdefault(without_stage(row["model"]), []).append(row)
    return [(name, sorted(rows, key=_rank)) for name, rows in sorted(chains.items())]


def _comparable(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return _rank(before) < _rank(after) and all(before[key] == after[key] for key in _SAME)


def _counts(values: Sequence[float], sure: Sequence[bool]) -> str:
    """'falls in 5 (significantly in 2) and rises in 1 (significantly in none)'."""
    parts = []
    for verb, sign in (("falls", -1), ("rises", 1)):
        mine = [known for value, known in zip(values, sure, strict=True) if sign * value > 0]
        if mine:
            parts.append(f"{verb} in {len(mine)} (significantly in {sum(mine) or 'none'})")
    return " and ".join(parts) or "does not change"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _rank(row: Mapping[str, Any]) -> int:
    return stage_rank(row["stage"])


def _stage(row: Mapping[str, Any]) -> str:
    return row["stage"] or "base"

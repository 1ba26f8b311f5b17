"""The phases of the runs on a page: boundaries with intervals, and what compression did after, in a sentence each."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dashboard.data import queries
from dashboard.data.caching import cached_by
from dashboard.data.queries import Setup
from dashboard.format import count, plus_minus, standard_error
from softh.analysis import phases, seeds
from softh.analysis.phases import Boundary, Curve, Phases


@dataclass(frozen=True)
class RunPhases:
    """The boundaries of one path, whose checkpoints are at these steps and tokens."""

    name: str
    phases: Phases
    steps: tuple[float, ...]
    tokens: tuple[float, ...] | None
    compression: str

    def at(self, step: float, clock: str) -> float:
        """A step on the clock of the curves, tokens or steps."""
        if clock != "tokens" or not self.tokens:
            return step
        after = min(max(bisect_left(self.steps, step), 1), len(self.steps) - 1)
        share = (step - self.steps[after - 1]) / (self.steps[after] - self.steps[after - 1])
        return self.tokens[after - 1] + share * (self.tokens[after] - self.tokens[after - 1])

    @property
    def ends(self) -> dict[str, Boundary]:
        """Phase → its end, of those that the checkpoints hold."""
        both = {"collapse": self.phases.collapse, "fitting": self.phases.fitting}
        return {name: end for name, end in both.items() if end}

    @property
    def sentence(self) -> str:
        """Both boundaries with their intervals, then compression."""
        parts = [f"{name} ends near {self.said(end)}" for name, end in self.ends.items()]
        missing = [name for name in ("collapse", "fitting") if name not in self.ends]
        parts += [f"its checkpoints do not hold the end of {' or '.join(missing)}"] if missing else []
        return f"**{self.name}**: {', '.join(parts)}. {self.compression}".strip()

    def said(self, end: Boundary) -> str:
        """'step 128, 8.39M tokens (95 % interval 96–192)'."""
        tokens = f", {count(round(self.at(end.step, 'tokens')))} tokens" if self.tokens else ""
        return f"step {end.step:,.0f}{tokens} (95 % interval {end.low:,.0f}–{end.high:,.0f})"


@cached_by(queries.setup_version, entries=64)
def run_phases(
    setup: Setup, models: tuple[str, ...], order: int, correction: str, layer: int | None, *, joined: bool
) -> tuple[RunPhases, ...]:
    """Boundaries of every run of four checkpoints or more, by name; joined takes seeds of one run together."""
    rows = queries.draws(setup, models, order, correction, layer).drop_nulls(["step", "input", "output", "entropy"])
    together = {}
    if joined:
        together = {seeds.title(name, members): members for name, members in seeds.families(models).items()}
    alone = [model for model in models if not any(model in members for members in together.values())]
    groups = {**{model: [model] for model in alone}, **together}
    return tuple(found for name, members in groups.items() if (found := _found(name, members, rows)))


def _found(name: str, members: Sequence[str], rows: pl.DataFrame) -> RunPhases | None:
    """The boundaries of one run; of several seeds, at the steps that all of them have."""
    runs = [rows.filter(pl.col("model") == model).unique("step", keep="last").sort("step") for model in members]
    shared = sorted(set.intersection(*(set(run["step"].to_list()) for run in runs)))
    if len(shared) < 4:
        return None
    runs = [run.filter(pl.col("step").is_in(shared)) for run in runs]
    tokens = None if runs[0]["tokens"].null_count() else tuple(map(float, runs[0]["tokens"]))
    found = phases.find(shared, _curve(runs, "entropy"), _curve(runs, "output"))
    compression = compression_sentence(_curve(runs, "input"), shared, found)
    return RunPhases(name, found, tuple(map(float, shared)), tokens, compression)


def _curve(runs: Sequence[pl.DataFrame], quantity: str) -> Curve:
    values = [run[quantity].to_list() for run in runs]
    columns = [run[f"{quantity}_draws"].to_list() for run in runs]
    known = [0 if draws is None else len(draws) for column in columns for draws in column]
    if min(known) > 1:
        draws = [[list(each)[: min(known)] for each in column] for column in columns]
        return Curve.of(values, draws, [run[f"{quantity}_se_documents"].fill_null(0).to_list() for run in runs])
    errors = [[standard_error(row, quantity) or 0.0 for row in run.to_dicts()] for run in runs]
    return Curve.of(values, None, errors)


def compression_sentence(information: Curve, steps: Sequence[float], found: Phases) -> str:
    """How far I(X;Z) falls from its largest value to the last checkpoint."""
    if not found.fitting:
        return ""
    fall = phases.fall(information)
    if fall.checkpoint == len(steps) - 1:
        return "I(X;Z) does not fall."
    verdict = "" if fall.amount > 2 * fall.error else ", which may be chance"
    path = f"from step {steps[fall.checkpoint]:,.0f} to step {steps[-1]:,.0f}"
    return f"I(X;Z) then falls by {plus_minus(fall.amount, fall.error)} {path}{verdict}."

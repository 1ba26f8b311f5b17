"""The phases of the runs on a page: boundaries with intervals, and compression after, in a sentence each."""

from dashboard.data import queries
from dashboard.data.caching import cached_by
from dashboard.data.queries import Setup
from dashboard.format import boundary_text, plus_minus
from softh.analysis import phases
from softh.analysis.phases import RunPhases


@cached_by(queries.setup_version, entries=64)
def run_phases(
    setup: Setup, models: tuple[str, ...], order: int, correction: str, layer: int | None, *, joined: bool
) -> tuple[RunPhases, ...]:
    """Phases of the runs of a setup; see :func:`softh.analysis.phases.of_runs`."""
    return phases.of_runs(queries.draws(setup, models, order, correction, layer), models, joined=joined)


def sentence(run: RunPhases) -> str:
    """Both boundaries with their intervals, then compression."""
    parts = [f"{name} ends near {boundary_text(run, end)}" for name, end in run.ends.items()]
    missing = [name for name in ("collapse", "fitting") if name not in run.ends]
    if len(missing) == 2:
        return f"**{run.name}**: no phase is clear: neither H(Z) nor I(Y;Z) turns by more than noise."
    parts += [f"the end of {name} is unclear" for name in missing]
    return f"**{run.name}**: {', '.join(parts)}. {compression_sentence(run)}".strip()


def compression_sentence(run: RunPhases) -> str:
    """How far I(X;Z) falls from its largest value to the last checkpoint; empty where fitting has no end."""
    if run.fall is None:
        return ""
    if run.fall.checkpoint == len(run.steps) - 1:
        return "I(X;Z) does not fall."
    low, high = (plus_minus(end, run.fall.error).partition(" ")[0] for end in (run.fall.low, run.fall.high))
    verdict = "" if run.fall.low > 0 else ", which may be chance"
    path = f"from step {run.steps[run.fall.checkpoint]:,.0f} to step {run.steps[-1]:,.0f}"
    return f"I(X;Z) then falls by {plus_minus(run.fall.amount, run.fall.error)} (95 % {low} to {high}) {path}{verdict}."

"""Runs the estimates that a recipe names and the store lacks on an engine, and stores each result."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from softh.checkpoints import hub
from softh.cost.preflight import preflight
from softh.errors import InputError, missing_extra
from softh.format import and_more, duration, format_size
from softh.progress import Progress
from softh.spec import EstimateSpec
from softh.store import read, write
from softh.sweeps import engine as engines

_NAMED = 3
"""Tasks named while they run; more are counted."""


@dataclass(frozen=True)
class SweepOptions:
    """Where and how a sweep runs, which changes no number."""

    engine: str = "local"
    """One of :data:`ENGINES`."""
    address: str | None = None
    """Of a Ray cluster; None starts Ray on this machine."""
    partition: str | None = None
    """Of Slurm."""
    device: str = "auto"
    gpus: int | None = None
    """GPUs of each estimate; None is as many as it needs on this machine, else 1."""
    shards: int = 1
    """Tasks that share the documents of one estimate."""
    free: bool = False
    """Remove a hub checkpoint once it is estimated."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise InputError(f"engine was {self.engine!r}; expected one of {', '.join(ENGINES)}: choose one.")
        for name, value in (("shards", self.shards), ("gpus", self.gpus)):
            if value is not None and value < 1:
                raise InputError(f"{name} was {value}; expected a whole number of at least 1: try --{name} 1.")


def _local(options: SweepOptions) -> engines.Engine:
    from softh.sweeps.local import LocalEngine

    return LocalEngine(options.device, options.gpus, free=options.free)


def _ray(options: SweepOptions) -> engines.Engine:
    from softh.sweeps.clusters import RayEngine

    try:
        return RayEngine(options.device, options.address, options.gpus, free=options.free)
    except ConnectionError as error:
        raise InputError(
            f"No Ray cluster answers at {options.address} ({error}): start one with `ray start --head`."
        ) from None


def _slurm(options: SweepOptions) -> engines.Engine:
    from softh.sweeps.clusters import SlurmEngine

    return SlurmEngine(options.device, options.partition, options.gpus, free=options.free)


ENGINES: Mapping[str, Callable[[SweepOptions], engines.Engine]] = {"local": _local, "ray": _ray, "slurm": _slurm}
"""Name of an engine → how it is made; its packages are imported only then."""


@dataclass
class SweepSummary:
    """Numbers of the estimates of a sweep, and which of them failed."""

    done: int = 0
    """Estimated now, or missing where they are only listed."""
    stored_before: int = 0
    failures: list[str] = field(default_factory=list)
    """Names of the estimates that failed."""

    def add_failure(self, spec: EstimateSpec, reason: str) -> None:
        """Count an estimate that failed, and write its name and the reason to standard error."""
        typer.echo(f"{_name(spec)}: {reason}", err=True)
        self.failures.append(_name(spec))

    def sentence(self, verb: str = "estimated") -> str:
        """The numbers in a sentence.

        >>> SweepSummary(done=2, stored_before=1).sentence()
        '2 estimated, 1 stored before, 0 failed.'
        """
        failed = f"{len(self.failures)} failed" + (f": {', '.join(self.failures)}" if self.failures else "")
        return f"{self.done} {verb}, {self.stored_before} stored before, {failed}."


def list_missing(recipe: Path, folder: Path, price: float | None = None) -> SweepSummary:
    """Write what a recipe names and the store lacks to standard output, with the bytes to fetch and the time it takes.

    price: of an hour of this machine, for the sum in money.
    """
    summary, fetched, seconds = SweepSummary(), 0, 0.0
    own = [row for row in read.estimates(folder).to_dicts() if row["own"]]
    for spec in _missing(recipe, folder, summary):
        summary.done += 1
        try:
            expected = preflight(spec, own)
        except InputError as error:
            typer.echo(f"{_name(spec)}: its cost is not known. {error}")
            continue
        typer.echo(
            f"{_name(spec)}: {format_size(expected.download)} to fetch, about {duration(expected.cost.seconds)}"
            + (f". {expected.refusal}" if expected.refusal else "")
        )
        fetched, seconds = fetched + expected.download, seconds + expected.cost.seconds
    money = "" if price is None else f", {price * seconds / 3600:,.2f} at {price:,.2f} an hour"
    typer.echo(
        f"Together {format_size(fetched)} to fetch and {duration(seconds)} on this machine, one at a time{money}."
    )
    return summary


def run_sweep(recipe: Path, options: SweepOptions, folder: Path, progress: Progress) -> SweepSummary:
    """Estimate what a recipe names and the store lacks, and store each result in `folder`, from this process alone.

    Errors: InputError before anything has begun; an estimate that fails afterwards is counted in the summary.
    """
    summary = SweepSummary()
    missing = list(_missing(recipe, folder, summary))
    if not missing:
        return summary
    failed_before = len(summary.failures)

    def report(running: Sequence[str]) -> None:
        ended = summary.done + len(summary.failures) - failed_before
        progress("checkpoints", ended, len(missing), and_more(running, _NAMED, "; "))

    write.check_writable(folder)
    engine = _make_engine(options)
    outcomes = (
        engines.run(missing, engine, watch=report)
        if options.shards == 1
        else engines.run_sharded(missing, engine, options.shards, watch=report)
    )
    for outcome in outcomes:
        _store(outcome, folder, summary, free=options.free)
        report(())
    return summary


def _missing(recipe: Path, folder: Path, summary: SweepSummary) -> Iterator[EstimateSpec]:
    from softh.sweeps import recipe as recipes  # imports the hub client, which takes a second

    read.refresh()
    stored: Collection[tuple[str, str]] = set(read.estimates(folder).select("spec", "digest").iter_rows())
    for sentence in recipes.left_out(recipe):
        typer.echo(sentence, err=True)
    for spec in recipes.load(recipe).specs():
        try:
            if recipes.is_missing(spec, stored):
                yield spec
            else:
                summary.stored_before += 1
        except InputError as error:
            summary.add_failure(spec, str(error))


def _make_engine(options: SweepOptions) -> engines.Engine:
    try:
        return ENGINES[options.engine](options)
    except ImportError as error:
        raise missing_extra(f"The engine {options.engine}", error.name, "scale") from None


def _store(outcome: engines.Outcome, folder: Path, summary: SweepSummary, *, free: bool) -> None:
    if outcome.record is None:
        summary.add_failure(outcome.spec, outcome.failure or "It gave no result.")
        return
    write.save(outcome.record, folder)
    summary.done += 1
    typer.echo(_name(outcome.spec))
    if free:
        hub.remove_commit(outcome.spec.model, outcome.record["checkpoint"]["digest"])


def _name(spec: EstimateSpec) -> str:
    return spec.model + (f"@{spec.revision}" if spec.revision else "")

"""Runs what a recipe asks for and the store lacks on an engine, and stores each result."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from softh.checkpoints import hub
from softh.errors import InputError, missing_extra
from softh.progress import Progress
from softh.spec import EstimateSpec
from softh.store import read, write
from softh.sweeps import engine as engines

ENGINES = ("local", "ray", "slurm")
_NAMED = 3
"""Units named while they run; more are counted."""


@dataclass(frozen=True)
class Way:
    """Where and how a sweep runs, which changes no number."""

    engine: str = "local"
    address: str | None = None
    partition: str | None = None
    device: str = "auto"
    gpus: int | None = None
    shards: int = 1
    free: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise InputError(f"engine was {self.engine!r}; expected one of {', '.join(ENGINES)}: choose one.")
        for name, value in (("shards", self.shards), ("gpus", self.gpus)):
            if value is not None and value < 1:
                raise InputError(f"{name} was {value}; expected a whole number of at least 1: try --{name} 1.")


class Tally:
    """What became of the units of a recipe."""

    def __init__(self) -> None:
        self.done = self.kept = 0
        self.failures: list[str] = []

    def failed(self, spec: EstimateSpec, why: str) -> None:
        """Name a unit that is set aside, and say why."""
        typer.echo(f"{_name(spec)}: {why}", err=True)
        self.failures.append(_name(spec))

    def sentence(self, verb: str = "estimated") -> str:
        """'2 estimated, 1 stored before, 0 failed.'"""
        failed = f"{len(self.failures)} failed" + (f": {', '.join(self.failures)}" if self.failures else "")
        return f"{self.done} {verb}, {self.kept} stored before, {failed}."


def listed(recipe: Path, folder: Path) -> Tally:
    """Name what a recipe asks for and the store lacks."""
    tally = Tally()
    for spec in _missing(recipe, folder, tally):
        typer.echo(_name(spec))
        tally.done += 1
    return tally


def carry_out(recipe: Path, way: Way, folder: Path, progress: Progress) -> Tally:
    """Estimate it and store it in a folder, by this process alone. Errors: InputError before anything has begun."""
    tally = Tally()
    wanted = list(_missing(recipe, folder, tally))
    if not wanted:
        return tally
    before = len(tally.failures)

    def tell(running: Sequence[str]) -> None:
        more = f" and {len(running) - _NAMED} more" * (len(running) > _NAMED)
        ended = tally.done + len(tally.failures) - before
        progress("checkpoints", ended, len(wanted), "; ".join(running[:_NAMED]) + more)

    write.check_writable(folder)
    engine = _engine(way)
    outcomes = (
        engines.run(wanted, engine, watch=tell)
        if way.shards == 1
        else engines.run_split(wanted, engine, way.shards, watch=tell)
    )
    for outcome in outcomes:
        _store(outcome, folder, tally, free=way.free)
        tell(())
    return tally


def _missing(recipe: Path, folder: Path, tally: Tally) -> Iterator[EstimateSpec]:
    """What the recipe asks for and the store lacks."""
    from softh.sweeps import recipe as recipes  # brings transformers, which takes seconds to import

    read.refresh()
    stored: Collection[tuple[str, str]] = set(read.estimates(folder).select("spec", "digest").iter_rows())
    for spec in recipes.load(recipe).specs():
        try:
            if recipes.missing(spec, stored):
                yield spec
            else:
                tally.kept += 1
        except InputError as error:
            tally.failed(spec, str(error))


def _engine(way: Way) -> engines.Engine:
    from softh.sweeps import clusters, local  # with torch

    try:
        if way.engine == "ray":
            return clusters.Ray(way.device, way.address, way.gpus, free=way.free)
        if way.engine == "slurm":
            return clusters.Slurm(way.device, way.partition, way.gpus, free=way.free)
    except ImportError as error:
        raise missing_extra(f"The engine {way.engine}", error.name, "scale") from None
    except ConnectionError as error:
        raise InputError(
            f"No Ray cluster answers at {way.address} ({error}): start one with `ray start --head`."
        ) from None
    return local.Local(way.device, way.gpus, free=way.free)


def _store(outcome: engines.Outcome, folder: Path, tally: Tally, *, free: bool) -> None:
    """Keep a result, by the driver alone, and say so."""
    record: dict[str, Any] | None = outcome.record
    if record is None:
        tally.failed(outcome.spec, outcome.why)
        return
    write.save(record, folder)
    tally.done += 1
    typer.echo(_name(outcome.spec))
    if free:
        hub.forget(outcome.spec.model, record["checkpoint"]["digest"])


def _name(spec: EstimateSpec) -> str:
    return spec.model + (f"@{spec.revision}" if spec.revision else "")

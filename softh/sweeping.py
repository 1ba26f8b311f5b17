"""The command ``softh sweep``: estimate what a recipe asks for and the store lacks, wherever there is room."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from softh import engines, hub, jobs, paths
from softh.errors import InputError
from softh.progress import Bar, Progress
from softh.spec import EstimateSpec
from softh.store import read, write

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


def sweep(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file such as recipes/pythia.toml.")],
    engine: Annotated[str, typer.Option(help="local, ray or slurm.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; without one, Ray starts here.")] = None,
    partition: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    gpus: Annotated[int | None, typer.Option(help="GPUs of each estimate; here by itself as many as it needs.")] = None,
    shards: Annotated[int, typer.Option(help="Share the documents of each estimate out to so many units.")] = 1,
    free: Annotated[bool, typer.Option("--free", help="Remove a hub checkpoint once it is estimated.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be estimated, and stop.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Queue it for a worker instead.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the tables; SOFTH_DATA or data/ by default.")] = None,
) -> None:
    """Estimate every checkpoint that RECIPE names and that is not stored yet.

    Each result is stored here as soon as it is there, so a sweep that was stopped goes on where it was. A checkpoint
    that fails is tried once more, then named with its reason, and the others go on; the exit code is then 2.
    """
    way = Way(engine, address, partition, device, gpus, shards, free)
    if queue:
        job, new = jobs.submit_sweep(recipe, asdict(way), data)
        typer.echo(f"Job {job.id} is {job.state}{'' if new else ', as it was asked for before'}: {job.title}.")
        return
    if dry:
        tally = listed(recipe, data or paths.data())
    else:
        with Bar() as bar:
            tally = carry_out(recipe, way, data or paths.data(), bar)
    typer.echo(tally.sentence("to estimate" if dry else "estimated"))
    if tally.failures:
        raise typer.Exit(2)


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
    from softh import sweep as recipes  # brings transformers, which takes seconds to import

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
    from softh import clusters, local  # with torch

    try:
        if way.engine == "ray":
            return clusters.Ray(way.device, way.address, way.gpus, free=way.free)
        if way.engine == "slurm":
            return clusters.Slurm(way.device, way.partition, way.gpus, free=way.free)
    except ImportError as error:
        raise InputError(
            f"The engine {way.engine} needs the package {error.name}, which is not installed: "
            "say `pip install -r requirements-scale.txt`."
        ) from None
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

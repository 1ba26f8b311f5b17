"""The command ``softh sweep``: estimate what a recipe asks for and the store lacks, wherever there is room."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from softh import engines, hub, paths
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import read, write

ENGINES = ("local", "ray", "slurm")


def sweep(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file such as recipes/pythia.toml.")],
    engine: Annotated[str, typer.Option(help="local, ray or slurm.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; without one, Ray starts here.")] = None,
    partition: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    free: Annotated[bool, typer.Option("--free", help="Remove a hub checkpoint once it is estimated.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be estimated, and stop.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the tables; SOFTH_DATA or data/ by default.")] = None,
) -> None:
    """Estimate every checkpoint that RECIPE names and that is not stored yet.

    Each result is stored here as soon as it is there, so a sweep that was stopped goes on where it was. A checkpoint
    that fails is tried once more, then named with its reason, and the others go on; the exit code is then 2.
    """
    if engine not in ENGINES:
        raise InputError(f"engine was {engine!r}; expected one of {', '.join(ENGINES)}: choose one.")
    folder = data or paths.data()
    read.refresh()
    tally = Tally()
    wanted = list(_missing(recipe, folder, tally))
    if dry:
        for spec in wanted:
            typer.echo(_name(spec))
        tally.done = len(wanted)
    elif wanted:
        write.check_writable(folder)
        with_place = _engine(engine, device, address, partition)
        for outcome in engines.run(wanted, with_place):
            _store(outcome, folder, tally, free=free)
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

    def sentence(self, verb: str) -> str:
        """'2 estimated, 1 stored before, 0 failed.'"""
        failed = f"{len(self.failures)} failed" + (f": {', '.join(self.failures)}" if self.failures else "")
        return f"{self.done} {verb}, {self.kept} stored before, {failed}."


def _missing(recipe: Path, folder: Path, tally: Tally) -> Iterator[EstimateSpec]:
    """What the recipe asks for and the store lacks."""
    from softh import sweep as recipes  # brings transformers, which takes seconds to import

    stored: Collection[tuple[str, str]] = set(read.estimates(folder).select("spec", "digest").iter_rows())
    for spec in recipes.load(recipe).specs():
        try:
            if recipes.missing(spec, stored):
                yield spec
            else:
                tally.kept += 1
        except InputError as error:
            tally.failed(spec, str(error))


def _engine(name: str, device: str, address: str | None, partition: str | None) -> engines.Engine:
    try:
        if name == "ray":
            return engines.Ray(device, address)
        if name == "slurm":
            return engines.Slurm(device, partition)
    except ImportError as error:
        raise InputError(
            f"The engine {name} needs the package {error.name}, which is not installed: "
            "say `pip install -r requirements-scale.txt`."
        ) from None
    except ConnectionError as error:
        raise InputError(f"No Ray cluster answers at {address} ({error}): start one with `ray start --head`.") from None
    return engines.Local(device)


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

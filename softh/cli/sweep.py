"""The command ``softh sweep``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from softh import jobs, settings
from softh.cli.progress_bar import Bar
from softh.sweeps.driver import Way, carry_out, listed


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
        tally = listed(recipe, data or settings.data())
    else:
        with Bar() as bar:
            tally = carry_out(recipe, way, data or settings.data(), bar)
    typer.echo(tally.sentence("to estimate" if dry else "estimated"))
    if tally.failures:
        raise typer.Exit(2)

"""The command ``softh sweep``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from softh import jobs
from softh.cli.options import Data, Device, Queue, folder
from softh.cli.output import show_queued
from softh.cli.progress_bar import Bar
from softh.sweeps.driver import SweepOptions, list_missing, run_sweep


def sweep(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE", help="A TOML file such as recipes/pythia.toml, or the folder of a training run."
        ),
    ],
    engine: Annotated[str, typer.Option(help="local, ray or slurm.")] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a Ray cluster; without one, Ray starts here.")] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm partition.")] = None,
    device: Device = "auto",
    gpus: Annotated[int | None, typer.Option(help="GPUs per estimate; by default as many as it needs.")] = None,
    shards: Annotated[int, typer.Option(help="Split the documents of each estimate into this many tasks.")] = 1,
    free: Annotated[bool, typer.Option("--free", help="Remove a hub checkpoint once it is estimated.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be estimated and its cost, and stop.")
    ] = False,
    price: Annotated[
        float | None, typer.Option(min=0, help="Price of an hour of this machine, to show the cost in money.")
    ] = None,
    queue: Queue = False,
    data: Data = None,
) -> None:
    """Estimate every checkpoint that RECIPE names, or that a training run holds, and that is not stored yet.

    Each result is stored as soon as it is computed, so a sweep that was stopped continues where it was. A checkpoint
    that fails is tried once more, then named with its reason, and the others continue; the exit code is then 2.
    """
    options = SweepOptions(engine, address, partition, device, gpus, shards, free)
    if queue:
        job, new = jobs.submit_spec(jobs.SweepRequest(str(recipe)), asdict(options), data)
        show_queued(job, new=new)
        return
    if dry:
        summary = list_missing(recipe, folder(data), price)
    else:
        with Bar() as bar:
            summary = run_sweep(recipe, options, folder(data), bar)
    typer.echo(summary.sentence("to estimate" if dry else "estimated"))
    if summary.failures:
        raise typer.Exit(2)

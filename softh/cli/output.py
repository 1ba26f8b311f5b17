"""What commands print: tables on stdout, JSON for machines, sentences on stderr."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, RenderableType

from softh.cli import headline, preference_tables, tables
from softh.jobs import Job
from softh.store import read


def say(sentence: str) -> None:
    """Print a sentence on stderr."""
    typer.echo(sentence, err=True)


def show(*parts: RenderableType) -> None:
    """Print tables on stdout, as wide as the terminal but never so narrow that digits are lost."""
    console = Console(highlight=False)
    console.width = max(console.width, tables.WIDTH)
    console.print(*parts)


def show_json(value: Any) -> None:
    """Print JSON on stdout."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=datetime.isoformat, allow_nan=False))


def show_stored(data: Path, estimate_id: str, *, as_json: bool, layers: bool = False) -> None:
    """Print one stored estimate or preference probe, its id in full; with layers, every layer of the estimate too."""
    if as_json:
        record = read.record(data, estimate_id)
        for name in ("spec", "versions"):
            record["estimate"][name] = json.loads(record["estimate"][name])
        show_json(record)
        return
    row = read.find_estimate(data, estimate_id).row(0, named=True)
    if json.loads(row["spec"]).get("labels") == "preference":
        show(preference_tables.whole(row, read.preferences(data, [estimate_id]).to_dicts()))
    else:
        # First, so that it is seen, and last, so that it is still seen after long tables.
        said = headline.of_estimate(data, estimate_id)
        typer.echo(f"{said}\n")
        show(tables.whole(row, read.measures(data, estimate_id).to_dicts(), layers=layers))
        typer.echo(said)


def show_queued(job: Job, *, new: bool) -> None:
    """Print that a job is queued, or was queued before."""
    typer.echo(f"Job {job.id} is {job.state}{'' if new else ', as it was submitted before'}: {job.title}.")

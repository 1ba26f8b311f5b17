"""Commands of the queue: ``softh submit``, ``worker``, ``jobs`` and ``cancel``."""

from typing import Annotated

import typer
from rich.table import Table

from softh import jobs, logs
from softh.cli.options import Data, Device, with_options_of
from softh.cli.output import say, show, show_queued
from softh.jobs import worker as workers
from softh.jobs.format import ago, progress
from softh.spec import EstimateSpec

Number = Annotated[int, typer.Argument(metavar="JOB", help="Number that jobs shows.")]


@with_options_of(EstimateSpec)
def submit(spec: EstimateSpec, device: Device = "auto", data: Data = None) -> None:
    """Queue an estimate of MODEL for a worker, with the options of estimate."""
    job, new = jobs.submit_spec(spec, {"device": device}, data)
    show_queued(job, new=new)
    if not jobs.worker_is_running(data):
        say("No worker is running: run `python -m softh worker`, or open the page Analyze.")


def worker(
    idle: Annotated[float | None, typer.Option(help="End after this many seconds without a job.")] = None,
    data: Data = None,
) -> None:
    """Run queued jobs until Ctrl-C, one on each GPU or one on the CPU; a folder has one worker.

    A page starts a worker when none is running, so this is for machines without a page, and for watching one. A job
    that was running when its worker was killed is continued by the next worker.
    """
    logs.set_up()
    place = jobs.folder(data)
    if not workers.work(place, idle):
        say(f"Another worker runs the jobs of {place} already.")


def list_jobs(
    data: Data = None,
    log: Annotated[int | None, typer.Option(help="Show the end of the log of this job instead.")] = None,
) -> None:
    """Show the jobs: the running, then the waiting in their order, then the ended, latest first."""
    if log is not None:
        typer.echo(jobs.log_tail(jobs.find(log, data).id, data), nl=False)
        return
    listing = jobs.listing(data=data)
    if not listing:
        typer.echo(f"No job was submitted to {jobs.folder(data)} yet: run `python -m softh submit MODEL`.")
        return
    table = Table("job", "state", "what", "progress", "when", box=None)
    for job in listing:
        table.add_row(str(job.id), job.state, job.title, progress(job), ago(job))
    show(table)
    if more := jobs.unlisted(data):
        typer.echo(f"{more:,} older jobs that ended are not listed.")


def cancel(number: Number, data: Data = None) -> None:
    """Cancel a job; a running one is stopped within seconds."""
    title = jobs.find(number, data).title
    stopped = jobs.cancel(number, data)
    typer.echo(f"Job {number} {'is cancelled' if stopped else 'had ended already'}: {title}.")

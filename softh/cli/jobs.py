"""Commands of the queue: ``python -m softh worker | submit | jobs | cancel``."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from softh import jobs, logs
from softh.jobs import worker as workers
from softh.jobs.format import ago, progress
from softh.spec import EstimateSpec

Data = Annotated[Path | None, typer.Option(help="Folder of the tables; SOFTH_DATA or data/ by default.")]
_WIDTH = 120
Number = Annotated[int, typer.Argument(metavar="JOB", help="Number that jobs shows.")]


def worker(
    idle: Annotated[float | None, typer.Option(help="End after so many seconds without a job.")] = None,
    data: Data = None,
) -> None:
    """Run queued jobs until Ctrl-C, one on each GPU or one on the CPU; a folder has one worker.

    A page starts a worker when none lives, so this is for machines without a page, and for those who want to see it.
    What ran when a worker was killed is taken up again by the next one.
    """
    logs.set_up()
    folder = jobs.folder(data)
    if not workers.work(folder, idle):
        typer.echo(f"Another worker runs the jobs of {folder} already.", err=True)


def submitter(estimate: Callable[..., None], spec_of: Callable[[dict[str, Any]], EstimateSpec]) -> Callable[..., None]:
    """The command ``submit``, with the arguments and options of ``estimate`` that a job can have."""

    def submit(**asked: Any) -> None:
        job, new = jobs.submit_estimate(spec_of(asked), {"device": asked["device"]}, asked["data"])
        typer.echo(f"Job {job.id} is {job.state}{'' if new else ', as it was asked for before'}: {job.title}.")
        if not jobs.worker_lives(asked["data"]):
            typer.echo("No worker runs yet: python -m softh worker starts one, and so does the page.", err=True)

    signature = inspect.signature(estimate)
    kept = [parameter for name, parameter in signature.parameters.items() if name not in ("as_json", "loss")]
    # What typer reads of a function.
    vars(submit)["__signature__"] = signature.replace(parameters=kept)
    submit.__annotations__ = {parameter.name: parameter.annotation for parameter in kept} | {"return": None}
    submit.__doc__ = "Queue an estimate of MODEL for a worker, with the options of estimate."
    return submit


def list_jobs(
    data: Data = None,
    log: Annotated[int | None, typer.Option(help="Show the end of the log of this job instead.")] = None,
) -> None:
    """Show the jobs: those that run, those that wait in their order, and those that ended, latest first."""
    if log is not None:
        typer.echo(jobs.log_tail(jobs.find(log, data).id, data), nl=False)
        return
    found = jobs.listing(data=data)
    if not found:
        typer.echo(f"No job was submitted yet to {jobs.folder(data)}: python -m softh submit MODEL submits one.")
        return
    table = Table("job", "state", "what", "progress", "when", box=None)
    for job in found:
        table.add_row(str(job.id), job.state, job.title, progress(job), ago(job))
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)


def cancel(number: Number, data: Data = None) -> None:
    """Cancel a job; one that runs is stopped within seconds."""
    title = jobs.find(number, data).title
    stopped = jobs.cancel(number, data)
    typer.echo(f"Job {number} {'is cancelled' if stopped else 'had ended already'}: {title}.")

"""The command line ``python -m softh``: estimate, preference, sweep, list, show, pack, and commands of the queue."""

import dataclasses
import errno
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from softh import settings
from softh.cli import backup, doctor, jobs, preference, preference_tables, scores, sweep, tables
from softh.cli.app import serve
from softh.cli.progress_bar import Bar
from softh.errors import InputError
from softh.spec import EstimateSpec
from softh.store import read, write

app = typer.Typer(
    help="The information plane of language models.",
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
usual = EstimateSpec(model="")
_FIELDS = {field.name for field in dataclasses.fields(EstimateSpec)}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}

Data = Annotated[Path | None, typer.Option(help="Folder of the tables; SOFTH_DATA or data/ by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else, on stdout.")]


def main() -> None:
    """Run the command line; what a person can mend is one sentence on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        _say(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _say(f"{error.strerror} ({error.filename or 'writing'}): free some space or choose a folder you may write to.")
        sys.exit(2)


@app.command()
def estimate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Hub id, folder with safetensors weights, or .gguf file.")
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = usual.revision,
    corpus: Annotated[str, typer.Option(help="python-docs, c4 or file:PATH.")] = usual.corpus,
    documents: Annotated[int, typer.Option(help="Documents sampled at most.")] = usual.documents,
    context: Annotated[int, typer.Option(help="Tokens a document is truncated to.")] = usual.context,
    orders: Annotated[str, typer.Option(help="n-gram orders of the labels.")] = ",".join(map(str, usual.orders)),
    bins: Annotated[int, typer.Option(help="Reference directions a draw, n.")] = usual.bins,
    draws: Annotated[int, typer.Option(help="Independent draws of the directions.")] = usual.draws,
    frame: Annotated[str, typer.Option(help="iid or orthonormal.")] = usual.frame,
    centred: Annotated[bool, typer.Option("--centred", help="Subtract the mean state first.")] = usual.centred,
    calibration: Annotated[str, typer.Option(help="bound, leading or exact.")] = usual.calibration,
    weighting: Annotated[str, typer.Option(help="positions or labels.")] = usual.weighting,
    folds: Annotated[int, typer.Option(help="Folds of documents for the jackknife.")] = usual.folds,
    seed: Annotated[int, typer.Option(help="Of the sample, the directions and the null.")] = usual.seed,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = usual.dtype,
    loss: Annotated[bool, typer.Option("--loss/--no-loss", help="Bits per byte, for which the head must run.")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Place MODEL on the information plane: estimate, print, and store.

    Hidden states are remembered in the cache (SOFTH_CACHE, SOFTH_CACHE_GB), so another estimate of the same model
    and text runs no forward pass. An estimate that is stored already is computed again and takes the place of the
    old one. Ctrl-C stops at any time; nothing half-done is ever stored.
    """
    spec = _spec(locals())
    folder = data or settings.data()
    write.check_writable(folder)
    record = _compute(spec, device, loss=loss)
    estimate_id = record["estimate"]["estimate_id"]
    for old in read.estimates(folder).filter(estimate_id=estimate_id)["created_at"]:
        _say(f"This estimate was stored already, on {old:%Y-%m-%d}; the new one takes its place.")
    write.save(record, folder)
    for problem in read.problems(folder):
        _say(problem)
    _print(folder, estimate_id, as_json=as_json)


@app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Show the stored estimates, one a line, at their lowest n-gram order."""
    folder = data or settings.data()
    rows = read.trajectory(folder, correction="corrected").sort("ngram").unique("estimate_id", keep="first")
    rows = rows.sort("model", "step", "revision", "created_at").to_dicts()
    probes = read.probes(folder).to_dicts()
    for problem in read.problems(folder):
        _say(problem)
    if as_json:
        typer.echo(_json(rows))
    elif rows or probes:
        _stdout().print(
            *([tables.several(rows)] if rows else []), *([preference_tables.several(probes)] if probes else [])
        )
    else:
        typer.echo(f"No estimate is stored in {folder} yet: python -m softh estimate MODEL makes one.")


@app.command()
def show(
    estimate_id: Annotated[str, typer.Argument(metavar="ID", help="Id that list shows, or its first digits.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one stored estimate."""
    folder = data or settings.data()
    _print(folder, read.estimate(folder, estimate_id)["estimate_id"].item(), as_json=as_json)


@app.command()
def pack(
    to: Annotated[str | None, typer.Option(metavar="FILE|URL", help="Write all tables there instead.")] = None,
    data: Data = None,
) -> None:
    """Fold the run files into the database softh.duckdb, and remove those it then holds.

    With --to, put all tables in one database to hand on, as a file or at a URL, and change nothing here.
    """
    folder = data or settings.data()
    if to:
        typer.echo(f"All tables are in {to} ({write.publish(folder, to) / 1e6:.1f} MB).")
        return
    packed = write.pack(folder)
    for problem in packed.left_out:
        _say(problem)
    files = "run file" if packed.folded == 1 else "run files"
    typer.echo(f"{packed.folded} {files} folded into {folder / 'softh.duckdb'}.")


def _spec(asked: dict[str, Any]) -> EstimateSpec:
    """The specification among the options of a command."""
    named: dict[str, Any] = {name: value for name, value in asked.items() if name in _FIELDS}
    named["orders"] = _orders(asked["orders"])
    return EstimateSpec(**named)


app.command("preference")(preference.preference)
app.command("sweep")(sweep.sweep)
app.add_typer(scores.app, name="scores")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("doctor")(doctor.doctor)
app.command("submit")(jobs.submitter(estimate, _spec))
app.command("worker")(jobs.worker)
app.command("jobs")(jobs.list_jobs)
app.command("cancel")(jobs.cancel)
app.command("app")(serve)


def _compute(spec: EstimateSpec, device: str, *, loss: bool) -> dict[str, Any]:
    """The record of a new estimate."""
    _say(f"Loading {spec.model} …")
    try:
        # torch takes seconds to import; the other commands do without.
        from softh.estimator.pipeline import estimate as compute
        from softh.models.cache import open_cache

        with open_cache(settings.cache()) as cache, Bar() as bar:
            return compute(spec, device=device, cache=cache, progress=bar, loss=loss, say=_say).record()
    except KeyboardInterrupt:
        _say("Stopped: nothing was stored, and the hidden states computed so far are remembered for next time.")
        raise typer.Exit(130) from None


def _print(folder: Path, estimate_id: str, *, as_json: bool) -> None:
    """One stored estimate, or one probe, on stdout."""
    row = read.estimate(folder, estimate_id).row(0, named=True)
    if json.loads(row["spec"]).get("labels") == "preference":
        preference_tables.show(folder, row, as_json=as_json)
    elif as_json:
        record = read.record(folder, estimate_id)
        for name in ("spec", "versions"):
            record["estimate"][name] = json.loads(record["estimate"][name])
        typer.echo(_json(record))
    else:
        _stdout().print(tables.whole(row, read.measures(folder, estimate_id).to_dicts()))


def _orders(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(order) for order in text.split(","))
    except ValueError:
        raise InputError(f"orders was {text!r}; expected whole numbers between commas: try --orders 1,2,3,4.") from None


def _stdout() -> Console:
    """As wide as the terminal, and never so narrow that digits are lost."""
    console = Console(highlight=False)
    console.width = max(console.width, tables.WIDTH)
    return console


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=datetime.isoformat, allow_nan=False)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)

"""The commands ``softh estimate``, ``list``, ``show`` and ``pack``."""

from typing import Annotated, Any

import typer

from softh import settings
from softh.cli import preference_tables, tables
from softh.cli.options import AsJson, Data, Device, folder, with_options_of
from softh.cli.output import say, show, show_json, show_stored
from softh.cli.progress_bar import Bar
from softh.format import format_size
from softh.spec import EstimateSpec
from softh.store import connection, read, write


@with_options_of(EstimateSpec)
def estimate(
    spec: EstimateSpec,
    device: Device = "auto",
    loss: Annotated[bool, typer.Option("--loss/--no-loss", help="Bits per byte, for which the head must run.")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Place MODEL on the information plane: estimate, print, and store.

    Hidden states are cached (SOFTH_CACHE, SOFTH_CACHE_GB), so another estimate of the same model and text runs no
    forward pass. An estimate that is stored already is computed again and replaces the old one. Ctrl-C stops at any
    time; nothing incomplete is ever stored.
    """
    place = folder(data)
    write.check_writable(place)
    record = _compute(spec, device, loss=loss)
    estimate_id = record["estimate"]["estimate_id"]
    for old in read.estimates(place).filter(estimate_id=estimate_id)["created_at"]:
        say(f"This estimate was stored already, on {old:%Y-%m-%d}; the new one replaces it.")
    write.save(record, place)
    for warning in read.warnings(place):
        say(warning)
    show_stored(place, estimate_id, as_json=as_json)


def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Show the stored estimates, one a line, at their lowest n-gram order."""
    place = folder(data)
    rows = read.trajectory(place, correction="corrected").sort("ngram").unique("estimate_id", keep="first")
    rows = rows.sort("model", "step", "revision", "created_at").to_dicts()
    probes = read.probes(place).to_dicts()
    for warning in read.warnings(place):
        say(warning)
    if as_json:
        show_json(rows)
    elif rows or probes:
        show(*([tables.several(rows)] if rows else []), *([preference_tables.several(probes)] if probes else []))
    else:
        typer.echo(f"No estimate is stored in {place} yet: run `python -m softh estimate MODEL`.")


def show_one(
    estimate_id: Annotated[str, typer.Argument(metavar="ID", help="Id that list shows, or its first digits.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one stored estimate."""
    place = folder(data)
    show_stored(place, read.find_estimate(place, estimate_id)["estimate_id"].item(), as_json=as_json)


def pack(
    to: Annotated[str | None, typer.Option(metavar="FILE|URL", help="Write all tables there instead.")] = None,
    data: Data = None,
) -> None:
    """Fold the run files into the database softh.duckdb, and remove those it then contains.

    With --to, put all tables in one database to hand on, as a file or at a URL, and change nothing here.
    """
    place = folder(data)
    if to:
        typer.echo(f"All tables are in {to} ({format_size(write.publish(place, to))}).")
        return
    packed = write.pack(place)
    for warning in packed.invalid_files:
        say(warning)
    files = "run file" if packed.folded == 1 else "run files"
    typer.echo(f"{packed.folded} {files} folded into {connection.database(place)}.")


def _compute(spec: EstimateSpec, device: str, *, loss: bool) -> dict[str, Any]:
    """The record of a new estimate."""
    say(f"Loading {spec.model} …")
    try:
        # torch takes seconds to import; the other commands do without.
        from softh.estimator.pipeline import estimate as compute
        from softh.models.cache import open_cache

        with open_cache(settings.cache()) as cache, Bar() as bar:
            return compute(spec, device=device, cache=cache, progress=bar, loss=loss, on_plan=say).record()
    except KeyboardInterrupt:
        say("Stopped: nothing was stored, and the hidden states computed so far are cached for next time.")
        raise typer.Exit(130) from None

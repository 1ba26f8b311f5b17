"""The commands ``softh estimate``, ``list``, ``show`` and ``pack``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from softh import settings
from softh.cli import preference_tables, tables
from softh.cli.options import ESTIMATOR, AsJson, Data, Device, Layers, folder, with_options_of
from softh.cli.output import say, show, show_json, show_stored
from softh.cli.progress_bar import Bar
from softh.errors import InputError
from softh.format import format_size
from softh.spec import EstimateSpec
from softh.store import connection, read, write
from softh.text import sources as texts


@with_options_of(EstimateSpec)
def estimate(
    spec: EstimateSpec,
    device: Device = "auto",
    loss: Annotated[
        bool,
        typer.Option(
            "--loss/--no-loss",
            help="Bits per byte too; needs the output head.",
            rich_help_panel=ESTIMATOR,
        ),
    ] = True,
    by_source: Annotated[
        bool,
        typer.Option("--by-source", help="Each source of the text too, in the same pass.", rich_help_panel=ESTIMATOR),
    ] = False,
    layers: Layers = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Place MODEL on the information plane: estimate, print, and store.

    The folder of a training run that holds no model itself stands for all its checkpoints, in the order of their steps.
    Hidden states are cached (SOFTH_CACHE, SOFTH_CACHE_GB), so another estimate of the same model and text runs no
    forward pass. An estimate that is stored already is computed again and replaces the old one. Ctrl-C stops at any
    time; nothing incomplete is ever stored.
    """
    place = folder(data)
    write.check_writable(place)
    texts.find(spec.corpus)
    checkpoints = _checkpoints(spec)
    if checkpoints:
        _estimate_run(spec, checkpoints, place, device, loss=loss, by_source=by_source, as_json=as_json)
        return
    estimate_id, *sources = _estimate_one(spec, place, device, loss=loss, by_source=by_source)
    for warning in read.warnings(place):
        say(warning)
    show_stored(place, estimate_id, as_json=as_json, layers=layers)
    if sources and not as_json:
        of_text, *of_sources = (
            read.trajectory(place, order=min(spec.orders), estimates=[each]).to_dicts()
            for each in (estimate_id, *sources)
        )
        show(tables.by_source(of_text, of_sources))


def _checkpoints(spec: EstimateSpec) -> tuple[str, ...]:
    """Paths of the checkpoints that a specification stands for; none for a single model."""
    if spec.revision is not None or not Path(spec.model).expanduser().is_dir():
        return ()
    from softh.checkpoints import training_runs  # imports the hub client, which takes a second

    path = Path(spec.model).expanduser()
    run = training_runs.find_run(path)
    if training_runs.holds_model(path):
        if run.checkpoints:
            say(f"{path} holds {len(run.checkpoints)} checkpoints, too: `softh sweep {path}` estimates them.")
        return ()
    for sentence in run.left_out if run.checkpoints else ():
        say(sentence)
    return tuple(str(each.path) for each in run.checkpoints)


def _estimate_run(
    spec: EstimateSpec, checkpoints: Sequence[str], place: Path, device: str, *, loss: bool, by_source: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Estimate the checkpoints of a training run one after another, and show them in one table."""
    estimate_ids, failed = [], 0
    for model in checkpoints:
        try:
            one = replace(spec, model=model)
            estimate_ids += _estimate_one(one, place, device, loss=loss, by_source=by_source)
        except InputError as error:
            say(f"{model}: {error}")
            failed += 1
    for warning in read.warnings(place):
        say(warning)
    rows = [row for row in read.lowest(place).sort("step", "revision").to_dicts() if row["estimate_id"] in estimate_ids]
    if as_json:
        show_json(rows)
    elif rows:
        show(tables.several(rows))
    if failed:
        say(f"{len(checkpoints) - failed} of {len(checkpoints)} checkpoints were estimated.")
        raise typer.Exit(2)


def _estimate_one(spec: EstimateSpec, place: Path, device: str, *, loss: bool, by_source: bool) -> list[str]:
    """Estimate and store one model; returns the id, followed by those of the sources where they are asked for."""
    records = _compute(spec, device, loss=loss, by_source=by_source)
    estimate_ids = [record["estimate"]["estimate_id"] for record in records]
    for old in read.estimates(place).filter(estimate_id=estimate_ids[0])["created_at"]:
        say(f"This estimate was stored already, on {old:%Y-%m-%d}; the new one replaces it.")
    for record in records:
        write.save(record, place)
    return estimate_ids


def list_(
    model: Annotated[str, typer.Option(help="Only models whose name contains this.")] = "",
    corpus: Annotated[str, typer.Option(help="Only texts whose name contains this.")] = "",
    last: Annotated[bool, typer.Option("--last", help="Only the last checkpoint of each model.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the stored estimates, one per line, at their lowest n-gram order: debiased, or null-corrected without it."""
    place = folder(data)
    every = read.lowest(place)
    if last:
        every = every.unique(["model", "settings"], keep="last", maintain_order=True)

    def wanted(row: dict[str, Any]) -> bool:
        return model.lower() in row["model"].lower() and corpus.lower() in row["corpus"].lower()

    rows, probes = (list(filter(wanted, frame.to_dicts())) for frame in (every, read.probes(place)))
    for warning in read.warnings(place):
        say(warning)
    if as_json:
        show_json(rows)
    elif rows or probes:
        show(*([tables.several(rows)] if rows else []), *([preference_tables.several(probes)] if probes else []))
    elif model or corpus:
        typer.echo(f"No estimate in {place} has such a model or text: try fewer letters, or list without a filter.")
    else:
        typer.echo(f"No estimate is stored in {place} yet: run `python -m softh estimate MODEL`.")


def show_one(
    estimate_id: Annotated[str, typer.Argument(metavar="ID", help="Id that list shows, or its first digits.")],
    layers: Layers = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show one stored estimate."""
    place = folder(data)
    show_stored(place, read.find_estimate(place, estimate_id)["estimate_id"].item(), as_json=as_json, layers=layers)


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


def _compute(spec: EstimateSpec, device: str, *, loss: bool, by_source: bool) -> list[dict[str, Any]]:
    """The record of a new estimate, followed by those of its sources where they are asked for."""
    say(f"Loading {spec.model} …")
    try:
        # torch takes seconds to import; the other commands do without.
        from softh.estimator import pipeline
        from softh.models.cache import open_cache

        with open_cache(settings.cache()) as cache, Bar() as bar:
            if by_source:
                found = pipeline.estimate_by_source(
                    spec, device=device, cache=cache, progress=bar, loss=loss, on_plan=say
                )
                return [each.record() for each in found]
            return [pipeline.estimate(spec, device=device, cache=cache, progress=bar, loss=loss, on_plan=say).record()]
    except KeyboardInterrupt:
        say("Stopped: nothing was stored, and the hidden states computed so far are cached for next time.")
        raise typer.Exit(130) from None

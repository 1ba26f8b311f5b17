"""The command ``softh preference``: probe what a model says about which of two answers was preferred."""

from pathlib import Path
from typing import Annotated, Any

import typer

from softh import jobs, settings
from softh.cli import preference_tables
from softh.cli.progress_bar import Bar
from softh.spec import PreferenceSpec
from softh.store import read, write

usual = PreferenceSpec(model="", pairs="")


def preference(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Hub id, folder with safetensors weights, or .gguf file.")
    ],
    pairs: Annotated[str, typer.Option(help="A .jsonl or .parquet file, or a data set of the hub, with @SPLIT.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = usual.revision,
    limit: Annotated[int, typer.Option(help="Pairs sampled at most.")] = usual.limit,
    context: Annotated[
        int, typer.Option(help="Tokens of prompt and answer; longer pairs are left out.")
    ] = usual.context,
    bins: Annotated[int, typer.Option(help="Reference directions a draw, n.")] = usual.bins,
    draws: Annotated[int, typer.Option(help="Independent draws of the directions.")] = usual.draws,
    frame: Annotated[str, typer.Option(help="iid or orthonormal.")] = usual.frame,
    calibration: Annotated[str, typer.Option(help="bound, leading or exact.")] = usual.calibration,
    folds: Annotated[int, typer.Option(help="Folds of prompts, for errors and cross-validation.")] = usual.folds,
    swaps: Annotated[int, typer.Option(help="Random swaps of labels within pairs: the null.")] = usual.swaps,
    seed: Annotated[int, typer.Option(help="Of the sample, the folds, the directions and the swaps.")] = usual.seed,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda …")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = usual.dtype,
    queue: Annotated[bool, typer.Option("--queue", help="Queue it for a worker instead.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of the tables; SOFTH_DATA or data/ by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")] = False,
) -> None:
    """Probe what each layer of MODEL says about which of two answers to a prompt was preferred.

    Prints and stores the information with its null, a linear model as second opinion, and what length and words alone
    say. Pairs that are identical, empty, repeated or too long are counted and set aside.
    """
    asked: dict[str, Any] = {name: value for name, value in locals().items() if name in vars(usual)}
    spec = PreferenceSpec(**asked)
    folder = data or settings.data()
    if queue:
        job, new = jobs.submit_preference(spec, {"device": device}, data)
        typer.echo(f"Job {job.id} is {job.state}{'' if new else ', as it was asked for before'}: {job.title}.")
        return
    write.check_writable(folder)
    typer.echo(f"Loading {spec.model} …", err=True)
    try:
        from softh.preference.probe import estimate  # torch takes seconds to import; the other commands do without

        with Bar() as bar:
            record = estimate(spec, device=device, progress=bar).record()
    except KeyboardInterrupt:
        typer.echo("Stopped: nothing was stored.", err=True)
        raise typer.Exit(130) from None
    write.save(record, folder)
    preference_tables.show(
        folder, read.estimate(folder, record["estimate"]["estimate_id"]).row(0, named=True), as_json=as_json
    )

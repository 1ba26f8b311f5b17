"""The commands ``softh scores import``, ``export`` and ``list``: benchmark scores, in the formats of others."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from softh.analysis.standard_errors import combined
from softh.cli.options import Data, folder
from softh.cli.output import say
from softh.errors import InputError
from softh.format import and_more
from softh.quantities import PLANE
from softh.scores import export, load
from softh.scores.hub_files import OWN
from softh.scores.reader import ImportedScores
from softh.store import read, write

app = typer.Typer(help="Benchmark scores: import them, and see which models have some.", no_args_is_help=True)
_SHOWN = 12


@app.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="results_….json of lm-evaluation-harness, a folder of them, README.md with model-index, .yaml of "
            ".eval_results, .csv, .parquet or a data set of the hub.",
        ),
    ],
    match: Annotated[
        list[str] | None, typer.Option(help="THEIRS=OURS: scores of THEIRS belong to the model OURS.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of the scores, where a file names none.")] = None,
    data: Data = None,
) -> None:
    """Store scores beside your runs, each FILE as one file of its own.

    A score belongs to the model of the same name or hub id. Names without a model are listed with the nearest ones and
    are stored for a model of that name, or for --match.
    """
    place = folder(data)
    named = dict(_pair(text) for text in match or [])
    known = dict(read.models(place).select("model", "source").iter_rows())
    if unknown := sorted(set(named.values()) - set(known)):
        raise InputError(
            f"--match names {unknown[0]!r}, which is not a model of the tables; expected one of "
            f"{and_more(sorted(known), _SHOWN) or 'none'}: run `python -m softh list`."
        )
    files_read = _read_all(files, model)
    here = {row["model"] for imported in files_read for row in imported.rows}
    if absent := sorted(set(named) - here):
        raise InputError(
            f"--match names {absent[0]!r}, which no file has a score of: {and_more(sorted(here), _SHOWN)}."
        )
    for imported in files_read:
        own = {theirs: ours for theirs, ours in named.items() if theirs in {row["model"] for row in imported.rows}}
        rows = load.rename_models(imported.rows, own)
        for note in (*imported.notes, *read.replaced(rows, place)):
            say(note)
        if rows:
            write.save_scores(rows, place)
    names = {named.get(row["model"], row["model"]) for imported in files_read for row in imported.rows}
    typer.echo(f"{sum(len(i.rows) for i in files_read):,} scores of {len(names):,} models are in {place / 'scores'}.")
    _name_unmatched(load.unmatched_models(names, known))


@app.command("export")
def export_(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model of the tables.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; for lm-eval a folder.")],
    file_format: Annotated[
        export.Format,
        typer.Option(
            "--format", help="results_….json of lm-evaluation-harness, model-index of a model card, or .eval_results."
        ),
    ] = "lm-eval",
    dataset: Annotated[
        list[str] | None, typer.Option(help="TASK=OWNER/NAME: data set on the hub of a task, for eval-results.")
    ] = None,
    data: Data = None,
) -> None:
    """Write scores and estimates of MODEL in a format that the hub or lm-evaluation-harness reads.

    Estimates are tasks whose names begin with softh, in lm-eval and model-index. A model card that is there already
    keeps all but its model-index. `softh scores import` reads the scores back.
    """
    place = folder(data)
    scores = read.benchmarks(place).filter(model=model).to_dicts()
    estimates = _estimates(place, model)
    if not scores and not estimates:
        raise InputError(f"No score and no estimate is of {model!r}: choose a model that `softh list` shows.")
    data_sets = dict(_pair(text, "--dataset") for text in dataset or [])
    missing = export.write(file_format, model, [*scores, *estimates], output, data_sets)
    if missing:
        say(f"Left out, having no data set of the hub, or a limit: {and_more(missing, _SHOWN)}.")
    values = 0 if file_format == "eval-results" else len(estimates)
    typer.echo(f"{len(scores)} scores and {values} values of estimates of {model} are in {output}.")


def _estimates(place: Path, model: str) -> list[dict[str, Any]]:
    """Values of the newest checkpoint on each text, as rows of scores; errors of draws and documents together."""
    rows = read.lowest(place).filter(model=model).sort("step", "created_at", nulls_last=True)
    return [
        {
            "model": model, "revision": None if row["revision"] == "main" else row["revision"],
            "task": f"{OWN} {row['corpus']}", "metric": f"{quantity.name}, order {row['ngram']}, {row['correction']}",
            "score": row[quantity.column],
            "stderr": combined(row[f"{quantity.column}_se_draws"], row[f"{quantity.column}_se_documents"]),
            "source": f"softh, estimate {row['estimate_id']}, {row['created_at']:%Y-%m-%d}",
        }
        for row in rows.unique("corpus", keep="last", maintain_order=True).to_dicts()
        for quantity in PLANE
        if row[quantity.column] is not None
    ]  # fmt: skip


@app.command("list")
def list_(data: Data = None) -> None:
    """Show how many scores each source has, and of how many models."""
    place = folder(data)
    rows = read.benchmarks(place).to_dicts()
    by_source = Counter(row["source"].split(",")[0] for row in rows)
    for source, count in by_source.most_common():
        scored = {row["model"] for row in rows if row["source"].split(",")[0] == source}
        typer.echo(f"{count:7,} scores of {len(scored):4,} models  {source}")
    if not rows:
        typer.echo(f"No score is stored in {place} yet: run `python -m softh scores import FILE`.")


def _read_all(names: list[str], model: str | None) -> list[ImportedScores]:
    """The scores of every file, of the files of folders, and of data sets; files of single answers are left out."""
    imported, samples = [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            results, notes = load.result_files(path)
            imported += [_read(str(result), model) for result in results]
            imported[-1].notes.extend(notes)
        elif path.is_file() and load.is_samples(name):
            samples.append(name)
        else:
            imported.append(_read(name, model))
    if samples and not imported:
        load.read_scores(samples[0], b"")
    if samples:
        imported[-1].notes.append(f"{len(samples)} files of single answers (samples_…): left out.")
    return imported


def _read(name: str, model: str | None) -> ImportedScores:
    """The scores of a file, or of a data set of the hub."""
    path = Path(name)
    if path.is_file():
        return load.read_scores(path.name, path.read_bytes(), model)
    if name.count("/") == 1 and not path.suffix and not name.startswith((".", "/")):
        return load.read_scores(name)
    raise InputError(f"{name} does not exist; expected a file, or a data set of the hub as owner/name: check the path.")


def _pair(text: str, option: str = "--match") -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not equals or not theirs or not ours:
        expected = "THEIRS=OURS" if option == "--match" else "TASK=OWNER/NAME"
        raise InputError(f"{option} was {text!r}; expected {expected}: put the name in the file before the sign.")
    return theirs, ours


def _name_unmatched(missing: dict[str, list[str]]) -> None:
    if not missing:
        return
    say(f"{len(missing):,} of these names are not models of the tables, and nothing is guessed:")
    near = sorted(missing.items(), key=lambda item: (not item[1], item[0]))
    for name, candidates in near[:_SHOWN]:
        say(f"  {name}{'; nearest: ' + ', '.join(candidates) if candidates else ''}")
    if len(near) > _SHOWN:
        say(f"  … and {len(near) - _SHOWN:,} more.")
    typer.echo("Give --match THEIRS=OURS where a name means one of your models.")

"""The commands ``softh scores import`` and ``softh scores list``: benchmark scores of others into your tables."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from softh.cli.options import Data, folder
from softh.cli.output import say
from softh.errors import InputError
from softh.format import and_more
from softh.scores import load
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
            help="results_….json of lm-evaluation-harness, a folder of them, .csv, .parquet or a data set of the hub.",
        ),
    ],
    match: Annotated[
        list[str] | None, typer.Option(help="THEIRS=OURS: scores of THEIRS belong to the model OURS.")
    ] = None,
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
    files_read = _read_all(files)
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
        write.save_scores(rows, place)
    names = {named.get(row["model"], row["model"]) for imported in files_read for row in imported.rows}
    typer.echo(f"{sum(len(i.rows) for i in files_read):,} scores of {len(names):,} models are in {place / 'scores'}.")
    _name_unmatched(load.unmatched_models(names, known))


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


def _read_all(names: list[str]) -> list[ImportedScores]:
    """The scores of every file, of the files of folders, and of data sets; files of single answers are left out."""
    imported, samples = [], []
    for name in names:
        path = Path(name)
        if path.is_dir():
            results, notes = load.result_files(path)
            imported += [_read(str(result)) for result in results]
            imported[-1].notes.extend(notes)
        elif path.is_file() and load.is_samples(name):
            samples.append(name)
        else:
            imported.append(_read(name))
    if samples and not imported:
        load.read_scores(samples[0], b"")
    if samples:
        imported[-1].notes.append(f"{len(samples)} files of single answers (samples_…): left out.")
    return imported


def _read(name: str) -> ImportedScores:
    """The scores of a file, or of a data set of the hub."""
    path = Path(name)
    if path.is_file():
        return load.read_scores(path.name, path.read_bytes())
    if name.count("/") == 1 and not path.suffix and not name.startswith((".", "/")):
        return load.read_scores(name)
    raise InputError(f"{name} does not exist; expected a file, or a data set of the hub as owner/name: check the path.")


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not equals or not theirs or not ours:
        raise InputError(f"--match was {text!r}; expected THEIRS=OURS: put the name in the file before the sign.")
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

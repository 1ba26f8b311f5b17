"""The command ``softh select``."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from softh.analysis import selection
from softh.analysis.selection import AMONG, Candidates, Choice, Known
from softh.cli.options import AsJson, Data, folder
from softh.cli.output import say, show, show_json
from softh.errors import InputError
from softh.quantities import CORRECTION_NAMES, FURTHER
from softh.store import read

_READERS = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".json": pl.read_json}


def select(
    table: Annotated[
        Path | None, typer.Argument(metavar="[TABLE]", help="A table of your own: .csv, .parquet or .json.")
    ] = None,
    score: Annotated[str, typer.Option(help="Score that says which of two is better; of TABLE, its column.")] = "cloze",
    among: Annotated[
        str, typer.Option(help=f"Candidates to choose among: {', '.join(AMONG)}; of TABLE, runs or models.")
    ] = "runs",
    group: Annotated[str, typer.Option(help="Column of TABLE that names the run or the family.")] = "group",
    loss: Annotated[str, typer.Option(help="Column of TABLE with the loss, the baseline for the others.")] = "loss",
    less: Annotated[bool, typer.Option("--less", help="Lower scores of TABLE are better.")] = False,
    corpus: Annotated[str | None, typer.Option(help="Text of the estimates; by default the text of most.")] = None,
    order: Annotated[int, typer.Option(min=1, max=4, help="n-gram order of the labels.")] = 1,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask of every measure how often it ranks two checkpoints or models correctly, and what it adds to loss.

    Directions, layers and fits are those of the other families or runs; intervals leave each of them out. Regret is
    the best score of a run or family minus that of the one that a measure would choose there.
    """
    if among not in AMONG or (table and among == "tuned"):
        raise InputError(f"--among was {among!r}; expected one of {', '.join(AMONG)}: choose one.")
    if table is None:
        found, loss = _stored(folder(data), score, among, corpus, order), selection.LOSS
    else:
        found = selection.of_table(_read(table), score, group, loss, less_is_better=less)
    rows = selection.choices(found.score, found.group, found.measures, loss, within=among == "runs")
    rows = [rows[0], *sorted(rows[1:], key=lambda row: -row.accuracy.value)]
    if as_json:
        show_json([_plain(row) for row in rows])
        return
    show(_table(rows, AMONG[among], score))
    say(selection.finding(rows, loss))


def _stored(data: Path, score: str, among: str, corpus: str | None, order: int) -> Candidates:
    """Candidates among the estimates of one text and one way of measuring, those of most estimates."""
    every = read.estimates(data)
    mine = every if corpus is None else every.filter(pl.col("corpus") == corpus)
    if mine.is_empty():
        raise InputError(f"No estimate of the text {corpus!r} is stored: choose one that `python -m softh list` shows.")
    usual = mine.group_by("settings").len().sort("len", "settings", descending=[True, False])["settings"][0]
    ids = mine.filter(pl.col("settings") == usual)["estimate_id"].to_list()
    points = read.trajectory(data, order=order, draws=False, estimates=ids)
    corrections = [name for name in CORRECTION_NAMES if name != "null" and name in set(points["correction"])]
    depths = {name: read.depths(data, ids, name).filter(pl.col("ngram") == order) for name in corrections}
    further = read.further(data, [each.column for each in FURTHER if not each.has_labels], ids)
    return selection.candidates(points, read.benchmarks(data), score, among, depths, further)


def _read(path: Path) -> pl.DataFrame:
    if path.suffix not in _READERS or not path.is_file():
        raise InputError(f"{path} is no table; expected a file that ends in {', '.join(_READERS)}: check the path.")
    try:
        return _READERS[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read ({said}); expected one row a checkpoint: correct it.") from error


def _table(rows: list[Choice], what: str, score: str) -> Table:
    title = f"Which of two is better in {score}? {rows[0].pairs:,} pairs of {what}, {rows[0].groups} families or runs"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.caption = "Shares of pairs in %, regret in units of the score; in brackets 95 % intervals."
    for name in ("measure", "accuracy", "minus loss", "with loss, minus loss", "regret"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for row in rows:
        shares = (_told(one, 100, 1) for one in (row.accuracy, row.against, row.beyond))
        table.add_row(row.measure, *shares, _told(row.regret, 1, 3))
    return table


def _told(one: Known, times: int, digits: int) -> str:
    if math.isnan(one.value):
        return "–"
    value, *ends = (f"{times * v:z.{digits}f}".replace("-", "−") for v in (one.value, one.low, one.high))
    return value if math.isnan(one.low) else f"{value} ({' to '.join(ends)})"


def _plain(row: Choice) -> dict[str, Any]:
    """The row for machines, without NaN."""
    return {
        name: {end: None if math.isnan(v) else v for end, v in value.items()} if isinstance(value, dict) else value
        for name, value in asdict(row).items()
    }

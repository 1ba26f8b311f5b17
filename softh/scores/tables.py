"""Scores in tables of CSV, Parquet or JSON, or on the hub: long, wide, or those of the Open LLM Leaderboard."""

import io
import math
from collections.abc import Callable
from typing import Any

import polars as pl

from softh.errors import InputError
from softh.format import and_more
from softh.scores.reader import ImportedScores, Row, ScoreReader, ScoreSource, unique_rows

LEADERBOARD = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
"""Columns of open-llm-leaderboard/contents."""
_TASKS = {"MUSR": "MuSR", "MMLU-PRO": "MMLU-Pro"}
"""Column of the leaderboard → task, where they differ."""
_COLUMNS = ("model", "revision", "task", "metric", "score", "stderr", "source", "precision")
_PARQUET = b"PAR1"
MOST_ROWS, MOST_CELLS = 200_000, 2_000_000
"""Most rows and cells of a table: a small packed file may hold millions, and each row takes a thousand bytes here."""


class ParquetTable(ScoreReader):
    """A Parquet file."""

    name = "a .parquet table with columns model, task and score"

    def handles(self, source: ScoreSource) -> bool:
        """Whether it begins with the magic number of Parquet."""
        return source.content is not None and source.content[:4] == _PARQUET

    def read(self, source: ScoreSource) -> ImportedScores:
        """The scores of the table."""
        content = io.BytesIO(source.content or b"")
        return scores_of_table(read_table(source.name, lambda: pl.read_parquet(content)), source.name)


class JsonTable(ScoreReader):
    """A JSON list of rows."""

    name = "a .json list of rows with model, task and score"

    def handles(self, source: ScoreSource) -> bool:
        """Whether it is a list of objects."""
        rows = source.json
        return isinstance(rows, list) and bool(rows) and all(isinstance(row, dict) for row in rows)

    def read(self, source: ScoreSource) -> ImportedScores:
        """The scores of the rows."""
        table = read_table(source.name, lambda: pl.DataFrame(source.json, infer_schema_length=None))
        return scores_of_table(table, source.name)


class CsvTable(ScoreReader):
    """A CSV file."""

    name = "a .csv table with columns model, task and score"

    def handles(self, source: ScoreSource) -> bool:
        """Whether it is a file that does not begin like JSON: every other text may be CSV."""
        return source.content is not None and source.json is None

    def read(self, source: ScoreSource) -> ImportedScores:
        """The scores of the table."""
        content = io.BytesIO(source.content or b"")
        table = read_table(source.name, lambda: pl.read_csv(content, infer_schema_length=None))
        return scores_of_table(table, source.name)


class HubTable(ScoreReader):
    """A data set of the hub that holds Parquet or CSV files."""

    name = "a data set of the hub as owner/name"

    def handles(self, source: ScoreSource) -> bool:
        """Whether it is a name without content."""
        return source.content is None

    def read(self, source: ScoreSource) -> ImportedScores:
        """The scores of all its tables of one kind; they are downloaded."""
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HFValidationError, HTTPError

        name = source.name
        try:
            names = HfApi().list_repo_files(name, repo_type="dataset")
            tables = sorted(file for file in names if file.endswith((".parquet", ".csv")))
            files = [hf_hub_download(name, file, repo_type="dataset") for file in tables]
        except HFValidationError:
            raise InputError(f"{name!r} is no file here and no data set of the hub: check the spelling.") from None
        except (HTTPError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"The data set {name} could not be read from the hub ({reason}): check the name and the network, or "
                "import its file."
            ) from error
        if not files:
            raise InputError(f"The data set {name} holds no .parquet or .csv file; expected a table of scores.")
        reader = pl.read_parquet if files[0].endswith(".parquet") else pl.read_csv
        return scores_of_table(read_table(name, lambda: pl.concat([reader(file) for file in files])), name)


def read_table(name: str, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """What `read` returns. Errors: InputError where polars cannot read it."""
    try:
        return read()
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{name} cannot be read ({reason}); expected a result file of lm-evaluation-harness, or a table with "
            "columns model, task and score: check the file."
        ) from None


def scores_of_table(table: pl.DataFrame, name: str) -> ImportedScores:
    """Scores of a table: long (model, task, score …), wide (model, a column a task), or the leaderboard's own.

    >>> import polars as pl
    >>> scores_of_table(pl.DataFrame({"model": ["a"], "BBH": [0.5]}), "t.csv").rows[0]["task"]
    'BBH'
    """
    if table.height > MOST_ROWS or table.height * table.width > MOST_CELLS:
        raise InputError(
            f"{name} has {table.height:,} rows of {table.width:,} columns; expected at most {MOST_ROWS:,} rows and "
            f"{MOST_CELLS:,} cells: split it."
        )
    if {"fullname", *LEADERBOARD} <= set(table.columns):
        return ImportedScores(unique_rows(_leaderboard(table), name), [])
    columns = {column.lower().strip(): column for column in table.columns}
    if "model" not in columns:
        raise InputError(
            f"{name} has the columns {and_more(table.columns)}; expected a column model beside task and score, or "
            "beside one column a task: rename it."
        )
    table = table.rename({old: new for new, old in columns.items() if new in _COLUMNS})
    long = {"task", "score"} <= set(table.columns)
    rows, notes = (_long if long else _wide)(table, name)
    if not rows:
        raise InputError(f"{name} holds no score that is a number; expected some in its columns: check the file.")
    return ImportedScores(unique_rows(rows, name), notes)


def _leaderboard(table: pl.DataFrame) -> list[Row]:
    rows = []
    for row in table.to_dicts():
        commit = f", commit {row['Model sha'][:12]}" if row.get("Model sha") else ""
        source = f"Open LLM Leaderboard v2, {row.get('Precision') or 'precision unknown'}{commit}"
        for task in LEADERBOARD:
            if (score := _number(row[task])) is not None:
                name = _TASKS.get(task, task)
                rows.append(_row(row["fullname"], None, name, "normalised 0–100", score, None, source))
    return rows


def _long(table: pl.DataFrame, name: str) -> tuple[list[Row], list[str]]:
    rows, dropped = [], 0
    for row in table.to_dicts():
        score = _number(row["score"])
        if score is None or not row["model"] or not row["task"]:
            dropped += 1
            continue
        source = row.get("source") or name
        source += f", {row['precision']}" if row.get("precision") else ""
        revision = None if row.get("revision") in {None, "", "main"} else str(row["revision"])
        metric, stderr = row.get("metric") or "score", _number(row.get("stderr"))
        rows.append(_row(str(row["model"]), revision, str(row["task"]), metric, score, stderr, source))
    notes = [f"{dropped} of {table.height} rows of {name} have no model, no task or no number: left out."]
    return rows, notes if dropped else []


def _wide(table: pl.DataFrame, name: str) -> tuple[list[Row], list[str]]:
    tasks = [c for c in table.columns if c not in _COLUMNS and table[c].dtype.is_numeric()]
    ignored = [c for c in table.columns if c not in _COLUMNS and c not in tasks]
    melted = table.unpivot(
        tasks, index=[c for c in table.columns if c in _COLUMNS], variable_name="task", value_name="score"
    )
    rows, notes = _long(melted, name)
    if ignored:
        notes.append(f"The columns {and_more(ignored)} of {name} hold no numbers: left out.")
    return rows, notes


def _row(
    model: str, revision: str | None, task: str, metric: str, score: float, stderr: float | None, source: str
) -> Row:
    return {
        "model": model, "revision": revision, "task": task, "metric": metric, "score": score, "stderr": stderr,
        "source": source,
    }  # fmt: skip


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

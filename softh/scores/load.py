"""Benchmark scores of others → rows of the table `benchmarks`: result files, tables, and the leaderboard of the hub."""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from softh.errors import InputError
from softh.scores.lm_eval import Row, results

CANDIDATES = 3
LEADERBOARD = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
"""Columns of open-llm-leaderboard/contents; the task is called as in our tables."""
_CALLED = {"MUSR": "MuSR", "MMLU-PRO": "MMLU-Pro"}
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Imported:
    """Rows of one file or data set, and what a reader should know of those that are missing."""

    rows: list[Row]
    notes: list[str]


def from_file(name: str, content: bytes) -> Imported:
    """Scores of a result file of lm-evaluation-harness, or of a table (.csv, .parquet). Errors: InputError."""
    if content[:4] == _PARQUET:
        return of_table(_read(name, lambda: pl.read_parquet(io.BytesIO(content))), name)
    if content.lstrip()[:1] == b"{":
        try:
            found = json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{name} is cut off or damaged ({error}); expected whole JSON: copy it again.") from None
        rows, notes = results(name, found)
        return Imported(_once(rows, name), notes)
    return of_table(_read(name, lambda: pl.read_csv(io.BytesIO(content), infer_schema_length=None)), name)


def from_hub(dataset: str) -> Imported:
    """Scores of a data set of the hub, such as open-llm-leaderboard/contents. Errors: InputError."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        names = HfApi().list_repo_files(dataset, repo_type="dataset")
        tables = sorted(name for name in names if name.endswith((".parquet", ".csv")))
        files = [hf_hub_download(dataset, name, repo_type="dataset") for name in tables]
    except HFValidationError:
        raise InputError(f"{dataset!r} is no file here and no data set of the hub: check the spelling.") from None
    except (HTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The data set {dataset} could not be read from the hub ({reason}): check the name and the network, or "
            "import its file."
        ) from error
    if not files:
        raise InputError(f"The data set {dataset} holds no .parquet or .csv file; expected a table of scores.")
    reader = pl.read_parquet if files[0].endswith(".parquet") else pl.read_csv
    return of_table(_read(dataset, lambda: pl.concat([reader(file) for file in files])), dataset)


def of_table(table: pl.DataFrame, name: str) -> Imported:
    """Scores of a table: long (model, task, score …), wide (model, a column a task), or the leaderboard's own."""
    if {"fullname", *LEADERBOARD} <= set(table.columns):
        return Imported(_once(_leaderboard(table), name), [])
    columns = {column.lower().strip(): column for column in table.columns}
    if "model" not in columns:
        raise InputError(
            f"{name} has the columns {_some(table.columns)}; expected a column model beside task and score, or beside "
            "one column a task: rename it."
        )
    table = table.rename({old: new for new, old in columns.items() if new in _ABOUT})
    long = {"task", "score"} <= set(table.columns)
    rows, notes = (_long if long else _wide)(table, name)
    if not rows:
        raise InputError(f"{name} holds no score that is a number; expected some in its columns: check the file.")
    return Imported(_once(rows, name), notes)


def unmatched(names: Iterable[str], known: Mapping[str, str]) -> dict[str, list[str]]:
    """Names of scores that are no model of the tables (model → where it comes from), each with the nearest ones.

    A name matches when it is the model's name or its hub id, letter by letter; nothing is guessed.
    """
    sources = {source for source in known.values() if list(known.values()).count(source) == 1}
    there = [*known, *sources]
    lower: dict[str, str] = {}
    for model, source in known.items():
        for form in (model, source, source.rsplit("/", 1)[-1]):
            lower.setdefault(form.lower(), model)
    missing = sorted(set(names) - set(there))
    return {name: _near(name, lower) for name in missing}


def renamed(rows: Sequence[Row], names: Mapping[str, str]) -> list[Row]:
    """The rows under other names of models. InputError where a name is not among them."""
    if absent := sorted(set(names) - {row["model"] for row in rows}):
        raise InputError(f"No score is of {absent[0]!r}; expected one of {_some(sorted({r['model'] for r in rows}))}.")
    return [{**row, "model": names.get(row["model"], row["model"])} for row in rows]


_ABOUT = ("model", "revision", "task", "metric", "score", "stderr", "source", "precision")


def _leaderboard(table: pl.DataFrame) -> list[Row]:
    rows = []
    for row in table.to_dicts():
        commit = f", commit {row['Model sha'][:12]}" if row.get("Model sha") else ""
        source = f"Open LLM Leaderboard v2, {row.get('Precision') or 'precision unknown'}{commit}"
        for task in LEADERBOARD:
            if (score := _number(row[task])) is not None:
                named = _CALLED.get(task, task)
                rows.append(_row(row["fullname"], None, named, "normalised 0–100", score, None, source))
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
    tasks = [c for c in table.columns if c not in _ABOUT and table[c].dtype.is_numeric()]
    ignored = [c for c in table.columns if c not in _ABOUT and c not in tasks]
    melted = table.unpivot(
        tasks, index=[c for c in table.columns if c in _ABOUT], variable_name="task", value_name="score"
    )
    rows, notes = _long(melted, name)
    if ignored:
        notes.append(f"The columns {_some(ignored)} of {name} hold no numbers: left out.")
    return rows, notes


def _once(rows: list[Row], name: str) -> list[Row]:
    """Each row once; two scores of one thing are refused."""
    kept: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[part] for part in ("model", "revision", "task", "metric", "source"))
        if key in kept and kept[key]["score"] != row["score"]:
            raise InputError(
                f"{name} gives {row['model']} two scores on {row['task']} ({kept[key]['score']:g} and "
                f"{row['score']:g}); expected one: tell them apart by a column precision or revision, or remove one."
            )
        kept[key] = row
    return list(kept.values())


def _row(
    model: str, revision: str | None, task: str, metric: str, score: float, stderr: float | None, source: str
) -> Row:
    return {
        "model": model, "revision": revision, "task": task, "metric": metric, "score": score, "stderr": stderr,
        "source": source,
    }  # fmt: skip


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _near(name: str, lower: Mapping[str, str]) -> list[str]:
    """Nearest models, by the whole name and by what follows the owner's."""
    forms = {name.lower(), name.rsplit("/", 1)[-1].lower()}
    found = [lower[near] for form in forms for near in get_close_matches(form, lower, CANDIDATES, cutoff=0.5)]
    return list(dict.fromkeys(found))[:CANDIDATES]


def _read(name: str, reader: Any) -> pl.DataFrame:
    try:
        return reader()
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{name} cannot be read ({reason}); expected a result file of lm-evaluation-harness, or a table with "
            "columns model, task and score: check the file."
        ) from None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

"""Evaluation results in the YAML of the hub: a model card's ``model-index``, and files of ``.eval_results``."""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from softh.errors import InputError
from softh.scores.reader import ImportedScores, Row, ScoreReader, ScoreSource, unique_rows

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, EvalResultEntry

OWN = "softh"
"""Key of what we add to a metric, and how the names of tasks begin that are estimates of softh."""
LARGEST = 1 << 20
"""Bytes of YAML, which is slow to read."""
NOTE = "{metric}; standard error {stderr}; revision {revision}; {source}"
"""Notes of an entry that :mod:`softh.scores.export` writes."""
_NOTE = re.compile(r"(?P<metric>.+?); standard error (?P<stderr>\S+); revision (?P<revision>\S+); (?P<source>.+)")
_CARD = re.compile(rb"\A\s*---\r?\n(.*?\n)---", re.DOTALL)
_NUMBER = re.compile(r"\s*(-?[\d.]+(?:e-?\d+)?)\s*(?:±\s*([\d.]+(?:e-?\d+)?))?\s*%?\s*", re.IGNORECASE)


class HubResults(ScoreReader):
    """``README.md`` with ``model-index``, or a file of ``.eval_results``, which names no model."""

    name = "README.md with model-index, or .yaml of .eval_results"

    def handles(self, source: ScoreSource) -> bool:
        """Whether its name is that of a model card or of YAML."""
        return source.content is not None and source.name.lower().endswith((".md", ".yaml", ".yml"))

    def read(self, source: ScoreSource) -> ImportedScores:
        """Every result that is a number; estimates of softh are no scores and are left out."""
        content = _content(source)
        index = content.get("model-index") if isinstance(content, dict) else None
        if isinstance(index, list):
            found = [*_of_model_index(source.name, index)]
        elif isinstance(content, list):
            found = [*_of_entries(source, content)]
        else:
            raise InputError(
                f"{source.name} has no results; expected model-index in a model card, or a list as .eval_results has: "
                "check the file."
            )
        own = [row for row in found if is_own(row["task"])]
        rows = [row for row in found if not is_own(row["task"]) and row["score"] is not None]
        if not rows and not own:
            raise InputError(f"{source.name} has no score that is a number; expected some: check the file.")
        notes = [f"{len(own)} values of {source.name} are estimates of softh, not scores: left out."] if own else []
        if undefined := len(found) - len(own) - len(rows):
            notes.append(f"{undefined} scores of {source.name} are not a number: left out.")
        return ImportedScores(unique_rows(rows, source.name), notes)


def is_own(task: str) -> bool:
    """Whether a task is an estimate of softh that was exported.

    >>> is_own("softh weymouth-nt"), is_own("softh_weymouth-nt"), is_own("softhearted")
    (True, True, False)
    """
    return task.startswith((f"{OWN} ", f"{OWN}_"))


def _content(source: ScoreSource) -> Any:
    """The YAML of a file, of a card that between its lines of dashes. Errors: InputError."""
    text = source.content or b""
    if source.name.lower().endswith(".md"):
        match = _CARD.match(text)
        text = match[1] if match else b""
    if len(text) > LARGEST:
        raise InputError(f"{source.name} has {len(text):,} bytes of YAML; expected at most {LARGEST:,}: divide it.")
    try:
        # What is written once and meant often may be larger than any memory.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InputError(f"{source.name} has aliases (*name), which results do not need: write them out.")
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source.name} is not YAML ({reason}); expected results: check the file.") from None


def _of_model_index(name: str, index: list[Any]) -> Iterator[Row]:
    from huggingface_hub.repocard_data import model_index_to_eval_results  # takes a second to import

    for each in index:
        try:
            model, results = model_index_to_eval_results([each])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"{name} has a model-index that cannot be read ({type(error).__name__}: {error}); expected name, and "
                "task, dataset and metrics for each result: check the file."
            ) from None
        for result in results:
            yield _row_of(str(model), result)


def _row_of(model: str, result: "EvalResult") -> Row:
    args = result.metric_args if isinstance(result.metric_args, dict) else {}
    own = args.get(OWN) if isinstance(args.get(OWN), dict) else None
    score, stderr = _number(result.metric_value)
    metric = str(result.metric_name or result.metric_type)
    if own is not None:
        return {
            "model": model, "revision": own.get("revision"), "task": str(result.dataset_name), "metric": metric,
            "score": score, "stderr": _number(own.get("stderr"))[0], "source": str(own.get("source")),
        }  # fmt: skip
    task = str(result.dataset_name)
    task += "".join(f", {part}" for part in (result.dataset_config, result.dataset_split) if part and part != "test")
    source = ", ".join(part for part in ("model card", result.source_name or result.source_url) if part)
    return {"model": model, "revision": None, "task": task, "metric": metric, "score": score, "stderr": stderr,
            "source": source}  # fmt: skip


def _of_entries(source: ScoreSource, content: list[Any]) -> Iterator[Row]:
    if not source.model:
        raise InputError(
            f"{source.name} names no model, since such files lie in the model's repository; expected one: say which "
            "with --model."
        )
    from huggingface_hub import parse_eval_result_entries  # as above

    try:
        entries = parse_eval_result_entries(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{source.name} cannot be read ({type(error).__name__}: {error}); expected dataset with id and task_id, "
            "and value for each result: check the file."
        ) from None
    for entry in entries:
        yield _row_of_entry(source.model, entry)


def _row_of_entry(model: str, entry: "EvalResultEntry") -> Row:
    score, stderr = _number(entry.value)
    task = entry.dataset_id if entry.task_id == "default" else f"{entry.dataset_id}:{entry.task_id}"
    row: Row = {"model": model, "revision": None, "task": task, "score": score, "stderr": stderr}
    if own := _NOTE.fullmatch(str(entry.notes or "")):
        known = {name: value if value != "none" else None for name, value in own.groupdict().items()}
        return {**row, **known, "stderr": _number(known["stderr"])[0]}
    day = re.match(r"\d{4}-\d\d-\d\d", str(entry.date or ""))
    source = ("eval results", entry.source_name or entry.source_url, day and day[0])
    return {**row, "metric": ", ".join(part for part in ("score", entry.notes) if part),
            "source": ", ".join(part for part in source if part)}  # fmt: skip


def _number(value: Any) -> tuple[float | None, float | None]:
    """A score and its error: a number, or a text such as ``20.0 ± 1.2``; None where it is none."""
    if isinstance(value, bool) or value is None:
        return None, None
    if isinstance(value, int | float):
        return (float(value), None) if math.isfinite(value) else (None, None)
    match = _NUMBER.fullmatch(str(value))
    return (float(match[1]), float(match[2]) if match[2] else None) if match else (None, None)

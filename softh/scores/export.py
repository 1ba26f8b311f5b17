"""Scores in the formats that others read: results of lm-evaluation-harness, the hub's model-index and eval results."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from softh.errors import InputError, disk_errors
from softh.scores.hub_files import NOTE, OWN, is_own
from softh.scores.lm_eval import METRICS, is_limited
from softh.scores.reader import Row

Format = Literal["lm-eval", "model-index", "eval-results"]

_KEYS = {name: key for key, name in METRICS.items()}
_CHAT, _TURNS, _SYSTEM = "chat template", "chat template, shots as turns", "system prompt"
_QUANTISED: dict[str, dict[str, Any]] = {
    "4-bit": {"load_in_4bit": True}, "8-bit": {"load_in_8bit": True}, "GPTQ": {"autogptq": True},
}  # fmt: skip
_CONDITION = re.compile(r"4-bit|8-bit|GPTQ|quantised by .+|GGUF .+")
_TASK_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?::(?P<task>[\w.-]+))?")


class _Metric(NamedTuple):
    """A metric of the tables in its parts: name and filter as in the files, and what the whole file says."""

    key: str
    filter: str
    shots: int | None
    conditions: tuple[str, ...]
    limit: str | None


def write(
    file_format: Format, model: str, rows: Sequence[Row], output: Path, data_sets: Mapping[str, str]
) -> list[str]:
    """Write rows of the table benchmarks, of one model, in a format; returns the tasks that are left out.

    lm-eval writes files into the folder `output`. A model card that is there already keeps all but its model-index.

    Raises:
        InputError: when nothing can be written, and as :func:`eval_results` does.
    """
    missing: list[str] = []
    with disk_errors("The results could not be written", output):
        if file_format == "lm-eval":
            output.mkdir(parents=True, exist_ok=True)
            for number, content in enumerate(lm_eval(model, rows), start=1):
                (output / f"results_{number}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            return []
        output.parent.mkdir(parents=True, exist_ok=True)
        if file_format == "model-index":
            _write_card(output, model_index(model, rows))
        else:
            scores = [row for row in rows if not is_own(row["task"])]
            entries, missing = eval_results(scores, data_sets)
            output.write_text(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return missing


def _write_card(output: Path, index: list[dict[str, Any]]) -> None:
    from huggingface_hub.repocard import metadata_load, metadata_save  # takes a second to import

    try:
        head = (metadata_load(output) if output.exists() else None) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"{output} has a head that is not YAML ({error}); expected a model card: correct it."
        ) from None
    metadata_save(output, {**head, "model-index": index})


def lm_eval(model: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Contents of ``results_….json`` files: one for each source, revision and way of asking.

    :class:`softh.scores.lm_eval.HarnessResults` reads the same rows from them.

    >>> row = {"revision": None, "task": "piqa", "metric": "accuracy, 5-shot", "score": 0.6, "stderr": 0.01}
    >>> [content] = lm_eval("mine", [{"model": "mine", **row, "source": "by hand"}])
    >>> content["results"]["piqa"], content["n-shot"]
    ({'alias': 'piqa', 'acc,none': 0.6, 'acc_stderr,none': 0.01}, {'piqa': 5})
    """
    files: dict[tuple[Any, ...], list[tuple[Row, _Metric]]] = {}
    for row in rows:
        parts = _parts(row["metric"])
        source = OWN if is_own(row["task"]) else row["source"]  # each estimate has another
        key = (source, row["revision"], parts.shots, parts.conditions, parts.limit)
        files.setdefault(key, []).append((row, parts))
    return [_file(model, key, members) for key, members in files.items()]


def _file(model: str, key: tuple[Any, ...], members: Sequence[tuple[Row, _Metric]]) -> dict[str, Any]:
    source, revision, shots, conditions, limit = key
    results: dict[str, dict[str, Any]] = {}
    for row, parts in members:
        name = _plain_task(row["task"])
        task = results.setdefault(name, {"alias": name})
        task[f"{parts.key},{parts.filter or 'none'}"] = row["score"]
        task[f"{parts.key}_stderr,{parts.filter or 'none'}"] = "N/A" if row["stderr"] is None else row["stderr"]
    arguments: dict[str, Any] = {"pretrained": model} | ({"revision": revision} if revision else {})
    for condition in conditions:
        if condition.startswith("quantised by "):
            arguments["quantization"] = condition.removeprefix("quantised by ")
        elif condition.startswith("GGUF "):
            arguments["gguf_file"] = condition.removeprefix("GGUF ")
        else:
            arguments |= _QUANTISED.get(condition, {})
    asked: dict[str, Any] = {"apply_chat_template": True} if {_CHAT, _TURNS} & set(conditions) else {}
    asked |= {"fewshot_as_multiturn": True} if _TURNS in conditions else {}
    asked |= {"system_instruction": "not stored"} if _SYSTEM in conditions else {}
    return {
        "results": results,
        "configs": {task: {"task": task} | ({} if shots is None else {"num_fewshot": shots}) for task in results},
        "versions": dict.fromkeys(results, "N/A"),
        "n-shot": dict.fromkeys(results, shots) if shots is not None else {},
        "config": {
            "model": "hf", "model_args": arguments, "limit": None if limit is None else float(limit), **asked
        },
        "model_name": model,
        OWN: {"source": source},
    }  # fmt: skip


def _parts(metric: str) -> _Metric:
    name = max((each for each in _KEYS if metric == each or metric.startswith(f"{each}, ")), key=len, default=None)
    rest = metric.split(", ") if name is None else [name, *metric.removeprefix(name).removeprefix(", ").split(", ")]
    first, *others = rest
    shots, limit, conditions, filters = None, None, [], []
    for part in others:
        if match := re.fullmatch(r"(\d+)-shot", part):
            shots = int(match[1])
        elif match := re.fullmatch(r"limit ([\d.]+)", part):
            limit = match[1]
        elif part == "shots as turns" and _CHAT in conditions:
            conditions[conditions.index(_CHAT)] = _TURNS
        elif part in {_CHAT, _SYSTEM} or _CONDITION.fullmatch(part):
            conditions.append(part)
        elif part:
            filters.append(part)
    return _Metric(_KEYS.get(first, first), ", ".join(filters), shots, tuple(conditions), limit)


def _plain_task(task: str) -> str:
    return task.replace(" ", "_") if is_own(task) else task


def model_index(model: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The value of ``model-index`` in the head of a model card.

    :class:`softh.scores.hub_files.HubResults` reads the same rows from it.
    """
    from huggingface_hub import EvalResult  # takes a second to import
    from huggingface_hub.repocard_data import eval_results_to_model_index

    results = [
        EvalResult(
            task_type="text-generation", dataset_type=_slug(row["task"]), dataset_name=row["task"],
            metric_type=_slug(row["metric"].split(",")[0]), metric_name=row["metric"], metric_value=row["score"],
            metric_args={OWN: {name: row[name] for name in ("stderr", "revision", "source") if row[name] is not None}},
        )
        for row in rows
    ]  # fmt: skip
    return eval_results_to_model_index(model, results)


def eval_results(rows: Sequence[Row], data_sets: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Entries of a file of ``.eval_results``, and the tasks that are left out since no data set of the hub is theirs.

    Scores of a part of a task are left out, too: an entry stands for the whole.

    Args:
        rows: of the table benchmarks.
        data_sets: task → ``owner/name`` of the hub, or ``owner/name:task``; a task of such a name needs none.

    Raises:
        InputError: for a data set that is not named so, and when nothing is left.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml  # takes a second to import

    entries, missing = [], []
    for row in rows:
        match = _TASK_ID.fullmatch(data_sets.get(row["task"], row["task"]))
        if match is None and row["task"] in data_sets:
            raise InputError(
                f"The data set of {row['task']} was {data_sets[row['task']]!r}; expected owner/name, or "
                "owner/name:task: correct it."
            )
        if match is None or is_limited(row["metric"]):
            missing.append(row["task"])
            continue
        known = {name: "none" if row[name] is None else row[name] for name in ("stderr", "revision")}
        notes = NOTE.format(metric=row["metric"], source=row["source"], **known)
        entries.append(
            EvalResultEntry(dataset_id=match["id"], task_id=match["task"] or "default", value=row["score"], notes=notes)
        )
    if not entries:
        raise InputError(
            f"No score has a data set of the hub (tasks {', '.join(sorted(set(missing))[:5]) or 'none'}); expected one "
            "that its leaderboard is of: give --dataset TASK=OWNER/NAME."
        )
    return eval_result_entries_to_yaml(entries), sorted(set(missing))


def _slug(text: str) -> str:
    return re.sub(r"[^\w./-]+", "-", text.strip()).strip("-").lower()

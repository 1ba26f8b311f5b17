"""Result files of lm-evaluation-harness, of today's versions and of older ones."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from softh.errors import InputError
from softh.scores.reader import ImportedScores, Row, ScoreReader, ScoreSource, unique_rows

_METRICS = {"acc": "accuracy", "acc_norm": "accuracy, length-normalised", "em": "exact match", "ppl": "perplexity",
           "word_perplexity": "perplexity a word", "bits_per_byte": "bits per byte"}  # fmt: skip
"""Name of a metric in the files → in the tables; others stay as they are."""


class HarnessResults(ScoreReader):
    """``results_….json`` of lm-evaluation-harness."""

    name = "results_….json of lm-evaluation-harness"

    def handles(self, source: ScoreSource) -> bool:
        """Whether it is a JSON object with results and config."""
        content = source.json
        return isinstance(content, dict) and all(isinstance(content.get(key), dict) for key in ("results", "config"))

    def read(self, source: ScoreSource) -> ImportedScores:
        """Every metric of every task that is a finite number."""
        rows, notes = _results(source.name, source.json)
        return ImportedScores(unique_rows(rows, source.name), notes)


def _results(name: str, content: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """Rows of the table `benchmarks`, and notes on what was left out."""
    scored, config = content["results"], content["config"]
    arguments = _arguments(config.get("model_args"))
    model = (
        content.get("model_name") or arguments.get("pretrained") or arguments.get("engine") or arguments.get("model")
    )
    if not model:
        raise InputError(
            f"{name} names no model (config.model_args is {config.get('model_args')!r}); expected pretrained=…: write "
            "its scores to a CSV with columns model, task and score."
        )
    revision = arguments.get("revision")
    model_and_revision = {"model": str(model), "revision": None if revision in {None, "", "main"} else str(revision)}
    source = _source(content, arguments)
    rows, undefined = [], 0
    for task, row in _scores(content, scored):
        if row["score"] is None:
            undefined += 1
            continue
        rows.append({**model_and_revision, "task": task, **row, "source": source})
    if not rows:
        raise InputError(f"{name} has no score that is a number; expected some under results: run the tasks again.")
    return rows, [f"{undefined} scores of {name} are not a number: left out."] if undefined else []


def _scores(content: Mapping[str, Any], scored: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """Task and score of every metric: ``acc,none`` by metric and filter in files of today, ``acc`` in older ones."""
    for task, values in scored.items():
        if not isinstance(values, dict):
            continue
        shots = _shots(content, task)
        for key, value in values.items():
            metric, _, filtered = key.partition(",")
            if metric.endswith("_stderr") or metric in {"alias", "sample_len", "name", "sample_count"}:
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            parts = [_METRICS.get(metric, metric), filtered if filtered not in {"", "none"} else "", shots]
            error = values.get(f"{metric}_stderr,{filtered}" if filtered else f"{metric}_stderr")
            yield (
                task,
                {
                    "metric": ", ".join(part for part in parts if part),
                    "score": float(value) if math.isfinite(value) else None,
                    "stderr": float(error) if isinstance(error, int | float) and math.isfinite(error) else None,
                },
            )


def _shots(content: Mapping[str, Any], task: str) -> str:
    """``5-shot`` where the file says it: scores of different shots are different metrics."""
    by_task = content.get("n-shot")
    shots = by_task.get(task) if isinstance(by_task, dict) else content["config"].get("num_fewshot")
    return f"{shots}-shot" if isinstance(shots, int) else ""


def _arguments(text: Any) -> Mapping[str, Any]:
    """`pretrained=…,revision=…`, or the same as a mapping."""
    if isinstance(text, dict):
        return text
    pairs = (part.partition("=") for part in str(text or "").split(","))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _source(content: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    version = content.get("lm_eval_version") or content.get("git_hash")
    parts = [f"lm-evaluation-harness {version or 'of an older version'}"]
    # Precision changes scores, so that two of them are two sources.
    parts += [str(arguments[key]) for key in ("dtype", "peft") if arguments.get(key) not in {None, "", "auto"}]
    return ", ".join(parts)

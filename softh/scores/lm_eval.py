"""Result files of lm-evaluation-harness, of today's versions and of older ones."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from softh.errors import InputError

Row = dict[str, Any]
METRICS = {"acc": "accuracy", "acc_norm": "accuracy, length-normalised", "em": "exact match", "ppl": "perplexity",
           "word_perplexity": "perplexity a word", "bits_per_byte": "bits per byte"}  # fmt: skip
"""The harness's name → ours; others stay."""
_TOOLS = {"config_general": "lighteval", "instances": "HELM", "eval_results": "OpenCompass", "run_spec": "HELM"}
"""What result files of other tools have and those of the harness have not."""


def results(name: str, found: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """Rows of the table `benchmarks`, and notes. Errors: InputError for a file of another tool."""
    for key, tool in _TOOLS.items():
        if key in found:
            raise InputError(
                f"{name} is a result file of {tool}; expected one of lm-evaluation-harness: write its scores to a CSV "
                "with columns model, task, metric and score."
            )
    scored, config = found.get("results"), found.get("config")
    if not isinstance(scored, dict) or not isinstance(config, dict):
        raise InputError(
            f"{name} has the keys {', '.join(list(found)[:6]) or 'of nothing'}; expected results and config, as "
            "lm-evaluation-harness writes them: choose its results_….json."
        )
    arguments = _arguments(config.get("model_args"))
    model = found.get("model_name") or arguments.get("pretrained") or arguments.get("engine") or arguments.get("model")
    if not model:
        raise InputError(
            f"{name} names no model (config.model_args is {config.get('model_args')!r}); expected pretrained=…: write "
            "its scores to a CSV with columns model, task and score."
        )
    revision = arguments.get("revision")
    what = {"model": str(model), "revision": None if revision in {None, "", "main"} else str(revision)}
    source = _source(found, arguments)
    rows, undefined = [], 0
    for task, row in _scores(found, scored):
        if row["score"] is None:
            undefined += 1
            continue
        rows.append({**what, "task": task, **row, "source": source})
    if not rows:
        raise InputError(f"{name} has no score that is a number; expected some under results: run the tasks again.")
    return rows, [f"{undefined} scores of {name} are not a number: left out."] if undefined else []


def _scores(found: Mapping[str, Any], scored: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """Every metric of every task; today they are called `acc,none` by metric and filter, once `acc`."""
    for task, values in scored.items():
        if not isinstance(values, dict):
            continue
        shots = _shots(found, task)
        for key, value in values.items():
            metric, _, filtered = key.partition(",")
            if metric.endswith("_stderr") or metric in {"alias", "sample_len", "name", "sample_count"}:
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            parts = [METRICS.get(metric, metric), filtered if filtered not in {"", "none"} else "", shots]
            error = values.get(f"{metric}_stderr,{filtered}" if filtered else f"{metric}_stderr")
            yield (
                task,
                {
                    "metric": ", ".join(part for part in parts if part),
                    "score": float(value) if math.isfinite(value) else None,
                    "stderr": float(error) if isinstance(error, int | float) and math.isfinite(error) else None,
                },
            )


def _shots(found: Mapping[str, Any], task: str) -> str:
    """'5-shot' where the file says it; scores of different shots are different scores."""
    by_task = found.get("n-shot")
    shots = by_task.get(task) if isinstance(by_task, dict) else found["config"].get("num_fewshot")
    return f"{shots}-shot" if isinstance(shots, int) else ""


def _arguments(given: Any) -> Mapping[str, Any]:
    """`pretrained=…,revision=…`, or the same as a mapping."""
    if isinstance(given, dict):
        return given
    pairs = (part.partition("=") for part in str(given or "").split(","))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def _source(found: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    version = found.get("lm_eval_version") or found.get("git_hash")
    parts = [f"lm-evaluation-harness {version or 'of an older version'}"]
    # Precision changes scores, so that two of them are two sources.
    parts += [str(arguments[key]) for key in ("dtype", "peft") if arguments.get(key) not in {None, "", "auto"}]
    return ", ".join(parts)

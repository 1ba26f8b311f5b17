"""Result files of lm-evaluation-harness, of today's versions and of older ones.

What may change a score is part of its metric: shots, limit, quantisation, chat template, system prompt, so that a score
under one condition never stands for one under another. Who computed it, when and how exactly is its source. A run with
an adapter is of another model.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from softh.errors import InputError
from softh.scores.reader import ImportedScores, Row, ScoreReader, ScoreSource, unique_rows

METRICS = {"acc": "accuracy", "acc_norm": "accuracy, length-normalised", "em": "exact match", "ppl": "perplexity",
           "word_perplexity": "perplexity a word", "bits_per_byte": "bits per byte"}  # fmt: skip
"""Name of a metric in the files → in the tables; others stay as they are."""
_ADAPTERS = ("peft", "lora_local_path", "lora_path", "delta", "adapter", "enable_lora_path")
"""Arguments that name an adapter, or weights that are added to the model's."""
_MODELS = ("pretrained", "engine", "model", "path", "model_name")
_IDLE = {
    "attn_implementation", "auto_device", "backend", "batch_size", "block_size", "cache_dir", "data_parallel_size",
    "device", "device_map", "device_map_option", "disable_log_stats", "distributed_executor_backend", "enable_lora",
    "enforce_eager", "gpu_memory_utilization", "gpus", "low_cpu_mem_usage", "max_batch_size", "max_cpu_memory",
    "max_lora_rank", "max_memory_per_gpu", "max_num_seqs", "max_retries", "mixed_precision_dtype", "num_concurrent",
    "offload_folder", "parallelize", "pipeline_parallel_size", "revision", "seed", "swap_space", "tensor_parallel_size",
    "timeout", "tokenized_requests", "tokenizer_backend", "trust_remote_code", "use_accelerate", "use_fast_tokenizer",
}  # fmt: skip
"""Arguments that change how fast a score is computed, not the score, and those that are read elsewhere."""
_SECRET = re.compile(r"key|secret|password|auth|url|^(?:(?:hf|api|access)_)?token$", re.IGNORECASE)
_PLAIN_BACKENDS = {"", "hf", "hf-auto", "hf-causal", "hf-causal-experimental", "hf-multimodal", "huggingface", "none"}
_SEEDS = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}
"""Seeds of the harness and their defaults."""


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
    model = _model(content, arguments)
    if not model:
        raise InputError(
            f"{name} names no model (config.model_args is {config.get('model_args')!r}); expected pretrained=…: write "
            "its scores to a CSV with columns model, task and score."
        )
    revision = arguments.get("revision")
    model_and_revision = {"model": str(model), "revision": None if revision in {None, "", "main"} else str(revision)}
    source = _own_source(content) or _source(content, arguments)
    conditions = _conditions(content, arguments)
    rows, undefined, own = [], 0, 0
    for task, row in _scores(content, scored):
        if task.startswith("softh_"):
            own += 1
            continue
        if row["score"] is None:
            undefined += 1
            continue
        metric = ", ".join([row["metric"], *conditions, *_limit(content, task)])
        rows.append({**model_and_revision, "task": task, **row, "metric": metric, "source": source})
    if not rows and not own:
        raise InputError(f"{name} has no score that is a number; expected some under results: run the tasks again.")
    notes = [f"{undefined} scores of {name} are not a number: left out."] if undefined else []
    notes += [f"{own} values of {name} are estimates of softh, not scores: left out."] if own else []
    if limited := {row["task"] for row in rows if is_limited(row["metric"])}:
        notes.append(
            f"{name} is a run on a part of {len(limited)} of its tasks: those scores are marked by their limit and "
            "never stand for the whole task."
        )
    return rows, notes


def is_limited(metric: str) -> bool:
    """Whether a metric is of a part of a task only.

    >>> is_limited("accuracy, 5-shot, limit 10"), is_limited("accuracy, 5-shot")
    (True, False)
    """
    return LIMITED.search(metric) is not None


LIMITED = re.compile(r", limit [\d.]+(?:,|$)")
"""How a metric ends that is of a part of a task."""


def _model(content: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The model's name, with its adapter where it has one."""
    base = next((arguments[name] for name in _MODELS if arguments.get(name)), None)
    adapter = next((arguments[name] for name in _ADAPTERS if _is_set(arguments.get(name))), None)
    if adapter is not None:
        return f"{base or content.get('model_name')} + {adapter}"
    return content.get("model_name") or base


def _conditions(content: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """What was done otherwise than for the plain model: these scores are metrics of their own."""
    config = content["config"]
    parts = [_quantisation(arguments)]
    if content.get("chat_template") or content.get("chat_template_sha") or config.get("apply_chat_template"):
        turns = content.get("fewshot_as_multiturn") or config.get("fewshot_as_multiturn")
        parts.append("chat template, shots as turns" if turns else "chat template")
    if content.get("system_instruction") or content.get("system_instruction_sha") or config.get("system_instruction"):
        parts.append("system prompt")
    return [part for part in parts if part]


def _quantisation(arguments: Mapping[str, Any]) -> str:
    for name, label in (("load_in_4bit", "4-bit"), ("load_in_8bit", "8-bit"), ("autogptq", "GPTQ"),
                        ("gptqmodel", "GPTQ")):  # fmt: skip
        if _is_set(arguments.get(name)):
            return label
    for name in ("quantization", "quantization_config", "gguf_file", "autoawq"):
        if _is_set(arguments.get(name)):
            return (
                f"quantised by {_short(arguments[name])}" if name != "gguf_file" else f"GGUF {_short(arguments[name])}"
            )
    return ""


def _limit(content: Mapping[str, Any], task: str) -> list[str]:
    """``limit 10`` where not all examples of a task were asked."""
    samples = content.get("n-samples")
    count = samples.get(task) if isinstance(samples, dict) else None
    if isinstance(count, dict):
        whole, used = count.get("original"), count.get("effective")
        if isinstance(whole, int | float) and isinstance(used, int | float):
            return [f"limit {used:g}"] if used < whole else []
    limit = content["config"].get("limit")
    try:
        number = float(limit)
    except (TypeError, ValueError):
        return []
    return [f"limit {number:g}"] if number > 0 else []


def _is_set(value: Any) -> bool:
    return str(value).strip().lower() not in {"none", "", "false", "0", "{}"}


def _short(value: Any) -> str:
    """A value of the file as a part of a name: one line, without commas, which divide a source."""
    return re.sub(r"[\s,]+", " ", str(value)).strip()[-60:]


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
    """Version, backend, precision, every argument that may change a score, digests of template and prompt, and date."""
    config = content["config"]
    version = content.get("lm_eval_version") or content.get("git_hash")
    parts = [f"lm-evaluation-harness {version or 'of an older version'}"]
    if str(config.get("model") or "").lower() not in _PLAIN_BACKENDS:
        parts.append(_short(config["model"]))
    # Precision changes scores, so that two of them are two sources.
    parts += [_short(arguments["dtype"])] if arguments.get("dtype") not in {None, "", "auto"} else []
    parts += [
        f"{name}={_short(value)}"
        for name, value in sorted(arguments.items())
        if name not in {"dtype", *_IDLE, *_MODELS, *_ADAPTERS} and not _SECRET.search(name) and _is_set(value)
    ]
    if _is_set(config.get("gen_kwargs")):
        parts.append(f"gen_kwargs={_short(config['gen_kwargs'])}")
    parts += [f"{name}={config[name]}" for name, usual in _SEEDS.items() if config.get(name) not in {None, usual}]
    for name, label in (("chat_template_sha", "template"), ("system_instruction_sha", "prompt")):
        parts += [f"{label} {str(content[name])[:8]}"] if content.get(name) else []
    return ", ".join([*parts, *_date(content.get("date"))])


def _own_source(content: Mapping[str, Any]) -> str | None:
    """The source of scores that softh wrote into such a file."""
    own = content.get("softh")
    source = own.get("source") if isinstance(own, dict) else None
    return source if isinstance(source, str) and source else None


def _date(value: Any) -> list[str]:
    """The day in UTC of the time that the file states in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 4e9:
        return []
    return [datetime.fromtimestamp(value, UTC).date().isoformat()]

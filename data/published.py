"""Scores that others have published → rows of the table `benchmarks`: ``python -m data.published FOLDER``."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from softh import access
from softh.store import write

LEADERBOARD = {
    "ifeval": "IFEval",
    "bbh": "BBH",
    "math_lvl_5": "MATH Lvl 5",
    "gpqa": "GPQA",
    "musr": "MuSR",
    "mmlu_pro": "MMLU-Pro",
}
OBSERVED = {
    "mmlu": "MMLU",
    "arc_c": "ARC challenge",
    "hellaswag": "HellaSwag",
    "winograd": "Winogrande",
    "truthfulqa": "TruthfulQA",
    "gsm8k": "GSM8K",
    "humaneval": "HumanEval",
}
FACTS = {"params_b": ("parameters", "count", 1e9), "pretraining_tokens_t": ("training tokens", "tokens", 1e12),
         "flops_1e21": ("training compute", "FLOPs", 1e21)}  # fmt: skip
"""Column → what it is, its unit, and how many of that unit one of the column's is."""
PYTHIA_METRICS = {"acc": "accuracy", "acc_norm": "accuracy, length-normalised", "ppl": "perplexity"}


def leaderboard(path: Path) -> Iterator[dict[str, Any]]:
    """Open LLM Leaderboard v2: one source for each precision, since a model may stand there in several."""
    for row in pl.read_csv(path).to_dicts():
        commit = f", commit {row['commit_sha'][:12]}" if row["commit_sha"] else ""
        source = f"Open LLM Leaderboard v2, {row['precision']}{commit}"
        for column, task in LEADERBOARD.items():
            if row[column] is not None:
                yield _score(row["model"], None, task, "normalised 0–100", row[column], None, source)


def pythia(path: Path) -> Iterator[dict[str, Any]]:
    """Zero-shot scores of Pythia at 27 steps, as EleutherAI published them; hub revisions are named ``stepN``."""
    source = "EleutherAI/pythia, zero-shot evaluations (Apache-2.0)"
    for row in pl.read_csv(path).to_dicts():
        # The hub's pythia-1b is the run that these files call pythia-1b-bf16.
        model = f"EleutherAI/{row['model'].removesuffix('-bf16')}"
        metric = PYTHIA_METRICS[row["metric"]]
        yield _score(model, f"step{row['step']}", row["task"], metric, row["value"], row["stderr"], source)


def base_models(path: Path) -> Iterator[dict[str, Any]]:
    """Base models with size, training tokens, compute and older benchmarks, as gathered by ObsScaling."""
    source = "ObsScaling, base models (Apache-2.0)"
    for row in pl.read_csv(path).to_dicts():
        for column, task in OBSERVED.items():
            if row[column] is not None:
                yield _score(row["model"], None, task, "accuracy", row[column], None, source)
        for column, (task, metric, unit) in FACTS.items():
            if row[column] is not None:
                yield _score(row["model"], None, task, metric, row[column] * unit, None, source)


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of the three files of a folder, without those that have no number."""
    found = [
        *leaderboard(folder / "open-llm-leaderboard-v2.csv"),
        *pythia(folder / "pythia-zero-shot-by-step.csv"),
        *base_models(folder / "base-models-size-data-flops.csv"),
    ]
    return [row for row in found if row["score"] == row["score"]]  # NaN differs from itself


def _score(
    model: str, revision: str | None, task: str, metric: str, score: float, stderr: float | None, source: str
) -> dict[str, Any]:
    return {
        "model": model, "revision": revision, "task": task, "metric": metric,
        "score": float(score), "stderr": stderr, "source": source,
    }  # fmt: skip


@access.as_owner()
def main() -> None:
    """Fold the published scores of a folder into a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    asked = parser.parse_args()
    found = rows(asked.folder)
    write.pack(asked.data, found)
    print(f"{len(found)} published scores are in {asked.data}.")  # noqa: T201  (a command of its own)


if __name__ == "__main__":
    main()

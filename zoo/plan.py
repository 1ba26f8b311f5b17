"""Expected tokens, operations and seconds of every job of a recipe."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from softh.callback import log_spaced
from zoo import models
from zoo.recipe import PostTraining, Recipe, Run

POST_TOKENS = 500_000
"""Of answers, in an epoch or two of each kind of post-training."""
POST_SECONDS = 15.0
"""Expected of tuning and DPO together, on the GPU."""
CPU_SHARE = 0.3
"""Part of a CPU's rate for large matrix products that small models reach."""
CPU_ESTIMATE = 1.1e-5
"""Seconds of a CPU for one position of one layer under one draw, all orders and their nulls; measured."""


@dataclass(frozen=True)
class JobCost:
    """The expected cost of one job."""

    name: str
    parameters: int
    tokens: int
    checkpoints: int
    seconds: float


def costs(recipe: Recipe) -> list[JobCost]:
    """Expected costs of all jobs on this machine: from the recipe's speeds on a GPU, from a measured rate on a CPU."""
    gpu = torch.cuda.is_available()
    rate = None if gpu else cpu_rate()
    return [_cost(recipe, job, rate) for job in recipe.jobs()]


def cpu_rate(size: int = 1024) -> float:
    """Floating-point operations a second of large float32 matrix products on this CPU."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / sorted(seconds)[2]


def _cost(recipe: Recipe, job: Run | PostTraining, rate: float | None) -> JobCost:
    run = job if isinstance(job, Run) else recipe.run(job.base)
    with torch.device("meta"):
        model = models.build(run, recipe.sizes[run.size])
    if isinstance(job, Run):
        tokens, checkpoints = run.steps * run.tokens_per_step, len(log_spaced(run.steps, run.checkpoints))
        training = tokens / recipe.speed.get(f"{run.architecture}-{run.size}", recipe.speed.get("other", 1e6))
    else:
        tokens, checkpoints, training = POST_TOKENS, 2, POST_SECONDS
    each = recipe.speed.get("checkpoint_seconds", 2.0)
    if rate is not None:
        operations = models.operations(model) / (CPU_SHARE * rate)  # seconds a token
        training, each = tokens * operations, _cpu_checkpoint(recipe, run, operations / 3)
    return JobCost(job.name, models.parameters(model), tokens, checkpoints, training + checkpoints * each)


def _cpu_checkpoint(recipe: Recipe, run: Run, forward: float) -> float:
    """Seconds of a CPU for the estimates and scores of one checkpoint, at so many seconds a token forward."""
    asked, layers = recipe.measure, recipe.sizes[run.size].layers + 1
    positions = 2 * asked.documents * asked.context  # of two corpora
    scored = 2 * asked.score_documents * run.context + 200 * asked.cloze + 26 * 13 * asked.grammar
    return positions * (layers * asked.draws * CPU_ESTIMATE + forward) + scored * forward


def table(planned: Sequence[JobCost]) -> str:
    """The costs as lines of text, their sum last."""
    width = max(len(cost.name) for cost in planned)
    lines = [f"{'run':<{width}} {'parameters':>11} {'tokens':>12} {'checkpoints':>11} {'seconds':>8}"]
    lines += [
        f"{cost.name:<{width}} {cost.parameters:>11,} {cost.tokens:>12,} {cost.checkpoints:>11} {cost.seconds:>8.0f}"
        for cost in planned
    ]
    total = sum(cost.seconds for cost in planned)
    tokens = sum(cost.tokens for cost in planned)
    checkpoints = sum(cost.checkpoints for cost in planned)
    return "\n".join([*lines, f"{'together':<{width}} {'':>11} {tokens:>12,} {checkpoints:>11} {total:>8.0f}"])

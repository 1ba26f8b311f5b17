"""What a recipe will cost before anything runs: tokens, operations and seconds of every job."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from softh.callback import log_spaced
from zoo import models
from zoo.recipe import PostTraining, Recipe, Run

POST_SECONDS = 15.0
"""Expected of tuning and DPO together, on the GPU."""
CPU_SHARE = 0.3
"""Part of a CPU's rate for large matrix products that small models reach."""


@dataclass(frozen=True)
class Cost:
    """What one job is expected to cost."""

    name: str
    parameters: int
    tokens: int
    checkpoints: int
    seconds: float


def costs(recipe: Recipe) -> list[Cost]:
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


def _cost(recipe: Recipe, job: Run | PostTraining, rate: float | None) -> Cost:
    if isinstance(job, PostTraining):
        base = _cost(recipe, recipe.run(job.base), rate)
        slower = 1.0 if rate is None else recipe.speed.get("gpu_over_cpu", 100.0)
        return Cost(job.name, base.parameters, 0, 2, POST_SECONDS * slower)
    with torch.device("meta"):
        model = models.build(job, recipe.sizes[job.size])
    tokens = job.steps * job.tokens_per_step
    checkpoints = len(log_spaced(job.steps, job.checkpoints))
    if rate is None:
        training = tokens / recipe.speed.get(f"{job.architecture}-{job.size}", recipe.speed.get("other", 1e6))
    else:
        training = tokens * models.operations(model) / (CPU_SHARE * rate)
    seconds = training + checkpoints * recipe.speed.get("checkpoint_seconds", 2.0)
    return Cost(job.name, models.parameters(model), tokens, checkpoints, seconds)


def table(planned: Sequence[Cost]) -> str:
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


def words(seconds: float) -> str:
    """A duration for people: '40 seconds', '12 minutes', '37 hours'."""
    units = ((90, "seconds", 1), (5400, "minutes", 60), (float("inf"), "hours", 3600))
    return next(f"{seconds / each:.0f} {unit}" for limit, unit, each in units if seconds < limit)

"""Expected tokens, operations and seconds of every job of a recipe."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from zoo import models
from zoo.place import Job
from zoo.recipe import PostTraining, Recipe, Run

POST_TOKENS = 500_000
"""Of answers, in an epoch or two of each kind of post-training."""
POST_SECONDS = 50.0
"""Expected of tuning, DPO and reinforcement learning together, on the GPU with others beside it."""
SLOTS = 4
"""Runs at a time on one GPU; more hinder each other (docs/log.md). Speeds and seconds are those of so many at once."""
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


def _cost(recipe: Recipe, job: Job, rate: float | None) -> JobCost:
    run = job if isinstance(job, Run) else recipe.run(job.base)
    with torch.device("meta"):
        model = models.build(run, recipe.sizes[run.size])
    if isinstance(job, Run):
        tokens, checkpoints = run.steps * run.tokens_per_step, len(run.marks)
        training = tokens / recipe.speed.get(f"{run.architecture}-{run.size}", recipe.speed.get("other", 1e6))
    elif isinstance(job, PostTraining):
        tokens, checkpoints, training = POST_TOKENS, 2 + bool(job.rl_steps), POST_SECONDS
    else:
        tokens, checkpoints, training = 0, len(job.bits), 1.0
    each = recipe.speed.get("checkpoint_seconds", 2.0)
    if rate is not None:
        operations = models.operations(model) / (CPU_SHARE * rate)  # seconds a token
        training, each = tokens * operations, _cpu_checkpoint(recipe, run, operations / 3)
    seconds = training + checkpoints * each * _measures(recipe, job) + recipe.speed.get("job_seconds", 0.0)
    return JobCost(job.name, models.parameters(model), tokens, checkpoints, seconds)


def _measures(recipe: Recipe, job: Job) -> float:
    """Estimates and probes of a checkpoint, in the mean; scores count as half of one."""
    asked, name = recipe.measure, job.name
    each, finished = 1.0, 6.0 if asked.pairs else 5.0
    if not isinstance(job, Run):
        return finished + 0.5
    along = each + (name in asked.common) + (name in asked.probed) + len(asked.sizes) * (name in asked.sized)
    points = len(job.marks)
    return along + 0.5 + (finished - 1) / points


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
    last = f"{'together':<{width}} {'':>11} {tokens:>12,} {checkpoints:>11} {total:>8.0f}"
    return "\n".join([*lines, last, f"{SLOTS} at a time: about {total / SLOTS / 60:.0f} minutes."])

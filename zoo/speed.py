"""How fast each architecture and size trains here, alone, with its layers compiled and not."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from zoo import models, tokens
from zoo.job import set_up
from zoo.place import Place
from zoo.recipe import Run, Size
from zoo.train import Stream, adamw, compiled, update

STEPS = 20
"""Steps timed, after as many that warm up."""


def table(place: Place, only: Sequence[str] | None) -> str:
    """Thousand tokens a second of one run of every shape, and the seconds of compiling."""
    set_up()
    ids = np.load(tokens.prepare(place.library, place.work))
    shapes = {(run.architecture, run.size, run.batch, run.context): run for run in reversed(place.recipe.runs)}
    chosen = [run for run in place.recipe.runs if run.name in only] if only else [*shapes.values()][::-1]
    lines = [f"{'run':<24} {'plain k tok/s':>14} {'compiled k tok/s':>17} {'compiling s':>12} {'GiB':>6}"]
    for run in chosen:
        plain, _, _ = measure(run, place.recipe.sizes[run.size], ids, fast=False)
        fast, wait, memory = measure(run, place.recipe.sizes[run.size], ids, fast=True)
        lines.append(f"{run.name:<24} {plain / 1e3:>14.0f} {fast / 1e3:>17.0f} {wait:>12.1f} {memory:>6.1f}")
    return "\n".join(lines)


def measure(run: Run, size: Size, ids: np.ndarray, *, fast: bool) -> tuple[float, float, float]:
    """Tokens per second, seconds before the first step was done, and GiB at the peak."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = models.build(run, size).to(device).train()
    optimizer, stream = adamw(model, run), Stream(run, ids, 0, device)
    entropy = compiled(model) if fast else functional.cross_entropy
    began = time.perf_counter()
    update(model, optimizer, run, stream.batch(0), 0, entropy).item()
    first = time.perf_counter() - began
    for step in range(1, 2 * STEPS):
        if step == STEPS:
            began = _now(device)
        update(model, optimizer, run, stream.batch(step % run.steps), step, entropy)
    seconds = _now(device) - began
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return STEPS * run.tokens_per_step / seconds, first, peak


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()

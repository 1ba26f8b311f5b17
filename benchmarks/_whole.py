"""Whole estimates on a GPU against the bare forward loop, and at the size of the paper."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks._report import DEVICE, RESULTS, SHORT, say
from benchmarks._synthetic import olmo2, windows
from softh.checkpoints.resolve import Checkpoint
from softh.estimator import entropies, pipeline
from softh.estimator.buffers import GpuAssignmentBuffer
from softh.estimator.entropies import HiddenStateReader, label
from softh.estimator.pipeline import Prepared, estimate_model
from softh.estimator.spectra import SpectralSample
from softh.models import loading
from softh.spec import EstimateSpec
from softh.text.corpus import Corpus, TokenizedCorpus


def _checkpoint() -> Checkpoint:
    return Checkpoint(
        name="random", source="random weights", revision="main", digest="0", path=Path(),
        weights="random", step=None, tokens=None,
    )  # fmt: skip


def _estimate(
    model: loading.LoadedModel, text: TokenizedCorpus, spec: EstimateSpec, *, loss: bool
) -> tuple[float, float, str]:
    """Seconds of labels, seconds in all, and what the plan said."""
    said: list[str] = []
    torch.cuda.synchronize()
    began = time.perf_counter()
    labelling = label(text, spec, model.device)
    labelled = time.perf_counter() - began
    corpus = Corpus("zipf", ("",) * len(text.ids), text.digest, "")
    found = estimate_model(
        spec, _checkpoint(), model, corpus, prepared=Prepared(text, labelling), loss=loss, on_plan=said.append
    )
    spent = time.perf_counter() - began
    assert all(row.value is not None for row in found.measures if row.quantity == "entropy")
    return labelled, spent, f"{said[0]} ({found.forward_passes} batches)"


def _loop(model: loading.LoadedModel, text: TokenizedCorpus, batch: int) -> float:
    """Seconds of the bare forward loop without a head, batch after batch."""
    ids = torch.from_numpy(np.stack(text.ids))
    torch.cuda.synchronize()
    began = time.perf_counter()
    with torch.inference_mode():
        for some in ids.split(batch):
            part = some.to(model.device)
            model.module.base_model(input_ids=part, attention_mask=torch.ones_like(part))
    torch.cuda.synchronize()
    return time.perf_counter() - began


def whole() -> None:
    """2,000 documents of 512 tokens in the shape of OLMo2-1B: token rate of `estimate` against the bare loop."""
    short = SHORT
    documents, context = (8, 64) if short else (2000, 512)
    model = loading.describe(olmo2("tiny" if short else "1b", DEVICE), None, "olmo2-1b")
    text = windows(documents, context)
    _loop(model, windows(32, context), 16)
    # In the batches of the comparison and in those that an estimate takes: the quicker is what it is held against.
    loops = {batch: [_loop(model, text, batch) for _ in range(3)] for batch in (16, 32)}
    best = min(min(seconds) for seconds in loops.values())
    tokens = documents * context
    for batch, seconds in loops.items():
        say(f"bare loop in batches of {batch}: {', '.join(f'{s:.2f}' for s in seconds)} s")
    say(f"{tokens / best:,.0f} tokens/s; layers streamed: {model.streams}; the first estimate compiles its kernels")
    for draws, loss, repeats in ((1, False, 3), (16, False, 1), (32, False, 1), (1, True, 1)):
        spec = EstimateSpec(model="random", documents=documents, context=context, draws=draws)
        for _ in range(1 if short else repeats):
            labels, spent, said = _estimate(model, text, spec, loss=loss)
            say(
                f"estimate, {draws} draws{', with loss' * loss}: {spent:.2f} s (labels {labels:.2f} s), "
                f"{tokens / spent:,.0f} tokens/s, {best / spent:.1%} of the loop. {said}"
            )
            RESULTS[f"whole {draws} {loss} {time.time()}"] = {"seconds": spent, "loops": loops, "labels": labels}


PARTS = (
    (HiddenStateReader, "fill"), (GpuAssignmentBuffer, "entropies"), (GpuAssignmentBuffer, "sums"),
    (entropies, "assemble_entropies"), (SpectralSample, "measures"), (pipeline, "measure"),
)  # fmt: skip
"""What an estimate consists of, besides the labels."""


def costs() -> None:
    """Seconds of every part of an estimate in the shape of OLMo2-1B, 2,000 × 512 tokens, with 16 and 32 draws."""
    documents, context = (8, 64) if SHORT else (2000, 512)
    model = loading.describe(olmo2("tiny" if SHORT else "1b", DEVICE), None, "olmo2-1b")
    text = windows(documents, context)
    _loop(model, windows(32, context), 16)
    loop = min(_loop(model, text, 32) for _ in range(3))
    with _timed() as seconds:
        for draws in (16, 32, 16, 32, 16, 32):  # the first two compile the kernels
            seconds.clear()
            torch.cuda.reset_peak_memory_stats()
            spec = EstimateSpec(model="random", documents=documents, context=context, draws=draws)
            labels, spent, said = _estimate(model, text, spec, loss=False)
            peak = torch.cuda.max_memory_allocated() / 1e9
            parts = {"labels": labels, **seconds, "peak GB": peak}
            shown = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
            say(f"{draws} draws: {spent:.2f} s, {loop / spent:.1%} of the loop's rate; {shown}. {said}")
            RESULTS[f"costs {draws} {time.time()}"] = {"seconds": spent, "loop": loop, **parts}


@contextmanager
def _timed() -> Generator[dict[str, float]]:
    """Seconds of PARTS by name, each with the GPU's work done before and after it."""
    seconds: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            torch.cuda.synchronize()
            began = time.perf_counter()
            found = function(*args, **kwargs)
            torch.cuda.synchronize()
            seconds[name] += time.perf_counter() - began
            return found

        return run

    with ExitStack() as stack:
        for owner, name in PARTS:
            stack.enter_context(mock.patch.object(owner, name, timed(name, getattr(owner, name))))
        yield seconds


def paper() -> None:
    """10,000 and 1,000 documents of 512 tokens in the shape of OLMo2-7B, orders 1 to 4 with null, one draw."""
    short = SHORT
    # With narrow MLPs the same hidden states cost a third of the time, and the statistics are a larger part of it.
    shape = "tiny" if short else "7b-narrow" if "--narrow" in sys.argv else "7b"
    model = loading.describe(olmo2(shape, DEVICE), None, shape)
    # On a larger card, what is more than 80 GB is taken away first.
    spare = torch.cuda.get_device_properties(0).total_memory - 80 * 10**9
    ballast = torch.empty(max(0, spare), dtype=torch.uint8, device=DEVICE)
    each = {}
    for documents in (4, 8) if short else (1000, 10_000):
        text = windows(documents, 64 if short else 512)
        spec = EstimateSpec(model="random", documents=documents, context=text.max_length, draws=1)
        torch.cuda.reset_peak_memory_stats()
        labels, spent, said = _estimate(model, text, spec, loss=False)
        ram = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        device = (torch.cuda.max_memory_allocated() - len(ballast)) / 2**30
        positions = documents * (text.max_length - 7)
        each[documents] = spent / positions
        say(
            f"olmo2-{shape}, {documents:,} documents, {positions:,} positions: {spent:.1f} s (labels {labels:.1f} s), "
            f"{1e6 * spent / positions:.2f} µs a position, peak {device:.1f} GiB of GPU memory, {ram:.1f} GiB of RAM. "
            f"{said}"
        )
        RESULTS[f"paper {documents}"] = {"seconds": spent, "labels": labels, "device": device, "ram": ram}
    small, large = each.values()
    say(f"time a position, large over small: {large / small:.3f}")

"""Whole estimates of SmolLM2-135M-Instruct on a CPU against the bare forward loop: `python -m benchmarks.whole`.

Both read the same documents, in the same batches and in turn, without a head and without remembering anything.
"""

import json
import os
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._real import smollm2
from softh.checkpoints import resolve
from softh.estimator.entropies import label
from softh.estimator.pipeline import Prepared, estimate_model
from softh.models import hidden_states
from softh.models.hidden_states import HiddenStates
from softh.spec import EstimateSpec
from softh.text import corpus

RESULTS = Path(__file__).with_name("results") / "whole.json"
ROUNDS, DRAWS = 3, (1, 16, 32)
DOCUMENTS, CONTEXT = 48, 256


def loop(module: Any, batches: list[torch.Tensor]) -> float:
    """Seconds of the model alone."""
    began = time.perf_counter()
    with torch.inference_mode():
        for ids in batches:
            module.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return time.perf_counter() - began


def main() -> None:
    """Measure in turn, print, write benchmarks/results/whole.json."""
    spec = EstimateSpec(model=smollm2(), documents=2 * DOCUMENTS, context=CONTEXT)
    checkpoint = resolve.resolve(spec.model, None)
    model = hidden_states.load_model(checkpoint, "float32", "cpu")
    text = corpus.load(spec.corpus, spec.documents, spec.seed)
    tokenized = corpus.tokenize(text, model.tokenizer, spec.context, max(spec.orders))
    full = [place for place, ids in enumerate(tokenized.ids) if len(ids) == CONTEXT][:DOCUMENTS]
    some = replace(
        tokenized, ids=tuple(tokenized.ids[place] for place in full), predicted_bytes=tokenized.predicted_bytes[full]
    )
    blocks = HiddenStates(model, some, checkpoint.digest, cache=None).blocks
    batches = [torch.from_numpy(np.stack([some.ids[document] for document in block])) for block in blocks]
    loop(model.module, batches[:1])
    bare, whole = [], {draws: list[float]() for draws in DRAWS}
    for _ in range(ROUNDS):
        bare.append(loop(model.module, batches))
        for draws in DRAWS:
            asked = replace(spec, draws=draws)
            began = time.perf_counter()
            ready = Prepared(some, label(some, asked, "cpu"))
            estimate_model(asked, checkpoint, model, text, prepared=ready, loss=False)
            whole[draws].append(time.perf_counter() - began)
    report(len(full) * CONTEXT, bare, whole)


def report(tokens: int, bare: list[float], whole: dict[int, list[float]]) -> None:
    """Print and write; seconds of each round."""
    print(f"{tokens:,} tokens, bare loop {tokens / statistics.median(bare):,.0f} tokens a second")
    for draws, seconds in whole.items():
        parts = sorted(alone / spent for alone, spent in zip(bare, seconds, strict=True))
        middle = statistics.median(parts)
        print(f"estimate, {draws} draws: {middle:.1%} of its rate ({parts[0]:.1%} to {parts[-1]:.1%})")
    about = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
    RESULTS.write_text(json.dumps({"about": about, "tokens": tokens, "bare": bare, "whole": whole}, indent=1) + "\n")


if __name__ == "__main__":
    main()

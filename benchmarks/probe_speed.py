"""Time and memory of a preference probe on random weights: ``python -m benchmarks.probe_speed [PAIRS] [TOKENS]``.

On a GPU the shape of OLMo2 1B, 10,000 pairs of 512 tokens; on a CPU one of 3 M parameters, 200 pairs of 256.
"""

import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Olmo2Config

from softh.checkpoints.resolve import Checkpoint
from softh.models import loading
from softh.preference import probe
from softh.preference.pairs import Pair, Pairs
from softh.spec import PreferenceSpec
from zoo import tokens

LARGE: dict[str, Any] = {
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "intermediate_size": 8192,
    "num_attention_heads": 16,
}
SMALL: dict[str, Any] = {"hidden_size": 128, "num_hidden_layers": 4, "intermediate_size": 384, "num_attention_heads": 4}


def some_pairs(count: int, length: int, tokenizer: Any) -> Pairs:
    """Pairs of common words, half prompt and half answer, close to the asked tokens."""
    random = np.random.default_rng(0)
    words = np.array(["the", "a", "of", "ship", "sea", "and", "to", "was", "in", "it"])

    def text(size: int) -> str:
        return " ".join(random.choice(words, size))

    half = length // 2 - 8
    made = [Pair((("user", text(half)),), text(half), text(half), "", row) for row in range(count)]
    return Pairs("random words", tuple(made), str(count), "", {})


def main(count: int, length: int) -> None:
    gpu = torch.cuda.is_available()
    config = Olmo2Config(vocab_size=tokens.VOCABULARY, max_position_embeddings=length, **(LARGE if gpu else SMALL))
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if gpu else torch.float32)
    model = loading.describe(module.to("cuda" if gpu else "cpu").eval(), tokens.load_tokenizer(), "random")
    spec = PreferenceSpec(model="random", pairs="random", limit=count, context=length)
    found = some_pairs(count, length, model.tokenizer)
    marks: dict[str, float] = {}
    began = time.perf_counter()
    made = probe.estimate_model(
        spec, Checkpoint("random", "random", "main", "0", Path(), "random", None, None), model, found,
        progress=lambda phase, done, total: marks.update({phase: time.perf_counter() - began}),
    )  # fmt: skip
    memory = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    phases = ", ".join(f"{phase} until {second:.1f} s" for phase, second in marks.items())
    print(f"{model.parameters / 1e6:.0f} M parameters on {torch.cuda.get_device_name() if gpu else 'the CPU'}:")
    print(f"{made.documents // 2:,} pairs, {made.positions:,} tokens of answers, {made.seconds:.1f} s ({phases});")
    print(f"{resident:.1f} GiB of memory, {memory:.1f} GiB of the GPU's, {made.forward_passes} forward passes")


if __name__ == "__main__":
    usual = (10_000, 512) if torch.cuda.is_available() else (200, 256)
    given = [int(argument) for argument in sys.argv[1:3]]
    main(*(*given, *usual[len(given) :]))

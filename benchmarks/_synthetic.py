"""Models of known shapes with random weights, and text with Zipf's frequencies, for measurements of time and memory."""

import platform
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Olmo2Config

from softh.text.corpus import TokenizedCorpus

SHAPES: dict[str, dict[str, Any]] = {
    "44m": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 8},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 16},
    "7b": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32},
    "7b-narrow": {"hidden_size": 4096, "intermediate_size": 1024, "num_hidden_layers": 32, "num_attention_heads": 32},
    "80b": {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
}
VOCABULARY = 100_352


def olmo2(shape: str, device: str) -> Any:
    """OLMo2 of a shape with random weights, bfloat16, in evaluation mode."""
    config = Olmo2Config(
        **SHAPES[shape], vocab_size=VOCABULARY, max_position_embeddings=4096, use_cache=False, pad_token_id=None
    )
    with torch.device(device):
        module = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    module.config.use_cache = False
    return module.eval().requires_grad_(requires_grad=False)


def windows(documents: int, context: int, seed: int = 0) -> TokenizedCorpus:
    """Documents of `context` token ids each, as frequent as words are."""
    random = np.random.default_rng(seed)
    ids = np.minimum(random.zipf(1.25, (documents, context)), VOCABULARY) - 1
    return TokenizedCorpus(
        ids=tuple(ids.astype(np.int64)), prefix=(), suffix=(), predicted_bytes=np.full(documents, 4 * context),
        digest=f"{documents} {context} {seed}", skipped=0, max_length=context,
    )  # fmt: skip


def machine(device: str) -> dict[str, str]:
    """What ran."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}

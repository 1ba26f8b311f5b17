"""Architecture and size → an untrained model of transformers, and what one token costs it."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Mamba2Config,
    Olmo2Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from zoo.recipe import Run, Size
from zoo.tokens import VOCABULARY


def build(run: Run, size: Size) -> PreTrainedModel:
    """The untrained model of a run in float32, its weights drawn from the run's seed."""
    torch.manual_seed(run.seed)
    return AutoModelForCausalLM.from_config(configure(run, size), attn_implementation=attention(run)).float()


def attention(run: Run) -> str:
    """Attention implementation: a model without attention has only the plain one."""
    return "eager" if run.architecture == "mamba2" else "sdpa"


def configure(run: Run, size: Size) -> PreTrainedConfig:
    """The configuration of transformers for a run."""
    common: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "eos_token_id": 0,
        "bos_token_id": None,
        "pad_token_id": None,
        "use_cache": False,
    }
    if run.architecture == "gpt2":
        return GPT2Config(
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            n_inner=size.hidden,
            n_positions=run.context,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **common,
        )
    if run.architecture == "mamba2":
        head = 2 * size.width // size.heads
        return Mamba2Config(
            hidden_size=size.width,
            num_hidden_layers=size.layers,
            num_heads=size.heads,
            head_dim=head,
            state_size=size.hidden,
            n_groups=1,
            chunk_size=32,
            **common,
        )
    shape: dict[str, Any] = {
        "hidden_size": size.width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": size.hidden,
        "max_position_embeddings": run.context,
        "tie_word_embeddings": False,
    }
    if run.architecture == "gpt_neox":
        return GPTNeoXConfig(**shape, **common)
    if run.architecture == "qwen3":
        heads = {"head_dim": size.width // size.heads, "num_key_value_heads": max(1, size.heads // 2)}
        return Qwen3Config(**shape, **heads, **common)
    kind = {"olmo2": Olmo2Config, "llama": LlamaConfig}[run.architecture]
    return kind(**shape, num_key_value_heads=size.heads, **common)


def parameters(model: torch.nn.Module) -> int:
    """Weights of a model, tied ones once."""
    return sum(weight.numel() for weight in model.parameters())


def operations(model: PreTrainedModel) -> int:
    """Floating-point operations of training on one token: six for every weight that multiplies."""
    embedding: Any = model.get_input_embeddings().weight
    tied = embedding is model.get_output_embeddings().weight
    return 6 * (parameters(model) - (0 if tied else embedding.numel()))

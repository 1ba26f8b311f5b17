"""Tiny random checkpoints in the format of AI2's own code, as DataDecide has them on the hub."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from tests import tiny

WIDTH, HEADS, LAYERS, RATIO, ROWS, VOCABULARY = 16, 2, 3, 6, 304, 300
EPSILON, THETA = 1e-3, 500
"""Far from the defaults of any architecture: what leaves them out computes something else."""
CONFIG: dict[str, Any] = {
    "activation_type": "swiglu", "alibi": False, "alibi_bias_max": 8.0, "architectures": ["OLMoForCausalLM"],
    "attention_dropout": 0.0, "attention_layer_norm": False, "attention_layer_norm_with_affine": False,
    "bias_for_layer_norm": False, "block_group_size": 1, "block_type": "sequential", "clip_qkv": None,
    "d_model": WIDTH, "embedding_dropout": 0.0, "embedding_layer_norm": False, "embedding_size": ROWS,
    "eos_token_id": 0, "flash_attention": True, "include_bias": False, "init_std": 0.02, "layer_norm_eps": EPSILON,
    "layer_norm_type": "rms", "layer_norm_with_affine": True, "max_sequence_length": 128, "mlp_hidden_size": None,
    "mlp_ratio": RATIO, "model_type": "hf_olmo", "multi_query_attention": False, "n_heads": HEADS, "n_kv_heads": None,
    "n_layers": LAYERS, "norm_after": False, "pad_token_id": 1, "precision": "amp_bf16", "residual_dropout": 0.0,
    "rope": True, "rope_full_precision": True, "rope_theta": THETA, "scale_logits": False,
    "transformers_version": "4.44.0", "use_cache": True, "vocab_size": VOCABULARY, "weight_tying": False,
}  # fmt: skip
LAST = f"model.transformer.blocks.{LAYERS - 1}."


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Random tensors by the names of the format."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.3 + (len(shape) == 1)

    inner = RATIO * WIDTH
    found = {"wte": draw(ROWS, WIDTH), "ln_f": draw(WIDTH), "ff_out": draw(ROWS, WIDTH)}
    for layer in range(LAYERS):
        found |= {
            f"blocks.{layer}.att_proj": draw(3 * WIDTH, WIDTH),
            f"blocks.{layer}.attn_out": draw(WIDTH, WIDTH),
            f"blocks.{layer}.ff_proj": draw(inner, WIDTH),
            f"blocks.{layer}.ff_out": draw(WIDTH, inner // 2),
            f"blocks.{layer}.attn_norm": draw(WIDTH),
            f"blocks.{layer}.ff_norm": draw(WIDTH),
        }
    return {f"model.transformer.{name}.weight": value for name, value in found.items()}


def save(folder: Path, tensors: dict[str, Tensor] | None = None, **settings: Any) -> Path:
    """A checkpoint with its tokenizer, whose class only AI2's code has. settings: in the place of those of CONFIG."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny.tokenizer().save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "OLMoTokenizer"}))
    (folder / "config.json").write_text(json.dumps({**CONFIG, **settings}))
    save_file(weights() if tensors is None else tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def save_llama(folder: Path) -> Path:
    """The same model as Llama, saved by transformers."""
    named = {name.removeprefix("model.transformer."): value for name, value in weights().items()}
    renamed = {"model.embed_tokens.weight": named["wte.weight"], "model.norm.weight": named["ln_f.weight"],
               "lm_head.weight": named["ff_out.weight"]}  # fmt: skip
    for layer in range(LAYERS):
        block, target = f"blocks.{layer}.", f"model.layers.{layer}."
        queries, keys, values = named[block + "att_proj.weight"].split(WIDTH)
        up, gate = named[block + "ff_proj.weight"].split(RATIO * WIDTH // 2)
        parts = {
            "self_attn.q_proj": queries, "self_attn.k_proj": keys, "self_attn.v_proj": values, "mlp.up_proj": up,
            "mlp.gate_proj": gate, "self_attn.o_proj": named[block + "attn_out.weight"],
            "mlp.down_proj": named[block + "ff_out.weight"], "input_layernorm": named[block + "attn_norm.weight"],
            "post_attention_layernorm": named[block + "ff_norm.weight"],
        }  # fmt: skip
        renamed |= {f"{target}{name}.weight": value for name, value in parts.items()}
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=ROWS, hidden_size=WIDTH, intermediate_size=RATIO * WIDTH // 2, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=128, rms_norm_eps=EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": float(THETA)},
    ))  # fmt: skip
    model.load_state_dict(renamed)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder

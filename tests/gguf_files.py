"""GGUF files of tiny models, with the keys, names and reordered tensors that llama.cpp's converter writes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import PretrainedConfig

from tests import tiny

Tensors = Iterator[tuple[str, np.ndarray]]


def write(
    path: Path, architecture: str, module: Any, keys: dict[str, Any] | None = None, **extra: torch.Tensor
) -> Path:
    """The file of a model. keys: further keys, or None as a value to leave one out; extra: further tensors."""
    writer = gguf.GGUFWriter(path, architecture)
    config = module.config
    _tokenizer(writer)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for key, value in {**_keys(architecture, config), **(keys or {})}.items():
        if value is not None:
            _add(writer, key if key.startswith("general.") else f"{architecture}.{key}", value)
    weights = {name: value for name, value in module.state_dict().items() if not name.endswith("inv_freq")}
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    for name, tensor in _tensors(architecture, config, weights):
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    for name, tensor in extra.items():
        writer.add_tensor(name.replace("__", "."), tensor.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        writer.add_string(key, value)


def _tokenizer(writer: gguf.GGUFWriter) -> None:
    import json

    model = json.loads(tiny.tokenizer().backend_tokenizer.to_str())["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(vocabulary))
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)


def _keys(architecture: str, config: PretrainedConfig) -> dict[str, Any]:
    """Keys of the architecture, as the converter writes them."""

    def first(*names: str) -> Any:
        return next((getattr(config, name) for name in names if getattr(config, name, None) is not None), None)

    heads = first("num_attention_heads", "n_head")
    keys = {
        "block_count": first("num_hidden_layers", "n_layer"),
        "context_length": first("max_position_embeddings", "n_positions"),
        "embedding_length": first("hidden_size", "n_embd"),
        "feed_forward_length": first("intermediate_size", "ffn_hidden_size", "n_inner"),
        "attention.head_count": heads,
        "attention.head_count_kv": first("num_key_value_heads", "num_kv_heads"),
        "attention.layer_norm_rms_epsilon": first("rms_norm_eps"),
        "attention.layer_norm_epsilon": first("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"),
        "expert_count": first("num_experts", "num_local_experts"),
        "expert_used_count": first("num_experts_per_tok"),
    }
    head_dim = getattr(config, "head_dim", None)
    if head_dim is not None and architecture not in {"falcon"}:
        keys |= {"attention.key_length": head_dim, "attention.value_length": head_dim}
    rope = getattr(config, "rope_parameters", None) or {}
    local = rope.get("sliding_attention", {})
    rope = rope.get("full_attention", rope)
    if rope.get("rope_theta"):
        keys["rope.freq_base"] = float(rope["rope_theta"])
        width = head_dim or keys["embedding_length"] // heads
        keys["rope.dimension_count"] = int(width * rope.get("partial_rotary_factor", 1.0))
    if local.get("rope_theta"):
        keys["rope.freq_base_swa"] = float(local["rope_theta"])
    return {**keys, **_scaling(rope), **_OWN.get(architecture, _none)(config)}


def _scaling(rope: dict[str, Any]) -> dict[str, Any]:
    kind = rope.get("rope_type", "default")
    if kind not in {"linear", "yarn", "longrope"}:
        return {}
    keys = {"rope.scaling.type": kind, "rope.scaling.factor": float(rope.get("factor", 1.0))}
    original = rope.get("original_max_position_embeddings")
    named = {
        "rope.scaling.original_context_length": original,
        "rope.scaling.yarn_attn_factor" if kind == "yarn" else "rope.scaling.attn_factor": rope.get("attention_factor"),
        "rope.scaling.yarn_beta_fast": rope.get("beta_fast"),
        "rope.scaling.yarn_beta_slow": rope.get("beta_slow"),
    }
    return {**keys, **{name: value for name, value in named.items() if value is not None}}


def _none(config: PretrainedConfig) -> dict[str, Any]:
    return {}


_OWN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "llama": lambda config: {"vocab_size": config.vocab_size, "rope.dimension_count": config.head_dim},
    "gpt2": lambda config: {"feed_forward_length": 4 * config.n_embd},
    "bloom": lambda config: {
        "context_length": 2048, "feed_forward_length": 4 * config.hidden_size, "attention.head_count_kv": config.n_head,
    },
    "falcon": lambda config: {
        "context_length": 2048, "tensor_data_layout": "jploski", "feed_forward_length": 4 * config.hidden_size,
        "attention.head_count_kv": 1, "rope.dimension_count": None,
    },
    "mamba": lambda config: {
        "context_length": 2**20, "feed_forward_length": 0, "attention.head_count": 0,
        "ssm.conv_kernel": config.conv_kernel,
        "ssm.inner_size": config.intermediate_size, "ssm.state_size": config.state_size,
        "ssm.time_step_rank": config.time_step_rank, "ssm.dt_b_c_rms": False,
        "attention.layer_norm_rms_epsilon": config.layer_norm_epsilon, "attention.layer_norm_epsilon": None,
    },
    "stablelm": lambda config: {"use_parallel_residual": config.use_parallel_residual},
    "gemma2": lambda config: {
        "attn_logit_softcapping": config.attn_logit_softcapping, "attention.sliding_window": config.sliding_window,
        "final_logit_softcapping": config.final_logit_softcapping,
    },
    "gemma3": lambda config: {"attention.sliding_window": config.sliding_window},
    "phi3": lambda config: {"attention.sliding_window": config.sliding_window or 0},
    "qwen2moe": lambda config: {
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
    },
    "qwen3moe": lambda config: {"expert_feed_forward_length": config.moe_intermediate_size},
    "gpt-oss": lambda config: {
        "attention.sliding_window": config.sliding_window, "expert_feed_forward_length": config.intermediate_size,
    },
    "minimax-m2": lambda config: {
        "rope.dimension_count": config.rotary_dim, "expert_gating_func": 2,
        "expert_feed_forward_length": config.intermediate_size,
    },
    "lfm2": lambda config: {
        "attention.head_count_kv": [
            config.num_key_value_heads if kind == "full_attention" else 0 for kind in config.layer_types
        ],
        "attention.layer_norm_rms_epsilon": config.norm_eps, "attention.layer_norm_epsilon": None,
        "shortconv.l_cache": config.conv_L_cache, "vocab_size": config.vocab_size,
    },
    "qwen35": lambda config: {
        "ssm.conv_kernel": config.linear_conv_kernel_dim, "ssm.state_size": config.linear_key_head_dim,
        "ssm.group_count": config.linear_num_key_heads, "ssm.time_step_rank": config.linear_num_value_heads,
        "ssm.inner_size": config.linear_value_head_dim * config.linear_num_value_heads, "full_attention_interval": 4,
        "rope.dimension_sections": [*config.rope_parameters["mrope_section"], 0],
    },
    "qwen35moe": lambda config: {
        **_OWN["qwen35"](config), "feed_forward_length": None,
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
    },
    "gemma4": lambda config: {"attention.sliding_window": config.sliding_window},
}  # fmt: skip


def _tensors(architecture: str, config: Any, weights: dict[str, torch.Tensor]) -> Tensors:
    """Names of GGUF and values, reordered as the converter does."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH(_number(architecture)), config.num_hidden_layers)
    for name, tensor in _merged(architecture, config, weights):
        stem, _, suffix = name.rpartition(".")
        stem, suffix = (stem, f".{suffix}") if suffix in {"weight", "bias"} else (name, "")
        if match := _BIAS.search(name):
            yield (
                f"blk.{match[1]}.{_BIASES[match[2]]}.bias",
                _value(architecture, config, match[2], ".bias", tensor.numpy()),
            )
            continue
        found = next(filter(None, (names.get_name(stem.removeprefix(part)) for part in ("", "model.", "transformer."))))
        value = tensor.float().numpy()
        yield found + suffix, _value(architecture, config, found, suffix, value)


_BIAS = re.compile(r"layers\.(\d+)\..*(e_score_correction_bias|dt_bias)$")
_BIASES = {"e_score_correction_bias": "exp_probs_b", "dt_bias": "ssm_dt"}


def _number(architecture: str) -> Any:
    return next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)


def _merged(architecture: str, config: Any, weights: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Experts with gate and up apart, as every converter writes them."""
    for name, tensor in weights.items():
        if architecture == "gpt-oss" and ".experts." in name:
            yield from _interleaved(name, tensor)
        elif name.endswith(".experts.gate_up_proj"):
            gate, up = tensor.chunk(2, dim=1)
            stem = name.removesuffix("gate_up_proj")
            yield f"{stem}gate_proj.weight", gate
            yield f"{stem}up_proj.weight", up
        elif name.endswith(".experts.down_proj"):
            yield f"{name}.weight", tensor
        else:
            yield name, tensor


def _interleaved(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Experts of gpt-oss: gate and up alternate, and matrices are transposed."""
    stem, suffix = name.removesuffix("_bias"), ".bias" if name.endswith("_bias") else ".weight"
    tensor = tensor if suffix == ".bias" else tensor.transpose(1, 2)
    if stem.endswith("gate_up_proj"):
        stem = stem.removesuffix("gate_up_proj")
        yield f"{stem}gate_proj{suffix}", tensor[:, ::2]
        yield f"{stem}up_proj{suffix}", tensor[:, 1::2]
    else:
        yield f"{stem}{suffix}", tensor


def _value(architecture: str, config: Any, name: str, suffix: str, value: np.ndarray) -> np.ndarray:
    if architecture == "llama" and re.search(r"attn_[qk]$", name):
        heads = config.num_attention_heads if name.endswith("q") else config.num_key_value_heads
        return (
            value.reshape(heads, 2, value.shape[0] // heads // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        )
    if architecture in {"gemma2", "gemma3", "nemotron"} and name.endswith("norm") and suffix == ".weight":
        return value + 1
    if architecture == "gpt2" and re.search(r"attn_qkv|ffn_down|ffn_up|attn_output", name) and suffix == ".weight":
        return value.T
    if architecture == "bloom" and "attn_qkv" in name:
        heads, rest = config.n_head, value.shape[1:]
        parts = value.reshape(heads, 3, value.shape[0] // heads // 3, *rest)
        return np.concatenate([parts[:, part].reshape(-1, *rest) for part in range(3)])
    if name.endswith("ffn_gate_inp_shexp"):
        return value.squeeze()
    if architecture in {"qwen35", "qwen35moe"}:
        return _qwen35(config, name, suffix, value)
    if architecture in {"mamba", "lfm2"} and "conv" in name and value.ndim == 3:
        return value.squeeze(1)
    if architecture == "mamba" and "ssm_a" in name:
        return -np.exp(value)
    return value


def _qwen35(config: Any, name: str, suffix: str, value: np.ndarray) -> np.ndarray:
    """Value heads grouped by key head → tiled over key heads; norms plus one; decay as it is used."""
    keys, values, width = config.linear_num_key_heads, config.linear_num_value_heads, config.linear_value_head_dim

    def tiled(rows: np.ndarray, size: int) -> np.ndarray:
        return rows.reshape(keys, values // keys, size, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)

    if name.endswith("norm") and not name.endswith("ssm_norm"):
        return value + 1
    if name.endswith("ssm_a"):
        return tiled(-np.exp(value), 1)
    if name.endswith(("ssm_alpha", "ssm_beta", "dt_bias")):
        return tiled(value, 1)
    if name.endswith("attn_gate"):
        return tiled(value, width)
    if name.endswith(("attn_qkv", "ssm_conv1d")):
        value = value.squeeze(1) if value.ndim == 3 else value
        start = 2 * config.linear_key_head_dim * keys
        return np.concatenate([value[:start], tiled(value[start:], width)])
    return tiled(value.T, width).T if name.endswith("ssm_out") else value

"""What the header of a GGUF file says of the forward pass and transformers leaves out: applied, or refused."""

import ast
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softh.checkpoints import architectures
from softh.checkpoints.gguf_header import Array, GgufHeader
from softh.checkpoints.safetensors_header import short
from softh.errors import InputError

KINDS = {
    "qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gpt-oss": "gpt_oss", "minimax-m2": "minimax_m2",
    "gemma3": "gemma3_text", "gemma4": "gemma4_text", "qwen35": "qwen3_5_text", "qwen35moe": "qwen3_5_moe_text",
}  # fmt: skip
"""Architecture as GGUF names it → ``model_type`` of transformers, where they differ."""
_NAMED = {
    "attention.key_length": ("head_dim",),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "expert_feed_forward_length": ("moe_intermediate_size",),
    "expert_shared_feed_forward_length": ("shared_expert_intermediate_size",),
    "expert_weights_norm": ("norm_topk_prob",),
    "use_parallel_residual": ("use_parallel_residual",),
    "context_length": ("max_position_embeddings", "n_positions"),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "layer_norm_epsilon", "norm_eps"),
    "feed_forward_length": ("intermediate_size", "n_inner", "ffn_hidden_size"),
}
"""Key of the header → names of the setting in transformers, of which a config has one or none."""
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0,),
    "attention.head_count": (0,),
    "attention.sliding_window": (0,),
    "attention.temperature_length": (0,),
    "attention.temperature_scale": (0,),
    "embedding_scale": (0, 1),
    "residual_scale": (0, 1),
    "logit_scale": (0, 1),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_group_count": (0, 1),
    "expert_group_used_count": (0, 1),
    "expert_shared_count": (0,),
    "expert_weights_scale": (0, 1),
    "expert_gating_func": (0, 1),
    "leading_dense_block_count": (0,),
    "nextn_predict_layers": (0,),
    "rope.scaling.alpha": (0,),
    "rope.scaling.yarn_log_multiplier": (0,),
    "ssm.dt_b_c_rms": (False,),
    "swin_norm": (False,),
    "use_parallel_residual": (False,),
}
"""Values that change nothing where transformers has no setting of this kind."""
_FIXED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {"minimax-m2": {"expert_gating_func": (2,)}}
"""The same where an architecture has another value built in: the routing of MiniMax M2 is a sigmoid."""
_IDLE = {
    "context_length", "feed_forward_length", "vocab_size", "tensor_data_layout", "decoder_start_token_id",
    "pooling_type", "features_length", "embedding_length_out", "rope.scaling.finetuned", "expert_feed_forward_length",
    "expert_shared_feed_forward_length", "attention.layer_norm_epsilon",
}  # fmt: skip
"""Keys that change no hidden state, and those that only repeat the shapes of tensors."""
_ROPE = {
    "rope.freq_base", "rope.freq_base_swa", "rope.dimension_count", "rope.scaling.type", "rope.scaling.factor",
    "rope.scale_linear", "rope.scaling.original_context_length", "rope.scaling.attn_factor",
    "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
}  # fmt: skip
_FACTORS = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
"""Tensors that divide the frequencies of rotary positions; transformers reads none of them."""
_INCOMPLETE = {"gpt-oss": "the experts", "gemma4": "the scales of layers"}
"""Architectures that transformers announces and reads without a part of their tensors."""
_LISTS = {"attention.sliding_window_pattern", "rope.dimension_sections"}
_WINDOWED = {"phi3", "starcoder2"}
"""Architectures whose every layer has the window of the setting."""
_TWO_ROPES = {"gemma3"}
"""Architectures with rotary positions of their own for sliding attention."""
_PARTIAL = {"phi3", "stablelm", "nemotron", "minimax-m2", "qwen35", "qwen35moe"}
"""Architectures that can rotate a part of each head."""
_REMEDY = "name the safetensors it was converted from"
_GEMMA_27B = {"gemma2": 46, "gemma3": 62}
"""Layers of the models whose queries are scaled by width a head, which their files do not say."""


class GgufSettings(NamedTuple):
    """What is set in the config that transformers makes of a GGUF file."""

    values: dict[str, Any]
    """Setting → value."""
    rope: dict[str, Any]
    """Parameters of rotary positions, of global attention where there are two kinds."""
    local_rope: dict[str, Any]
    """The same of sliding attention."""

    def apply(self, config: Any) -> None:
        """Set them in a config of transformers."""
        for name, value in self.values.items():
            setattr(config, name, value)
        given = getattr(config, "rope_parameters", None)
        if not given:
            return
        if "full_attention" in given:
            given["full_attention"] = {**given["full_attention"], **self.rope}
            given["sliding_attention"] = {**given["sliding_attention"], **self.local_rope}
        else:
            config.rope_parameters = {**given, **self.rope}
        if "partial_rotary_factor" in self.rope and hasattr(config, "partial_rotary_factor"):
            config.partial_rotary_factor = self.rope["partial_rotary_factor"]


def check(header: GgufHeader, source: str) -> None:
    """Errors: InputError for a file that is no language model, and for one whose forward pass would not be its own."""
    if header.type == "adapter":
        raise InputError(
            f"{source} is a LoRA adapter, not a model; expected a whole model: merge it into its base with "
            "`llama-export-lora`, and name the result."
        )
    if header.architecture == "clip" or header.type == "mmproj":
        raise InputError(
            f"{source} is the image part of a multimodal model; expected its language model: name the other .gguf file."
        )
    if not header.architecture or not header.settings:
        return
    if header.architecture not in readable():
        raise InputError(
            f"{source} has architecture {header.architecture!r}, which the installed transformers does not read from "
            f"GGUF; expected a model it reads: {_REMEDY}."
        )
    if part := _INCOMPLETE.get(header.architecture):
        raise InputError(
            f"{source} has architecture {header.architecture!r}, of which the installed transformers leaves "
            f"{part} out when it reads GGUF; expected a model it reads whole: {_REMEDY}."
        )
    if header.architecture in {"t5", "umt5"}:
        raise InputError(
            f"{source} is an encoder with a decoder ({header.architecture}); expected one stack of layers: "
            "choose a decoder or an encoder."
        )
    for sentence in _reasons(header):
        raise InputError(f"{source} {sentence}; transformers would leave that out: {_REMEDY}.")


def settings(header: GgufHeader, path: Path | None) -> GgufSettings:
    """The settings to apply. path: the file, from which the factors of rotary positions are read."""
    values = {name: value for key in header.settings if (found := _named(header, key)) for name, value in [found]}
    if (scale := _query_scale(header)) is not None:
        values["query_pre_attn_scalar"] = scale
    if header.has_tensor("attn_q.bias") and _has(header, "attention_bias"):
        values["attention_bias"] = True
    if header.has_tensor("ffn_up.bias") and _has(header, "mlp_bias"):
        values["mlp_bias"] = True
    if pattern := header.settings.get("attention.sliding_window_pattern"):
        values["layer_types"] = _layer_types(pattern, header.layers or 0)
    local = header.settings.get("rope.freq_base_swa")
    return GgufSettings(values, _rope(header, path), {} if local is None else {"rope_theta": local})


def used_parameters(header: GgufHeader) -> int:
    """Numbers of the tensors that a model must have, without what is read apart from it or repeats another tensor."""
    beyond = re.compile(rf"blk\.({header.layers}|\d{{{len(str(header.layers)) + 1},}})\.")
    apart = {name for name in header.tensors if name in _FACTORS or beyond.match(name) or name.endswith(".rope_freqs")}
    if header.architecture in {"bloom", "falcon", "gpt2", "mamba"}:
        apart.add("output.weight")  # always the embedding, which some converters write twice
    return sum(tensor.elements for name, tensor in header.tensors.items() if name not in apart)


@cache
def readable() -> frozenset[str]:
    """Architectures that the installed transformers reads from GGUF, as GGUF names them."""
    gguf_names = {kind: name for name, kind in KINDS.items()}
    legacy = {gguf_names.get(kind, kind) for kind in _tables()} - {"general", "tokenizer", "deci", "mistral"}
    return frozenset(legacy | set(_keys_of_fast_loader()))


def _reasons(header: GgufHeader) -> Iterator[str]:
    """What the header says that is neither read by transformers nor applied, as the middle of a sentence."""
    read = _read_keys(header.architecture)
    for key, value in header.settings.items():
        known = key in read or key in _IDLE or key in _ROPE or _named(header, key) is not None
        if key == "attention.value_length":
            known = value == header.settings.get("attention.key_length", value)
        elif key == "attention.scale":
            known = _query_scale(header) is not None or _is_usual_scale(header, value)
        elif key == "attention.head_count_kv" and not known:
            known = value == (1 if header.architecture == "falcon" else header.settings.get("attention.head_count"))
        elif key == "attention.sliding_window_pattern":
            known = known or _has(header, "layer_types")
        elif key in _NEUTRAL and not known:
            known = value in _FIXED.get(header.architecture, {}).get(key, _NEUTRAL[key])
        if isinstance(value, Array) and key not in _LISTS and header.architecture not in _keys_of_fast_loader():
            known = False  # transformers takes one value for all layers
        if not known:
            yield f"sets {key} to {_shown(value)}, which changes the forward pass"
    yield from _rope_reasons(header)
    if header.architecture == "falcon" and header.settings.get("attention.head_count_kv", 1) != 1:
        yield "has several key heads, whose order llama.cpp changes"


def _rope_reasons(header: GgufHeader) -> Iterator[str]:
    scaling = str(header.settings.get("rope.scaling.type", "none"))
    factors = _FACTORS & set(header.tensors)
    if scaling not in {"none", "linear", "yarn", "longrope"}:
        yield f"has positions scaled by {scaling!r}"
    if scaling == "longrope" and "rope_factors_short.weight" not in factors:
        yield "announces factors of rotary positions and has none"
    if header.settings.get("rope.scaling.yarn_ext_factor", 1) not in {1, -1}:
        yield "sets rope.scaling.yarn_ext_factor"
    if any(header.tensors[name].type not in {"F32", "F16"} for name in factors):
        yield "has quantised factors of rotary positions"
    if _rotated_share(header) is not None and header.architecture not in _PARTIAL:
        yield "rotates only a part of each head"
    bases = [header.settings.get(key) for key in ("rope.freq_base", "rope.freq_base_swa")]
    if bases[1] not in {None, bases[0]} and header.architecture not in _TWO_ROPES:
        yield "has another base of rotary positions for sliding attention"
    scaled = scaling != "none" or factors
    if scaled and not _has(header, "rope_parameters"):
        yield "scales rotary positions, which its architecture does not have"


def _rope(header: GgufHeader, path: Path | None) -> dict[str, Any]:
    """Parameters of rotary positions as transformers names them, only those that the file states."""
    given = header.settings
    rope: dict[str, Any] = {}
    if (theta := given.get("rope.freq_base")) is not None:
        rope["rope_theta"] = theta
    if (share := _rotated_share(header)) is not None:
        rope["partial_rotary_factor"] = share
    original = given.get("rope.scaling.original_context_length") or header.longest_context
    factor = given.get("rope.scaling.factor") or given.get("rope.scale_linear") or 1.0
    attention = given.get("rope.scaling.yarn_attn_factor", given.get("rope.scaling.attn_factor"))
    scaling = given.get("rope.scaling.type")
    if scaling == "yarn":
        rope |= {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
        named = {"beta_fast": "rope.scaling.yarn_beta_fast", "beta_slow": "rope.scaling.yarn_beta_slow"}
        rope |= {name: given[key] for name, key in named.items() if key in given}
        if attention is not None:
            rope["attention_factor"] = attention
    elif factor != 1.0 and scaling in {None, "linear"}:
        rope |= {"rope_type": "linear", "factor": factor}
    if path is not None and _FACTORS & set(header.tensors):
        rope |= _factors(header, path, original, attention)
    return rope


def _factors(header: GgufHeader, path: Path, original: int | None, attention: float | None) -> dict[str, Any]:
    """Divisors of the frequencies: one list, or one for short and one for long contexts."""
    short, long = (
        _read(path, header, name).tolist() if name in header.tensors else None
        for name in ("rope_factors_short.weight", "rope_factors_long.weight")
    )
    if short is None:
        short = _read(path, header, "rope_freqs.weight").tolist()
        attention = 1.0
    ratio = (header.longest_context or 1) / (original or 1)
    return {
        "rope_type": "longrope", "short_factor": short, "long_factor": long or short, "attention_factor": attention,
        "original_max_position_embeddings": original, "factor": max(ratio, 1.0),
    }  # fmt: skip


def _read(path: Path, header: GgufHeader, name: str) -> np.ndarray[Any, Any]:
    tensor = header.tensors[name]
    kind = np.dtype("<f4" if tensor.type == "F32" else "<f2")
    return np.fromfile(path, kind, tensor.elements, offset=header.begin + tensor.start).astype(np.float64)


def _rotated_share(header: GgufHeader) -> float | None:
    """Share of a head that is rotated, where it is not all of it."""
    rotated, width = header.settings.get("rope.dimension_count"), header.head_width
    if not isinstance(rotated, int) or not width or header.architecture == "minimax-m2":
        return None
    if header.architecture == "llama" and "attention.key_length" not in header.settings:
        return None  # older files state the width of heads in this way
    return rotated / width if header.architecture in _PARTIAL or rotated != width else None


def _query_scale(header: GgufHeader) -> int | None:
    """`query_pre_attn_scalar` of Gemma: stated, or the rule for those of 27 billion parameters."""
    if not _has(header, "query_pre_attn_scalar"):
        return None
    if scale := header.settings.get("attention.scale"):
        return round(scale**-2)
    heads, layers = header.settings.get("attention.head_count"), _GEMMA_27B.get(header.architecture)
    if heads and header.width and (header.layers == layers or header.size_label.upper() == "27B"):
        return round(header.width / heads)
    return None


def _is_usual_scale(header: GgufHeader, value: Any) -> bool:
    return value == 0 or bool(header.head_width and math.isclose(value, header.head_width**-0.5, rel_tol=1e-5))


def _layer_types(pattern: Any, layers: int) -> list[str]:
    """Attention of every layer: a flag a layer, or every so many layers a global one."""
    if isinstance(pattern, Array):
        flags = [bool(flag) for flag in pattern.values]
    else:
        flags = [(layer + 1) % pattern != 0 for layer in range(layers)]
    return ["sliding_attention" if flag else "full_attention" for flag in flags]


def _named(header: GgufHeader, key: str) -> tuple[str, Any] | None:
    """Setting of transformers and value of a key; None where the architecture has no such setting."""
    value = header.settings[key]
    if isinstance(value, Array) or key in _read_keys(header.architecture) or not (value or isinstance(value, bool)):
        return None
    if key == "attention.sliding_window" and header.architecture not in _WINDOWED:
        return None  # which layers have the window is another setting
    return next(((name, value) for name in _NAMED.get(key, ()) if _has(header, name)), None)


def _has(header: GgufHeader, setting: str) -> bool:
    """Whether the config of the architecture has a setting of this name."""
    return setting in _fields(header.architecture)


@cache
def _fields(architecture: str) -> frozenset[str]:
    kind = KINDS.get(architecture, architecture)
    if kind not in architectures.model_types():
        return frozenset()
    known = architectures.read_architecture(kind)
    # The width of a head is read from many configs that do not list it.
    return known.fields | set(known.aliases) | ({"head_dim"} & known.identifiers)


@cache
def _read_keys(architecture: str) -> frozenset[str]:
    """Keys that the installed transformers reads of an architecture, into a setting that its config has."""
    table = _tables().get(KINDS.get(architecture, architecture).removesuffix("_text"), {})
    kind = KINDS.get(architecture, architecture)
    settings = architectures.read_architecture(kind).identifiers if kind in architectures.model_types() else frozenset()
    read = {key for key, name in table.items() if name in settings}
    return frozenset(read | _keys_of_fast_loader().get(architecture, set()))


@cache
def _tables() -> dict[str, dict[str, str | None]]:
    return architectures.literal("integrations/ggml.py", "GGUF_CONFIG_MAPPING")


@cache
def _keys_of_fast_loader() -> dict[str, set[str]]:
    """Architectures whose config is built by functions, and the keys that these read."""
    try:
        text = architectures.source("integrations/gguf/gguf_config_mapping.py")
    except FileNotFoundError:
        return {}
    functions = {node.name: ast.unparse(node) for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    table = re.search(r"GGUF_CONFIG_ARCHS = \{(.*?)\}", text, re.DOTALL)
    builders = dict(re.findall(r'"([\w-]+)": (\w+)', table[1])) if table else {}
    return {name: _keys(builder, functions) for name, builder in builders.items()}


def _keys(function: str, functions: Mapping[str, str]) -> set[str]:
    body = functions[function]
    own = set(re.findall(r"key\('([\w.]+)'\)|\.get\(f?'(?:\{prefix\}\.)([\w.]+)'", body))
    called = {name for name in functions if name != function and f"{name}(" in body}
    return {part for pair in own for part in pair if part}.union(*(_keys(name, functions) for name in called))


def _shown(value: Any) -> str:
    if isinstance(value, Array):
        return str(list(value.values)[:4])
    return f"{value:g}" if isinstance(value, float) else short(value)

"""Checkpoints in the format of AI2's own code, ``hf_olmo``, such as those of DataDecide: read as Llama.

transformers does not know the format, and code that comes with a model is never run. One layout is read, that of
DataDecide. It computes what Llama computes, with other names of settings and tensors, and with fewer tensors: queries,
keys and values are the rows of one, and the two projections into a feed-forward layer those of another.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from softh.checkpoints.config import LARGEST_VOCABULARY, MOST_LAYERS, WIDEST, whole_number
from softh.checkpoints.safetensors_header import FLOATS, TensorInfo, short, short_names
from softh.errors import InputError

KIND = "hf_olmo"
"""``model_type`` of the format."""
_LAYOUT: Mapping[str, tuple[Any, ...]] = {
    "activation_type": ("swiglu",),
    "alibi": (False,),
    "attention_layer_norm": (False,),
    "bias_for_layer_norm": (False, None),  # None stands for the value of include_bias
    "block_group_size": (1,),
    "block_type": ("sequential",),
    "clip_qkv": (None,),
    "embedding_layer_norm": (False,),
    "include_bias": (False,),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (True,),
    "multi_query_attention": (None, False),
    "n_kv_heads": (None,),
    "norm_after": (False,),
    "rope": (True,),
    "scale_logits": (False,),
    "weight_tying": (False,),
}
"""Setting → its values in the layout that is read."""
_GIVEN = {"include_bias", "layer_norm_type", "rope", "weight_tying"}
"""Settings that the config must give: left out, AI2's code takes a value of another layout."""
_SIZES = {
    "d_model": WIDEST,
    "n_heads": WIDEST,
    "n_layers": MOST_LAYERS,
    "vocab_size": LARGEST_VOCABULARY,
    "max_sequence_length": 10**8,
}
"""Size → the largest that is accepted."""
SETTINGS = frozenset({
    "architectures", "model_type", *_LAYOUT, *_SIZES, "embedding_size", "eos_token_id", "layer_norm_eps",
    "mlp_hidden_size", "mlp_ratio", "pad_token_id", "rope_theta",
})  # fmt: skip
"""Every setting that decides what is computed, and the special tokens."""
_REMEDY = "choose another model, or a version of it for transformers"
_PREFIX = "model.transformer."


class _Part(NamedTuple):
    """A tensor of the format."""

    shape: tuple[int, ...]
    llama: tuple[str, ...]
    """Names of the tensors of Llama that its rows are, in this order and of one size."""


def llama_config(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The config of Llama that computes the same. Special tokens are those of the tokenizer.

    Errors: InputError for another layout than that of DataDecide, and for sizes that no model has.
    """
    _check_layout(config, source)
    sizes = {name: whole_number(config.get(name), name, most, source) for name, most in _SIZES.items()}
    width, heads = sizes["d_model"], sizes["n_heads"]
    if width % (2 * heads):
        raise InputError(
            f"{source} has a width of {width:,} and {heads:,} heads; expected heads of one even width: use the config "
            "of the model."
        )
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": _rows(config, sizes["vocab_size"], source),
        "hidden_size": width,
        "intermediate_size": _inner(config, width, source) // 2,
        "num_hidden_layers": sizes["n_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": sizes["max_sequence_length"],
        "rms_norm_eps": _positive(config, "layer_norm_eps", 1e-5, source),
        "rope_parameters": {"rope_type": "default", "rope_theta": _positive(config, "rope_theta", 1e4, source)},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def check_tensors(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], source: str) -> None:
    """Check names, shapes and number formats of the tensors, by the headers alone.

    Errors: InputError for tensors that the layout does not have, for missing ones, and for those of another shape or
    number format.
    """
    parts = _parts(llama_config(config, source))
    if unknown := sorted(set(tensors) - set(parts)):
        raise InputError(
            f"{source} has {len(unknown):,} tensors that the layout of DataDecide does not have, "
            f"{short_names(unknown)}; expected its {len(parts):,}: {_REMEDY}."
        )
    if missing := sorted(set(parts) - set(tensors)):
        raise InputError(
            f"{source} lacks {len(missing):,} tensors of its config, {short_names(missing)}; expected all "
            f"{len(parts):,}: use weights and config of one model."
        )
    for name, part in parts.items():
        found = tensors[name]
        if found.shape != part.shape:
            raise InputError(
                f"{source} has tensor {short(name)} of {_shown(found.shape)}; expected {_shown(part.shape)}, as its "
                "config says: use weights and config of one model."
            )
        if found.dtype not in FLOATS:
            raise InputError(
                f"{source} has tensor {short(name)} of type {found.dtype}; expected float32, float16 or bfloat16: "
                "choose the model before quantisation."
            )


def llama_tensors(config: Mapping[str, Any], files: Sequence[Path], source: str) -> dict[str, Any]:
    """The tensors of Llama, in the number format of the files; config: that of the checkpoint.

    They are views of the mapped files: memory is used for those that are read. Errors: InputError, as of
    :func:`llama_config`.
    """
    from safetensors import safe_open  # with torch, which reading a header does not need

    parts = _parts(llama_config(config, source))
    tensors: dict[str, Any] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (it cannot be iterated itself)
                part = parts[name]
                tensors.update(zip(part.llama, file.get_tensor(name).chunk(len(part.llama)), strict=True))
    return tensors


def _check_layout(config: Mapping[str, Any], source: str) -> None:
    for name, values in _LAYOUT.items():
        value = config.get(name, None if name in _GIVEN else values[0])
        if not any(type(value) is type(expected) and value == expected for expected in values):
            what = f"{name} {short(value)}" if name in config else f"no {name}"
            raise InputError(
                f"{source} has {what} in its config of architecture {KIND}; expected {values[0]!r}, the layout of "
                f"DataDecide: {_REMEDY}."
            )


def _rows(config: Mapping[str, Any], vocabulary: int, source: str) -> int:
    """Rows of the embedding, some of which may stand for no token."""
    if config.get("embedding_size") is None:
        return vocabulary
    rows = whole_number(config["embedding_size"], "embedding_size", LARGEST_VOCABULARY, source)
    if rows < vocabulary:
        raise InputError(
            f"config.json of {source} gives embedding_size as {rows:,} and vocab_size as {vocabulary:,}; expected a "
            "row for every token: use the config of the model."
        )
    return rows


def _inner(config: Mapping[str, Any], width: int, source: str) -> int:
    """Rows of the tensor that leads into a feed-forward layer: two for each of its units."""
    if config.get("mlp_hidden_size") is not None:
        inner = whole_number(config["mlp_hidden_size"], "mlp_hidden_size", 10**7, source)
    else:
        inner = width * whole_number(config.get("mlp_ratio"), "mlp_ratio", 10**3, source)
    if inner % 2:
        raise InputError(
            f"{source} has feed-forward layers of {inner:,} rows; expected an even number, half of them for the gate: "
            "use the config of the model."
        )
    return inner


def _positive(config: Mapping[str, Any], name: str, default: float, source: str) -> float:
    value = config.get(name, default)
    if type(value) not in {int, float} or not 0 < value < 1e12:
        raise InputError(
            f"config.json of {source} gives {name} as {short(value)}; expected a positive number: use the config of "
            "the model."
        )
    return float(value)


def _parts(llama: Mapping[str, Any]) -> dict[str, _Part]:
    """Every tensor of the format by name. llama: what :func:`llama_config` returns."""
    return {_PREFIX + name: part for name, part in _named_parts(llama)}


def _named_parts(llama: Mapping[str, Any]) -> Iterator[tuple[str, _Part]]:
    width, inner, rows = llama["hidden_size"], llama["intermediate_size"], llama["vocab_size"]
    yield "wte.weight", _Part((rows, width), ("model.embed_tokens.weight",))
    yield "ln_f.weight", _Part((width,), ("model.norm.weight",))
    yield "ff_out.weight", _Part((rows, width), ("lm_head.weight",))
    of_layer = {
        "attn_norm": ((width,), ("input_layernorm",)),
        "att_proj": ((3 * width, width), ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        "attn_out": ((width, width), ("self_attn.o_proj",)),
        "ff_norm": ((width,), ("post_attention_layernorm",)),
        "ff_proj": ((2 * inner, width), ("mlp.up_proj", "mlp.gate_proj")),
        "ff_out": ((width, inner), ("mlp.down_proj",)),
    }
    for layer in range(llama["num_hidden_layers"]):
        for name, (shape, names) in of_layer.items():
            llama_names = tuple(f"model.layers.{layer}.{each}.weight" for each in names)
            yield f"blocks.{layer}.{name}.weight", _Part(shape, llama_names)


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{size:,}" for size in shape[:8]) or "no dimension"

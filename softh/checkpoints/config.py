"""Architecture and sizes of a model from its config, and whether its weights match them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from softh.checkpoints import architectures
from softh.checkpoints.safetensors_header import TensorInfo, short
from softh.errors import InputError

MOST_LAYERS, WIDEST, LARGEST_VOCABULARY = 1_000, 65_536, 2_000_000

_BY_LAYER = ("layers_block_type", "layer_types", "hybrid_override_pattern", "block_types")
"""Settings that say of every layer what it is."""
_LAYER = re.compile(r"^(.*?(?:^|\.)(?:layers|layer|h|blocks|block))\.(\d+)\.")
_EMBEDDING = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings?|embed_in|tok_embeddings|token_embedding|embeddings?|shared)\.weight$"
)
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output|head)\.weight$")


@dataclass(frozen=True)
class Shape:
    """Architecture and sizes of a model."""

    model_type: str
    """Of the text model."""
    architecture: str
    """Name of the class, or `model_type` when the config names none."""
    causal: bool
    """Whether it predicts the next token."""
    layers: int
    width: int
    vocabulary: int
    longest_context: int | None
    """Tokens it can read; None without a limit."""


def check_architecture(config: Mapping[str, Any], source: str) -> None:
    """Errors: InputError for an architecture that the installed transformers does not know."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in architectures.model_types():
        code = "and code that comes with a model is never run" if "auto_map" in config else "which may be too old"
        raise InputError(
            f"{source} has architecture {short(kind)}, unknown to the installed transformers, {code}: "
            "choose another model."
        )


def read_shape(config: Mapping[str, Any], source: str) -> Shape:
    """Architecture and sizes from a config.json; those left out are the defaults of the architecture.

    Errors: InputError for an encoder with a decoder, and for sizes that are not whole numbers or beyond any model.
    """
    text = config.get("text_config")
    text = {**config, **text} if isinstance(text, dict) else config
    kind = text.get("model_type")
    kind = kind if isinstance(kind, str) and kind in architectures.model_types() else str(config["model_type"])
    known = architectures.read_architecture(kind)
    if known.get(text, "is_encoder_decoder") is True:
        raise InputError(
            f"{source} is an encoder with a decoder ({kind}); expected one stack of layers: "
            "choose a decoder or an encoder."
        )
    if "vocab_size" not in known.fields | set(known.aliases) and _value(known, text, "vocab_size") is None:
        raise InputError(f"{source} does not run on text alone ({kind} has no vocabulary); expected a language model: "
                         "choose one.")  # fmt: skip
    sizes = {
        name: whole_number(_value(known, text, name), name, most, source)
        for name, most in (
            ("num_hidden_layers", MOST_LAYERS),
            ("hidden_size", WIDEST),
            ("vocab_size", LARGEST_VOCABULARY),
        )
    }
    names = config.get("architectures")
    longest = known.get(text, "max_position_embeddings")
    return Shape(
        kind,
        str(names[0]) if isinstance(names, list) and names else kind,
        architectures.is_causal(config),
        *sizes.values(),
        longest if type(longest) is int and longest > 0 else None,
    )


def _value(known: architectures.Architecture, config: Mapping[str, Any], name: str) -> Any:
    """A size; the number of layers also from a setting that has a part for each of them."""
    value = known.get(config, name)
    if name != "num_hidden_layers" or type(value) is int:
        return value
    if known.model_type == "longcat_flash" and type(known.get(config, "num_layers")) is int:
        return 2 * known.get(config, "num_layers")  # each of its layers is two
    listed = (known.get(config, part) for part in _BY_LAYER)
    return next((len(parts) for parts in listed if isinstance(parts, list | str) and parts), value)


def whole_number(value: Any, name: str, most: int, source: str) -> int:
    """A size that a config gives under a name. Errors: InputError when it is no whole number from 1 to `most`."""
    if type(value) is not int or not 1 <= value <= most:
        raise InputError(
            f"config.json of {source} gives {name} as {short(value)}; expected a whole number from 1 to {most:,}: "
            "use the config of the model."
        )
    return value


def check_fit(shape: Shape, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], source: str) -> TensorInfo:
    """The embedding of the weights, whose shape and whose number of layers must be those of the config.

    Every other contradiction is found by transformers when it loads the weights. Errors: InputError.
    """
    if not tensors:
        raise InputError(f"{source} has weight files without a tensor; expected those of a model: save it again.")
    table = _embedding(shape, tensors, source)
    if table.shape[0] != shape.vocabulary or table.shape[1] not in _widths(shape, config):
        raise InputError(
            f"{source} has an embedding of {table.shape[0]:,} × {table.shape[1]:,} and a config that says "
            f"{shape.vocabulary:,} × {shape.width:,}; expected weights and config of one model: use its own config."
        )
    _check_layers(shape, config, tensors, source)
    return table


def _embedding(shape: Shape, tensors: Mapping[str, TensorInfo], source: str) -> TensorInfo:
    tables = [tensor for name, tensor in tensors.items() if _EMBEDDING.search(name) and len(tensor.shape) == 2]
    heads = [tensor for name, tensor in tensors.items() if _HEAD.search(name) and len(tensor.shape) == 2]
    if not (tables or heads):
        raise InputError(
            f"{source} has no embedding among its {len(tensors):,} tensors; expected weights as transformers saves "
            "them: save the model with save_pretrained."
        )
    # Position and segment tables have the same kind of name: the vocabulary is the longest.
    return max(tables or heads, key=lambda tensor: (tensor.shape[0] == shape.vocabulary, tensor.shape[0]))


def _widths(shape: Shape, config: Mapping[str, Any]) -> set[Any]:
    """Width of the layers, and of an embedding that is projected to it where the config names one."""
    return {shape.width, *(value for name, value in config.items() if "emb" in name and type(value) is int)}


def _check_layers(shape: Shape, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], source: str) -> None:
    stacks: dict[str, set[int]] = {}
    for name in tensors:
        if match := _LAYER.match(name):
            stacks.setdefault(match[1], set()).add(int(match[2][:9]))
    extra = config.get("num_nextn_predict_layers")
    most = shape.layers + (extra if type(extra) is int else 0)
    if stacks and not any(shape.layers <= len(stack) <= most for stack in stacks.values()):
        found = max(map(len, stacks.values()))
        raise InputError(
            f"{source} has weights of {found:,} layers and a config that says {shape.layers:,}; "
            "expected weights and config of one model: use its own config."
        )

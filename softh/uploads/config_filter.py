"""Uploaded config and tokenizer settings, rebuilt from what the architecture reads, without all that loads code."""

import math
import re
from collections.abc import Mapping
from typing import Any

from softh.checkpoints import architectures, hf_olmo, quantisation
from softh.checkpoints.safetensors_header import short
from softh.errors import InputError

_LOADS_CODE = re.compile(
    r"auto_map|custom_\w*|trust_remote_code|code_revision|name_or_path|transformers_weights|use_kernels|\w*kernel_config"
    r"|(?:attn|experts)_implementation|\w*backbone\w*|use_timm\w*|adapters|peft\w*|quantization_config"
)
"""Settings that name code, kernels, files or other models to fetch."""
_IDLE = {
    "id2label", "label2id", "num_labels", "problem_type", "task_specific_params", "torchscript", "return_dict",
    "output_attentions", "output_hidden_states", "output_router_logits", "chunk_size_feed_forward", "use_cache",
    "transformers_version",
}  # fmt: skip
"""Settings of other tasks and of generation, which do not change hidden states."""
_WORD = re.compile(r"[\w.+* -]{0,200}", re.ASCII)
"""Text that is a setting: a name, or a sign a layer as in the pattern of Nemotron-H."""
_BOUNDS = (
    (re.compile(r"\w*(position|n_ctx|length|window)\w*"), 10**8),
    (re.compile(r"(num|n)_(?!embd|inner|embed|positions)\w*|\w+_(layers|heads|experts)"), 10**5),
    (re.compile(r"\w*(size|dim|width|embd|inner|rank)|d_\w+"), 10**7),
)
_DEEPEST, _LONGEST = 5, 20_000

_TOKENIZER = {
    "add_bos_token", "add_eos_token", "add_prefix_space", "added_tokens_decoder", "additional_special_tokens",
    "bos_token", "clean_up_tokenization_spaces", "cls_token", "do_lower_case", "eos_token", "errors",
    "extra_special_tokens", "fix_mistral_regex", "legacy", "mask_token", "model_input_names", "model_max_length",
    "pad_token", "padding_side", "sep_token", "spaces_between_special_tokens", "split_special_tokens",
    "strip_accents", "tokenize_chinese_chars", "tokenizer_class", "trim_offsets", "truncation_side", "unk_token",
}  # fmt: skip
_TOKEN = {"content", "lstrip", "normalized", "rstrip", "single_word", "special", "__type"}
FAST = "PreTrainedTokenizerFast"
"""Class that uses tokenizer.json unchanged."""


def clean_config(config: Mapping[str, Any], source: str) -> tuple[dict[str, Any], list[str]]:
    """The filtered config, and the names of the settings that were removed because they load code or fetch something.

    Settings that the source of the architecture does not mention are removed too: they cannot change the model. Errors:
    InputError for an architecture that is not read or reads no text, for quantised weights, and
    for numbers beyond any model.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in {*architectures.language_model_types(), hf_olmo.KIND}:
        code = "and code that comes with a model is never run" if "auto_map" in config else "or no language model"
        raise InputError(
            f"{source} has architecture {short(kind)}, unknown to the installed transformers, {code}: "
            "choose another model."
        )
    if quantisation.method(config) is not None:
        raise InputError(
            f"{source} has quantised weights; expected float32, float16 or bfloat16 in an upload: upload the "
            "model before quantisation, or put it in a folder of the server."
        )
    removed: list[str] = []
    return {**_object(config, _words(kind), removed, source, 0), "model_type": kind}, sorted(set(removed))


def clean_tokenizer(settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Settings of the fast tokenizer, and the names of those that were removed because they are code or templates."""
    cleaned = {name: _token(value) for name, value in settings.items() if name in _TOKENIZER}
    if cleaned.get("tokenizer_class") not in architectures.tokenizer_classes():
        cleaned["tokenizer_class"] = FAST
    return cleaned, sorted({"auto_map", "chat_template"} & set(settings))


def clean_tokens(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Content of special_tokens_map.json or added_tokens.json: tokens with their flags, or with their ids."""
    return {name: _token(value) for name, value in settings.items()}


def _words(kind: str) -> frozenset[str]:
    return hf_olmo.SETTINGS if kind == hf_olmo.KIND else architectures.read_architecture(kind).identifiers


def _object(
    value: Mapping[str, Any], words: frozenset[str], removed: list[str], source: str, depth: int
) -> dict[str, Any]:
    kind = value.get("model_type")
    cleaned: dict[str, Any] = {}
    if isinstance(kind, str) and kind in architectures.model_types():
        words |= _words(kind)
        cleaned["model_type"] = kind
    for name, inner in value.items():
        if _LOADS_CODE.fullmatch(name.removeprefix("_")):
            removed.append(name)
        elif name.isdecimal() or name == "__float__" or (name in words - _IDLE and not name.startswith("_")):
            _bound(name, inner, source)
            plain = _plain(inner, words, removed, source, depth + 1)
            if plain is not _DROP:
                cleaned[name] = plain
    return cleaned


_DROP = object()


def _plain(value: Any, words: frozenset[str], removed: list[str], source: str, depth: int) -> Any:
    """A value without parts that cannot be settings; ``_DROP`` for text that names a file or an address."""
    if depth > _DEEPEST:
        raise InputError(f"config.json of {source} is nested too deeply; expected plain settings: use the config of "
                         "the model.")  # fmt: skip
    if isinstance(value, dict):
        return _object(value, words, removed, source, depth)
    if isinstance(value, list):
        inner = [_plain(entry, words, removed, source, depth + 1) for entry in value[:_LONGEST]]
        return [entry for entry in inner if entry is not _DROP]
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else _DROP
    if isinstance(value, float) and math.isnan(value):
        raise InputError(f"config.json of {source} holds a value that is not a number; expected numbers: use the "
                         "config of the model.")  # fmt: skip
    return value


def _bound(name: str, value: Any, source: str) -> None:
    if type(value) is not int:
        return
    most = next((bound for pattern, bound in _BOUNDS if pattern.fullmatch(name)), 2**53)
    if abs(value) > most:
        raise InputError(f"config.json of {source} gives {name} as {short(value)}; expected at most {most:,}: use the "
                         "config of the model.")  # fmt: skip


def _token(value: Any) -> Any:
    """Texts, flags and numbers; of an object, only what describes a token."""
    if isinstance(value, dict):
        described = "content" in value
        return {name: _token(inner) for name, inner in value.items() if not described or name in _TOKEN}
    return [_token(inner) for inner in value] if isinstance(value, list) else value

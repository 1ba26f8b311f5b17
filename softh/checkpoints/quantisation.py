"""Quantised safetensors: whether transformers reads them on this machine, and how many weights their tensors hold."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from softh.checkpoints.safetensors_header import TensorInfo, short
from softh.errors import InputError

_PACKAGES = {
    "aqlm": ("aqlm",), "auto-round": ("auto_round",), "awq": ("gptqmodel",), "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",), "eetq": ("eetq",), "fbgemm_fp8": ("fbgemm_gpu",),
    "fp_quant": ("fp_quant",), "gptq": ("optimum", "gptqmodel"), "higgs": ("flute",), "hqq": ("hqq",),
    "quanto": ("optimum.quanto",), "quark": ("quark",), "sinq": ("sinq",), "spqr": ("spqr_quant",),
    "torchao": ("torchao",), "vptq": ("vptq",),
}  # fmt: skip
"""Method → packages that transformers needs for it."""
_BUILT_IN = {"bitnet", "fp8", "mxfp4", "mxfp8"}
"""Methods that transformers dequantises by itself, also on a CPU."""
_NAMES = {"awq": "AWQ", "gptq": "GPTQ", "hqq": "HQQ", "mlx": "MLX", "aqlm": "AQLM", "spqr": "SpQR"}
_AUXILIARY = re.compile(
    r"\.(?:scales?|weight_scale(?:_inv|_2)?|weight_shape|weight_zero_point|weight_g_idx|input_scale|output_scale|[kv]_scale"
    r"|scale_inv|qzeros|g_idx|absmax|nested_absmax|quant_map|nested_quant_map|SCB|weight_format|biases)$"
    r"|_scales$|\.quant_state\.|\.(?:absmax|quant_map|nested_absmax|nested_quant_map)$"
)
"""Tensors that say how others are packed."""


def method(config: Mapping[str, Any]) -> str | None:
    """The quantisation that a config announces, as transformers names it; None for plain weights.

    >>> method({"quantization_config": {"quant_method": "gptq"}}), method({"quantization": {"bits": 4}}), method({})
    ('gptq', 'mlx', None)
    """
    given = settings(config)
    if given:
        named = given.get("quant_method")
        in_bits = given.get("load_in_4bit") or given.get("load_in_8bit")
        return str(named) if named else "bitsandbytes" if in_bits else "unknown"
    return "mlx" if isinstance(config.get("quantization"), dict) else None


def settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the quantisation, of the model or of its text part; empty for plain weights."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        for name in ("quantization_config", "compression_config"):
            if isinstance(part.get(name), dict):
                return part[name]
    return {}


def check(config: Mapping[str, Any], source: str) -> None:
    """Errors: InputError for weights that transformers cannot read on this machine as they are quantised."""
    found = method(config)
    if found is None or found in _BUILT_IN:
        return
    name = _NAMES.get(found, found if found in _PACKAGES else short(found))
    packages = _PACKAGES.get(found)
    if packages is None:
        raise InputError(f"{source} is quantised by {name}, which the installed transformers does not read; expected "
                         "float32, float16 or bfloat16: choose the model before quantisation.")  # fmt: skip
    if missing := [package for package in packages if not _installed(package)]:
        listed = " and ".join(package.replace("_", "-").replace(".", "-") for package in missing)
        raise InputError(
            f"{source} is quantised by {name}, which needs {listed}, not installed here; expected weights that can be "
            f"read: run `pip install {listed.replace(' and ', ' ')}`, or choose the model before quantisation."
        )


def parameters(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> int:
    """Weights that the tensors hold: those that are packed several in a number counted apart, scales left out."""
    found = method(config)
    if found is None:
        return sum(tensor.size for tensor in tensors.values())
    plain = {name: tensor for name, tensor in tensors.items() if not _AUXILIARY.search(name)}
    bits = _bits(config)
    return sum(tensor.size * _packed(name, tensor, found, bits) for name, tensor in plain.items())


def _packed(name: str, tensor: TensorInfo, method: str, bits: int) -> int:
    """Weights in one number of a tensor."""
    if name.endswith(("_blocks", ".weight_packed", ".qweight")):
        return {"U8": 8, "I8": 8, "I32": 32, "U32": 32}.get(tensor.dtype, bits) // bits
    if method == "mlx" and tensor.dtype == "U32":
        return 32 // bits
    if method in {"bitsandbytes", "nvfp4"} and tensor.dtype == "U8" and bits == 4:
        return 2
    return 4 if method == "bitnet" and tensor.dtype == "U8" else 1


def _bits(config: Mapping[str, Any]) -> int:
    given = settings(config) or config.get("quantization") or {}
    if given.get("load_in_8bit"):
        return 8
    groups = given.get("config_groups")
    weights = [group.get("weights") for group in groups.values()] if isinstance(groups, dict) else []
    stated = [part.get("num_bits") for part in weights if isinstance(part, dict)]
    bits = given.get("bits", given.get("w_bit", stated[0] if stated else 4))
    return bits if type(bits) is int and 1 <= bits <= 8 else 4


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False

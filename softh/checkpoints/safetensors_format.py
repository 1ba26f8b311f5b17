"""Safetensors weights: one file or shards with an index, beside a config and a tokenizer."""

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from softh.checkpoints import hf_olmo, quantisation
from softh.checkpoints.architectures import is_causal, multimodal_classes
from softh.checkpoints.config import Shape, check_architecture, read_shape
from softh.checkpoints.files import CheckpointFiles, LocalFiles, read_settings
from softh.checkpoints.layouts import renamings
from softh.checkpoints.safetensors_header import TensorInfo, header_length, merge_shards, parse_safetensors, short
from softh.checkpoints.weights import Translation, WeightsFormat, WeightsHeader
from softh.errors import InputError

INDEX = "model.safetensors.index.json"
"""File that says which shard holds a tensor."""
_SINGLE = "model.safetensors"
_SHARD = re.compile(r"model-.*\.safetensors")
_FIRST_BYTES = 1 << 17
"""Bytes of a file that are read first: nearly every header fits."""
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class SafetensorsHeader(WeightsHeader):
    """Config, and the tensors of all shards."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], size: int, source: str) -> None:
        self._config, self._source = config, source
        method = quantisation.method(config)
        self.label = f"safetensors quantised by {method}" if method else "safetensors"
        numbers: Counter[str] = Counter()
        for tensor in tensors.values():
            numbers[tensor.dtype] += tensor.size
        named = config.get("architectures")
        if isinstance(named, list) and multimodal_classes() & {*map(str, named)} and not is_causal(config):
            tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("lm_head.weight")}
        self.parameters = quantisation.parameters(config, tensors)
        dtype = numbers.most_common(1)[0][0] if numbers else "unknown"
        self.dtype = _DTYPES.get(dtype, dtype)
        self.bytes = size

    def shape(self) -> Shape:
        """Architecture and sizes, from the config. Errors: InputError for a config that gives none."""
        return read_shape(self._config, self._source)


class Safetensors(WeightsFormat):
    """``model.safetensors``, or shards with their index."""

    name = "safetensors"
    suffix = ".safetensors"
    self_contained = False
    upload_names = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
    use_safetensors = True

    def select(self, names: set[str], source: str) -> tuple[str, ...]:
        """The single file, else the shards and their index."""
        if _SINGLE in names:
            return (_SINGLE,)
        shards = sorted(name for name in names if _SHARD.fullmatch(name)) if INDEX in names else []
        return (*shards, INDEX) if shards else ()

    def read_header(self, files: CheckpointFiles, names: Sequence[str]) -> SafetensorsHeader:
        """Config and tensors. Errors: InputError, also for an architecture that transformers does not know."""
        config = read_settings(files, "config.json")
        check_config(config, files.source)
        shards = [name for name in names if name != INDEX]

        with ThreadPoolExecutor(8) as pool:  # one request each on the hub
            tensors = dict(zip(shards, pool.map(lambda name: _tensors(files, name), shards), strict=True))
        index = read_settings(files, INDEX) if INDEX in names else None
        size = sum(files.sizes[name] for name in shards)
        merged = merge_shards(tensors, index, files.source)
        check_tensors(config, merged, files.source)
        return SafetensorsHeader(as_read(config, files.source), merged, size, files.source)

    def model_arguments(self, files: CheckpointFiles, names: Sequence[str]) -> dict[str, Any]:
        """The renaming of tensors that were saved from inside a wrapper, such as that of torch.compile."""
        tensors = {name for file in names if file != INDEX for name in _tensors(files, file)}
        mapping = renamings(sorted(tensors), files.source)
        return {"key_mapping": mapping} if mapping else {}

    def translate(self, files: LocalFiles, names: Sequence[str]) -> Translation | None:
        """Llama, for weights of AI2's own code."""
        config = read_settings(files, "config.json")
        if not _is_olmo(config):
            return None
        shards = [files.folder / name for name in names if name != INDEX]
        tensors = hf_olmo.llama_tensors(config, shards, files.source)
        return Translation(hf_olmo.llama_config(config, files.source), tensors)


def _tensors(files: CheckpointFiles, name: str) -> dict[str, TensorInfo]:
    """The tensors of one file, from its first bytes."""
    start = files.head(name, min(_FIRST_BYTES, files.sizes[name]))
    if header_length(start) > len(start):
        start = files.head(name, header_length(start))
    return parse_safetensors(io.BytesIO(start), files.sizes[name], name)


def check_config(config: Mapping[str, Any], source: str) -> None:
    """Errors: InputError for an architecture, sizes or a quantisation that cannot be read on this machine."""
    read = as_read(config, source)
    check_architecture(read, source)
    read_shape(read, source)
    quantisation.check(config, source)


def as_read(config: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The config that transformers is given: that of the file, or its translation where transformers does not know it.

    Errors: InputError for a config that is neither known nor translated whole.
    """
    return hf_olmo.llama_config(config, source) if _is_olmo(config) else config


def check_tensors(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo], source: str) -> None:
    """Errors: InputError for tensors that stand for others, for an adapter that was not merged, and for a translated
    checkpoint whose tensors are not exactly those of its config. config: that of the file."""
    renamings(tensors, source)
    if empty := sorted(name for name, tensor in tensors.items() if not tensor.size and name.endswith("weight")):
        raise InputError(
            f"{source} has placeholders of DeepSpeed ZeRO-3 in the place of weights, {short(empty[0])} among them; "
            f"expected whole tensors: run `python {source}/zero_to_fp32.py {source} {source} --safe_serialization`."
        )
    if _is_olmo(config):
        hf_olmo.check_tensors(config, tensors, source)


def _is_olmo(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == hf_olmo.KIND

"""Safetensors weights: one file or shards with an index, beside a config and a tokenizer."""

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from softh.checkpoints.config import Shape, check_architecture, read_shape
from softh.checkpoints.files import CheckpointFiles, read_settings
from softh.checkpoints.safetensors_header import TensorInfo, header_length, merge_shards, parse_safetensors
from softh.checkpoints.weights import WeightsFormat, WeightsHeader

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
        method = (config.get("quantization_config") or {}).get("quant_method")
        self.label = f"safetensors quantised by {method}" if method else "safetensors"
        numbers: Counter[str] = Counter()
        for tensor in tensors.values():
            numbers[tensor.dtype] += tensor.size
        self.parameters = numbers.total()
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
        check_architecture(config, files.source)
        shards = [name for name in names if name != INDEX]

        def read(name: str) -> dict[str, TensorInfo]:
            start = files.head(name, min(_FIRST_BYTES, files.sizes[name]))
            if header_length(start) > len(start):
                start = files.head(name, header_length(start))
            return parse_safetensors(io.BytesIO(start), files.sizes[name], name)

        with ThreadPoolExecutor(8) as pool:  # one request each on the hub
            tensors = dict(zip(shards, pool.map(read, shards), strict=True))
        index = read_settings(files, INDEX) if INDEX in names else None
        size = sum(files.sizes[name] for name in shards)
        return SafetensorsHeader(config, merge_shards(tensors, index, files.source), size, files.source)

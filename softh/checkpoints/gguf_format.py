"""GGUF weights: one file that holds weights, config and tokenizer, quantised more often than not."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softh.checkpoints.config import Shape
from softh.checkpoints.files import CheckpointFiles, LocalFiles
from softh.checkpoints.safetensors_header import short_names
from softh.checkpoints.weights import WeightsFormat, WeightsHeader
from softh.errors import InputError, missing_extra

if TYPE_CHECKING:
    from softh.checkpoints.gguf_header import GgufHeader

_SHARD = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
_HEADS = (1 << 22, 1 << 25, 1 << 27)
"""Bytes of a file that are read, one after another until its header is complete: the vocabulary is part of it."""


class GgufWeightsHeader(WeightsHeader):
    """The header of a GGUF file."""

    def __init__(self, header: "GgufHeader", size: int) -> None:
        self._header = header
        self.label = f"dequantised GGUF {header.quantisation}" if header.quantised else f"GGUF {header.quantisation}"
        self.variant = f"dequantised {header.quantisation}" if header.quantised else self.label
        self.parameters, self.dtype, self.bytes = header.parameters, header.quantisation, size

    def shape(self) -> Shape:
        """Architecture and sizes; 1 for a size that the file leaves out."""
        header = self._header
        return Shape(
            model_type=header.architecture,
            architecture=header.architecture,
            causal=True,
            layers=header.layers or 1,
            width=header.width or 1,
            vocabulary=header.vocabulary or 1,
            longest_context=header.longest_context,
        )


class Gguf(WeightsFormat):
    """A file of llama.cpp."""

    name = "GGUF"
    suffix = ".gguf"
    self_contained = True
    always_causal = True  # only decoders are converted to GGUF for transformers

    def select(self, names: set[str], source: str) -> tuple[str, ...]:
        """The one file there is. Errors: InputError when there are several, or when it is split."""
        files = sorted(name for name in names if name.endswith(self.suffix))
        counts = [match[1] for name in files if (match := _SHARD.search(name))]
        if files and len(counts) == len(files) and len({_SHARD.sub("", name) for name in files}) == 1:
            raise _split(source, int(counts[0]), files[0])
        if len(files) > 1:
            raise InputError(
                f"{source} holds {len(files)} GGUF files ({short_names(files)}); expected one: name the file, or of a "
                "repository of the hub owner/name:QUANTISATION."
            )
        return tuple(files)

    def read_header(self, files: CheckpointFiles, names: Sequence[str]) -> GgufWeightsHeader:
        """Metadata and extents of the tensors. Errors: InputError, also where the package gguf is not installed."""
        header, size = _header(files, names), files.sizes[names[0]]
        if header.splits > 1:
            raise _split(files.source, header.splits, names[0])
        from softh.checkpoints import gguf_settings

        gguf_settings.check(header, files.source)
        return GgufWeightsHeader(header, size)

    def load_arguments(self, names: Sequence[str]) -> dict[str, Any]:
        """The file, from which transformers makes config, tokenizer and weights."""
        return {"gguf_file": names[0]}

    def adapt(self, config: Any, folder: Path, names: Sequence[str]) -> str:
        """Set what llama.cpp reads of the header and transformers does not: RoPE scaling, query scale, softcaps …"""
        from softh.checkpoints import gguf_settings

        header = _header(LocalFiles(folder, names[0]), names)
        settings = gguf_settings.settings(header, folder / names[0])
        settings.apply(config)
        return repr(settings) if any(settings) else ""

    def check_loaded(self, parameters: int, files: CheckpointFiles, names: Sequence[str]) -> None:
        """Refuse a file of which transformers left tensors out, which it does without a word."""
        from softh.checkpoints import gguf_settings

        left_out = gguf_settings.used_parameters(_header(files, names)) - parameters
        if left_out > 0:
            raise InputError(
                f"{files.source} holds {left_out:,} numbers that transformers leaves out when it loads the file; "
                "expected a model whose every tensor is read: name the safetensors it was converted from."
            )


def _header(files: CheckpointFiles, names: Sequence[str]) -> "GgufHeader":
    """The header of the only file. Errors: InputError, also where the package gguf is not installed."""
    try:
        from softh.checkpoints.gguf_header import parse_gguf
    except ModuleNotFoundError:
        raise missing_extra(f"The GGUF file of {files.source}", "gguf", "gguf") from None
    (name,) = names
    size = files.sizes[name]
    for count in _HEADS:
        if header := parse_gguf(files.head(name, count), size, name):
            return header
        if count >= size:
            raise InputError(f"{name} is truncated or damaged; expected a complete GGUF file: download it again.")
    raise InputError(
        f"{name} of {files.source} has a head of more than {_HEADS[-1]:,} bytes or is damaged; expected a complete "
        "GGUF file: choose another one."
    )


def _split(source: str, count: int, first: str) -> InputError:
    whole = _SHARD.sub(".gguf", first)
    return InputError(
        f"{source} is split into {count} GGUF files, which transformers does not read; expected one file: merge them "
        f"with `llama-gguf-split --merge {_SHARD.sub(f'-00001-of-{count:05}.gguf', first)} {whole}`."
    )

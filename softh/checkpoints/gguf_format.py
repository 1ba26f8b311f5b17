"""GGUF weights: one file that holds weights, config and tokenizer, quantised more often than not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from softh.checkpoints.config import Shape
from softh.checkpoints.files import CheckpointFiles
from softh.checkpoints.safetensors_header import short_names
from softh.checkpoints.weights import WeightsFormat, WeightsHeader
from softh.errors import InputError, missing_extra

if TYPE_CHECKING:
    from softh.checkpoints.gguf_header import GgufHeader

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
        """The one file there is. Errors: InputError when there are several."""
        files = sorted(name for name in names if name.endswith(self.suffix))
        if len(files) > 1:
            raise InputError(
                f"{source} holds {len(files)} GGUF files ({short_names(files)}); expected one: name the file."
            )
        return tuple(files)

    def read_header(self, files: CheckpointFiles, names: Sequence[str]) -> GgufWeightsHeader:
        """Metadata and extents of the tensors. Errors: InputError, also where the package gguf is not installed."""
        try:
            from softh.checkpoints.gguf_header import parse_gguf
        except ModuleNotFoundError:
            raise missing_extra(f"The GGUF file of {files.source}", "gguf", "gguf") from None
        (name,) = names
        size = files.sizes[name]
        for count in _HEADS:
            if header := parse_gguf(files.head(name, count), size, name):
                return GgufWeightsHeader(header, size)
            if count >= size:
                raise InputError(f"{name} is truncated or damaged; expected a complete GGUF file: download it again.")
        raise InputError(
            f"{name} of {files.source} has a head of more than {_HEADS[-1]:,} bytes or is damaged; expected a complete "
            "GGUF file: choose another one."
        )

    def load_arguments(self, names: Sequence[str]) -> dict[str, Any]:
        """The file, from which transformers makes config, tokenizer and weights."""
        return {"gguf_file": names[0]}

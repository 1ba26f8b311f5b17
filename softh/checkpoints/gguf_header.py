"""The header of a GGUF file: metadata and extents of tensors, checked before any library opens the file."""

import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, LlamaFileType

from softh.errors import HeaderError, InputError

_LONGEST_ARRAY = 1_000
"""Numbers of an array that are kept: as many as a model has layers. Longer ones belong to the tokenizer."""
_UNQUANTISED = {"F64", "F32", "F16", "BF16"}
_SCALARS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}


class _ShortError(Exception):
    """The bytes end within the header."""


class Array(int):
    """Length of an array, and its values where they are numbers."""

    values: tuple[Any, ...] = ()


class GgufTensor(NamedTuple):
    """A tensor as the header describes it."""

    type: str
    """Its number format or quantisation: ``F32``, ``Q4_K`` …"""
    elements: int
    start: int
    """First byte, counted from the start of the data."""
    stop: int
    """Byte after the last."""


@dataclass(frozen=True)
class GgufHeader:
    """The metadata of a GGUF file."""

    quantisation: str
    """Name of the file type, e.g. ``Q4_1``."""
    quantised: bool
    """True when any tensor holds quantised blocks."""
    architecture: str
    """Name in GGUF, such as ``llama``; empty when the file does not give it."""
    layers: int | None
    width: int | None
    vocabulary: int | None
    """Tokens of the tokenizer inside."""
    longest_context: int | None
    parameters: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Every key of the architecture, without its name: ``rope.scaling.type`` …"""
    tensors: Mapping[str, GgufTensor] = field(default_factory=dict)
    begin: int = 0
    """First byte of the data."""
    type: str = "model"
    """``model``, ``adapter`` or ``mmproj``."""
    size_label: str = ""
    """As the converter took it from the model's name: ``27B``."""
    splits: int = 1
    """Files that the model is split into."""

    @property
    def head_width(self) -> int | None:
        """Dimensions of an attention head."""
        heads = self.settings.get("attention.head_count")
        stated = self.settings.get("attention.key_length")
        if isinstance(stated, int) and not isinstance(stated, Array):
            return stated
        return self.width // heads if self.width and isinstance(heads, int) and heads else None

    def has_tensor(self, ending: str) -> bool:
        """Whether any layer has a tensor of this name."""
        return any(name.endswith(f".{ending}") for name in self.tensors)


def parse_gguf(data: bytes, size: int, name: str) -> GgufHeader | None:
    """Metadata and tensors of a GGUF file from its first bytes; None when these end within the header.

    Arrays are stepped over, so that a vocabulary of 100,000 tokens takes milliseconds. size: bytes of the whole file.
    Errors: InputError for a file that is truncated, damaged or not GGUF of version 2 or 3.
    """
    try:
        return _gguf_header(_Cursor(data), size)
    except (_ShortError, struct.error):
        return None
    except (HeaderError, ValueError, OverflowError) as error:
        raise _refusal(name, str(error) if isinstance(error, HeaderError) else "is truncated or damaged") from None


def _refusal(name: str, reason: str) -> InputError:
    return InputError(f"{name} {reason}; expected a complete GGUF file: download it again.")


class _Cursor:
    """Reads little-endian values from a GGUF file, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def skip(self, count: int) -> int:
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise _ShortError
        return start

    def text(self) -> str:
        start = self.skip(self.scalar("Q"))
        return self.data[start : self.at].decode(errors="replace")

    def value(self) -> Any:
        """The next typed value; of an array of texts only its length."""
        kind = GGUFValueType(self.scalar("I"))
        if kind == GGUFValueType.STRING:
            return self.text()
        if kind == GGUFValueType.ARRAY:
            return self._array()
        return self.scalar(_SCALARS[kind])

    def _array(self) -> Array:
        kind, count = GGUFValueType(self.scalar("I")), self.scalar("Q")
        if kind in _SCALARS:
            start = self.skip(count * struct.calcsize("<" + _SCALARS[kind]))
            array = Array(count)
            if count <= _LONGEST_ARRAY:
                array.values = struct.unpack_from(f"<{count}{_SCALARS[kind]}", self.data, start)
            return array
        if kind != GGUFValueType.STRING:
            raise HeaderError("holds nested arrays")
        for _ in range(count):
            self.skip(self.scalar("Q"))
        return Array(count)


def _gguf_header(cursor: _Cursor, size: int) -> GgufHeader:
    if cursor.data[:4] != b"GGUF":
        raise HeaderError("does not start with the letters GGUF")
    cursor.skip(4)
    if (version := cursor.scalar("I")) not in (2, 3):
        raise HeaderError(f"is GGUF version {version}, and 2 and 3 are known")
    tensors, pairs = cursor.scalar("Q"), cursor.scalar("Q")
    metadata = {cursor.text(): cursor.value() for _ in range(pairs)}
    listed = dict(_gguf_tensor(cursor) for _ in range(tensors))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise HeaderError("has an alignment that is no number")
    begin = -(-cursor.at // alignment) * alignment
    if any(begin + tensor.stop > size for tensor in listed.values()):
        raise HeaderError("is truncated")
    types = Counter(tensor.type for tensor in listed.values())
    kind = str(metadata.get("general.architecture", ""))
    return GgufHeader(
        quantisation=_file_type(metadata.get("general.file_type"), types),
        quantised=bool(set(types) - _UNQUANTISED),
        architecture=kind,
        layers=_whole(metadata.get(f"{kind}.block_count")),
        width=_whole(metadata.get(f"{kind}.embedding_length")),
        vocabulary=_whole(metadata.get("tokenizer.ggml.tokens")),
        longest_context=_whole(metadata.get(f"{kind}.context_length")),
        parameters=sum(tensor.elements for tensor in listed.values()),
        settings={key.removeprefix(f"{kind}."): value for key, value in metadata.items() if key.startswith(f"{kind}.")},
        tensors=listed,
        begin=begin,
        type=str(metadata.get("general.type", "model")),
        size_label=str(metadata.get("general.size_label", "")),
        splits=_whole(metadata.get("split.count")) or 1,
    )


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None


def _gguf_tensor(cursor: _Cursor) -> tuple[str, GgufTensor]:
    """Name of a tensor, and what it is."""
    name = cursor.text()
    if (dimensions := cursor.scalar("I")) > 8:
        raise HeaderError(f"has a tensor of {dimensions} dimensions")
    elements = math.prod(cursor.scalar("Q") for _ in range(dimensions))
    kind = GGMLQuantizationType(cursor.scalar("I"))
    block, width = GGML_QUANT_SIZES[kind]
    start = cursor.scalar("Q")
    return name, GgufTensor(kind.name, elements, start, start + elements // block * width)


def _file_type(number: Any, types: Counter[str]) -> str:
    if number in set(LlamaFileType):
        return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    # Norms and biases stay in float, so the commonest type names a quantised file only among the others.
    ranked = Counter({kind: n for kind, n in types.items() if kind not in _UNQUANTISED}) or types
    return ranked.most_common(1)[0][0] if ranked else "unknown"

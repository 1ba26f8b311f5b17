"""The header of a GGUF file: metadata and extents of tensors, checked before any library opens the file."""

import math
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, LlamaFileType

from softh.errors import HeaderError, InputError

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


class _Array(int):
    """Length of an array that was skipped."""


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
        """The next typed value; an array is skipped and gives its length."""
        kind = GGUFValueType(self.scalar("I"))
        if kind == GGUFValueType.STRING:
            return self.text()
        if kind == GGUFValueType.ARRAY:
            return self._skip_array()
        return self.scalar(_SCALARS[kind])

    def _skip_array(self) -> _Array:
        kind, count = GGUFValueType(self.scalar("I")), self.scalar("Q")
        if kind in _SCALARS:
            self.skip(count * struct.calcsize("<" + _SCALARS[kind]))
            return _Array(count)
        if kind != GGUFValueType.STRING:
            raise HeaderError("holds nested arrays")
        for _ in range(count):
            self.skip(self.scalar("Q"))
        return _Array(count)


def _gguf_header(cursor: _Cursor, size: int) -> GgufHeader:
    if cursor.data[:4] != b"GGUF":
        raise HeaderError("does not start with the letters GGUF")
    cursor.skip(4)
    if (version := cursor.scalar("I")) not in (2, 3):
        raise HeaderError(f"is GGUF version {version}, and 2 and 3 are known")
    tensors, pairs = cursor.scalar("Q"), cursor.scalar("Q")
    metadata = {cursor.text(): cursor.value() for _ in range(pairs)}
    extents = [_gguf_tensor(cursor) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise HeaderError("has an alignment that is no number")
    begin = -(-cursor.at // alignment) * alignment
    if any(begin + stop > size for _, _, stop in extents):
        raise HeaderError("is truncated")
    types = Counter(kind for kind, _, _ in extents)
    kind = str(metadata.get("general.architecture", ""))
    return GgufHeader(
        quantisation=_file_type(metadata.get("general.file_type"), types),
        quantised=bool(set(types) - _UNQUANTISED),
        architecture=kind,
        layers=_whole(metadata.get(f"{kind}.block_count")),
        width=_whole(metadata.get(f"{kind}.embedding_length")),
        vocabulary=_whole(metadata.get("tokenizer.ggml.tokens")),
        longest_context=_whole(metadata.get(f"{kind}.context_length")),
        parameters=sum(elements for _, elements, _ in extents),
    )


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int) else None


def _gguf_tensor(cursor: _Cursor) -> tuple[str, int, int]:
    """Type name of a tensor, its numbers, and the byte after its last, counted from the start of the data."""
    cursor.text()
    if (dimensions := cursor.scalar("I")) > 8:
        raise HeaderError(f"has a tensor of {dimensions} dimensions")
    elements = math.prod(cursor.scalar("Q") for _ in range(dimensions))
    kind = GGMLQuantizationType(cursor.scalar("I"))
    block, width = GGML_QUANT_SIZES[kind]
    return kind.name, elements, cursor.scalar("Q") + elements // block * width


def _file_type(number: Any, types: Counter[str]) -> str:
    if number in set(LlamaFileType):
        return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    # Norms and biases stay in float, so the commonest type names a quantised file only among the others.
    ranked = Counter({kind: n for kind, n in types.items() if kind not in _UNQUANTISED}) or types
    return ranked.most_common(1)[0][0] if ranked else "unknown"

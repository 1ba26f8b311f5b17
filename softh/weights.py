"""Weight files, checked from their headers before any library opens them."""

import json
import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, LlamaFileType

from softh.errors import InputError

LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format itself

_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
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


class _BrokenError(ValueError):
    """What is wrong with a file, as the middle of a sentence."""


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says about itself."""

    quantisation: str
    """Name of the file type, e.g. ``Q4_1``."""
    quantised: bool
    """True when any tensor holds quantised blocks."""


def check_safetensors(path: Path) -> None:
    """Refuse a safetensors file whose header and size do not describe each other exactly.

    Errors: InputError for a truncated file, a header that is too long or no JSON, tensors that
    overlap, leave holes or end outside the file.
    """
    try:
        with path.open("rb") as file:
            _check_layout(*_header(file, path.stat().st_size))
    except _BrokenError as broken:
        raise InputError(
            f"{path.name} {broken}; expected a complete safetensors file: download or save it again."
        ) from None


def read_gguf(path: Path) -> GgufHeader:
    """Metadata of a GGUF file, read in milliseconds because arrays are stepped over.

    Errors: InputError when the file is truncated or is no GGUF of version 2 or 3.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _gguf_header(_Cursor(data))
    except (_BrokenError, struct.error, ValueError, OverflowError) as error:
        reason = error if isinstance(error, _BrokenError) else "is truncated or damaged"
        raise InputError(f"{path.name} {reason}; expected a complete GGUF file: download it again.") from None


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Tensors that the header lists, and bytes that follow it."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(LONGEST_HEADER, size - 8):
        raise _BrokenError(f"has {size:,} bytes, and announces a header of {length:,}")
    try:
        header = json.loads(file.read(length).decode())
    except (ValueError, RecursionError):
        raise _BrokenError("has a header that is no JSON") from None
    if not isinstance(header, dict):
        raise _BrokenError("has a header that is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _BrokenError("has metadata that is not text")
    return header, size - 8 - length


def _check_layout(header: dict[str, Any], available: int) -> None:
    end = 0
    for start, stop, name in sorted(_extent(name, entry) for name, entry in header.items()):
        if start != end:
            raise _BrokenError(f"has tensor {name!r} at byte {start:,} where {end:,} was due")
        end = stop
    if end != available:
        raise _BrokenError(f"holds {available:,} bytes of tensors where its header announces {end:,}")


def _extent(name: str, entry: Any) -> tuple[int, int, str]:
    """First byte, byte after the last, and name of one tensor of a header."""
    entry = entry if isinstance(entry, dict) else {}
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _BrokenError(f"has tensor {name!r} of unknown type {dtype!r}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise _BrokenError(f"has tensor {name!r} without a proper shape and place")
    start, stop = offsets
    if (stop - start) * 8 != math.prod(shape) * _BITS[dtype]:
        raise _BrokenError(f"has tensor {name!r} whose shape does not fill its bytes")
    return start, stop, name


def _naturals(value: Any) -> bool:
    # Bounded so that a product of lying shapes stays cheap.
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and 0 <= n < 2**63 for n in value)


class _Cursor:
    """Reads little-endian values from a mapped GGUF file, one after another."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def skip(self, count: int) -> int:
        start, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise _BrokenError("is truncated")
        return start

    def text(self) -> str:
        start = self.skip(self.scalar("Q"))
        return self.data[start : self.at].decode(errors="replace")

    def value(self) -> Any:
        """The next typed value; an array is stepped over and gives None."""
        kind = GGUFValueType(self.scalar("I"))
        if kind == GGUFValueType.STRING:
            return self.text()
        if kind == GGUFValueType.ARRAY:
            return self._skip_array()
        return self.scalar(_SCALARS[kind])

    def _skip_array(self) -> None:
        kind, count = GGUFValueType(self.scalar("I")), self.scalar("Q")
        if kind in _SCALARS:
            self.skip(count * struct.calcsize("<" + _SCALARS[kind]))
            return
        if kind != GGUFValueType.STRING:
            raise _BrokenError("holds nested arrays")
        for _ in range(count):
            self.skip(self.scalar("Q"))


def _gguf_header(cursor: _Cursor) -> GgufHeader:
    if cursor.data[:4] != b"GGUF":
        raise _BrokenError("does not start with the letters GGUF")
    cursor.skip(4)
    if (version := cursor.scalar("I")) not in (2, 3):
        raise _BrokenError(f"is GGUF version {version}, and 2 and 3 are known")
    tensors, pairs = cursor.scalar("Q"), cursor.scalar("Q")
    metadata = {cursor.text(): cursor.value() for _ in range(pairs)}
    extents = [_gguf_tensor(cursor) for _ in range(tensors)]
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1:
        raise _BrokenError("has an alignment that is no number")
    begin = -(-cursor.at // alignment) * alignment
    if any(begin + stop > len(cursor.data) for _, stop in extents):
        raise _BrokenError("is truncated")
    types = Counter(kind for kind, _ in extents)
    return GgufHeader(
        quantisation=_file_type(metadata.get("general.file_type"), types),
        quantised=bool(set(types) - _UNQUANTISED),
    )


def _gguf_tensor(cursor: _Cursor) -> tuple[str, int]:
    """Type name of a tensor and the byte after its last, counted from the start of the data."""
    cursor.text()
    if (dimensions := cursor.scalar("I")) > 8:
        raise _BrokenError(f"has a tensor of {dimensions} dimensions")
    elements = math.prod(cursor.scalar("Q") for _ in range(dimensions))
    kind = GGMLQuantizationType(cursor.scalar("I"))
    block, width = GGML_QUANT_SIZES[kind]
    return kind.name, cursor.scalar("Q") + elements // block * width


def _file_type(number: Any, types: Counter[str]) -> str:
    if number in set(LlamaFileType):
        return LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    # Norms and biases stay in float, so the commonest type names a quantised file only among the others.
    ranked = Counter({kind: n for kind, n in types.items() if kind not in _UNQUANTISED}) or types
    return ranked.most_common(1)[0][0] if ranked else "unknown"

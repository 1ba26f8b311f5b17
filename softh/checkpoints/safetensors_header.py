"""The header of a safetensors file: tensors by name, checked before any library opens the file."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from softh.checkpoints.files import check_content
from softh.errors import HeaderError, InputError
from softh.format import and_more

LONGEST_HEADER = 8_000_000
"""Bytes of a header: 60,000 tensors. The format allows 100 MB, which would be a gigabyte once parsed."""
_CHUNK = 1 << 22
"""Bytes read at once when values are looked at."""

_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
# A floating-point number whose exponent bits are all set is infinite or not a number.
_EXPONENTS = {
    "F64": (np.dtype("<u8"), 0x7FF0_0000_0000_0000),
    "F32": (np.dtype("<u4"), 0x7F80_0000),
    "F16": (np.dtype("<u2"), 0x7C00),
    "BF16": (np.dtype("<u2"), 0x7F80),
}
FLOATS = frozenset(_EXPONENTS)
"""Number formats that models are trained in and torch computes in."""
_ARCHIVES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")


class TensorInfo(NamedTuple):
    """A tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """First byte, counted from the end of the header."""
    stop: int
    """Byte after the last."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_safetensors(path: Path) -> dict[str, TensorInfo]:
    """The tensors of a file by name, from its header alone.

    Errors: InputError for a truncated file, a header that is too long or not JSON, a name given twice, and tensors that
    overlap, leave holes or end outside the file.
    """
    with path.open("rb") as file:
        return parse_safetensors(file, path.stat().st_size, path.name)


def parse_safetensors(file: BinaryIO, size: int, name: str) -> dict[str, TensorInfo]:
    """The same from the first bytes of a file, 8 and its header. size: bytes of the whole file."""
    try:
        header, available = _header(file, size, name)
        tensors = {tensor: _tensor(tensor, entry) for tensor, entry in header.items()}
        _check_layout(tensors, available)
    except HeaderError as broken:
        raise InputError(f"{name} {broken}; expected a complete safetensors file: download or save it again.") from None
    return tensors


def header_length(head: bytes) -> int:
    """Bytes from the start of a file to the end of its header, from its first 8 bytes; bounded by LONGEST_HEADER."""
    return 8 + min(int.from_bytes(head[:8], "little"), LONGEST_HEADER)


def merge_shards(
    files: Mapping[str, Mapping[str, TensorInfo]], index: Mapping[str, Any] | None, source: str
) -> dict[str, TensorInfo]:
    """All tensors of a model by name.

    files: file name → its tensors; index: the content of the index file, if there is one.
    Errors: InputError for a tensor in two files, and for one that the index lists and its file lacks.
    """
    tensors: dict[str, TensorInfo] = {}
    for name, content in files.items():
        if duplicate := sorted(set(tensors) & set(content)):
            raise InputError(f"{source} has tensor {short(duplicate[0])} in two files, {name} one of them; expected it "
                             "once: save the model again.")  # fmt: skip
        tensors.update(content)
    file_of = (index or {}).get("weight_map", {})
    if not isinstance(file_of, dict) or not all(isinstance(file, str) for file in file_of.values()):
        raise InputError(f"The index of {source} says nowhere which file holds a tensor; expected a weight_map: save "
                         "the model again.")  # fmt: skip
    if missing := sorted(set(file_of.values()) - set(files)):
        raise InputError(
            f"{source} lacks {short_names(missing)}, which its index names; expected every shard: add them."
        )
    for tensor, file in file_of.items():
        if tensor not in files[file]:
            raise InputError(f"{file} lacks tensor {short(tensor)}, which the index of {source} promises; expected "
                             "shards and index of one model: save it again.")  # fmt: skip
    return tensors


def check_finite(path: Path, tensors: Mapping[str, TensorInfo]) -> None:
    """Read every floating-point number of a file, in chunks. Errors: InputError when one is infinite or NaN."""
    with path.open("rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        for name, tensor in tensors.items():
            if tensor.dtype in FLOATS and not _finite(file, begin, tensor):
                raise InputError(
                    f"{path.name} has infinite values or NaN in tensor {short(name)}; "
                    "expected finite weights: take a checkpoint from before the training diverged."
                )


def short_names(names: Iterable[str]) -> str:
    """Up to three foreign names, each as :func:`short` without quotes, and how many more there are."""
    return and_more([short(name).strip("'\"") for name in names], 3)


def short(name: Any) -> str:
    """A foreign name as a sentence may repeat it: quoted, ASCII, one line, at most 80 characters."""
    text = ascii(name)
    return text if len(text) <= 80 else text[:79] + "…"


def _finite(file: BinaryIO, begin: int, tensor: TensorInfo) -> bool:
    kind, exponent = _EXPONENTS[tensor.dtype]
    file.seek(begin + tensor.start)
    for start in range(tensor.start, tensor.stop, _CHUNK):
        bits: np.ndarray[Any, Any] = np.frombuffer(file.read(min(_CHUNK, tensor.stop - start)), dtype=kind)
        if (np.bitwise_and(bits, exponent) == exponent).any():
            return False
    return True


def _header(file: BinaryIO, size: int, name: str) -> tuple[dict[str, Any], int]:
    """Tensors that the header lists, and bytes that follow it."""
    first = file.read(8)
    if size and first.isascii():  # a length has zeros, a text that stands for the file has none
        check_content(first + file.read(56), name)
        file.seek(8)
    length = int.from_bytes(first, "little")
    if size < 8 or length > size - 8:
        if first.startswith(_ARCHIVES):
            raise HeaderError("is a pickle under another name, which can run code")
        raise HeaderError(f"has {size:,} bytes, and announces a header of {length:,}")
    if length > LONGEST_HEADER:
        raise HeaderError(f"announces a header of {length:,} bytes, and {LONGEST_HEADER:,} are enough for any model")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, HeaderError) else "has a header that is not JSON"
        raise HeaderError(str(reason)) from None
    if not isinstance(header, dict):
        raise HeaderError("has a header that is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError("has metadata that is not text")
    return header, size - 8 - length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise HeaderError("has a header that gives a name twice")
    return content


def _check_layout(tensors: Mapping[str, TensorInfo], available: int) -> None:
    end = 0
    for start, stop, name in sorted((tensor.start, tensor.stop, name) for name, tensor in tensors.items()):
        if start != end:
            raise HeaderError(f"has tensor {short(name)} at byte {start:,} where {end:,} was due")
        end = stop
    if end != available:
        raise HeaderError(f"holds {available:,} bytes of tensors where its header announces {end:,}")


def _tensor(name: str, entry: Any) -> TensorInfo:
    entry = entry if isinstance(entry, dict) else {}
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise HeaderError(f"has tensor {short(name)} of unknown type {short(dtype)}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise HeaderError(f"has tensor {short(name)} without a proper shape and place")
    start, stop = offsets
    if (stop - start) * 8 != math.prod(shape) * _BITS[dtype]:
        raise HeaderError(f"has tensor {short(name)} whose shape does not fill its bytes")
    return TensorInfo(dtype, tuple(shape), start, stop)


def _naturals(value: Any) -> bool:
    # Bounded so that a product of lying shapes stays cheap.
    return isinstance(value, list) and len(value) <= 64 and all(type(n) is int and 0 <= n < 2**63 for n in value)

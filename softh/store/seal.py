"""A checksum of a whole Parquet file inside it: one changed bit anywhere, the footer included, is noticed."""

import io
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = "softh.sha256"
_EMPTY = "0" * 64
_MARK = _KEY.encode() + b"\x18\x40"
"""The bytes of the key in the footer, before a text of 64 letters (0x18 and 0x40 in Thrift's compact protocol)."""


def encode(table: pa.Table) -> bytes:
    """A table as Parquet with a checksum on every page and one of the whole file, over which its own letters are 0."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_KEY: _EMPTY})
    content = buffer.getvalue()
    start = _start(content)
    assert content[start : start + len(_EMPTY)] == _EMPTY.encode()
    return _with(content, start, sha256(content).hexdigest())


def is_intact(content: bytes) -> bool:
    """Whether the checksum is right; True for a file without one, as earlier releases wrote them."""
    start = _start(content)
    if start < 0:
        return True
    checksum = content[start : start + len(_EMPTY)]
    return sha256(_with(content, start, _EMPTY)).hexdigest().encode() == checksum


def _start(content: bytes) -> int:
    """Where the checksum begins; −1 where there is none."""
    found = content.rfind(_MARK)
    return found if found < 0 else found + len(_MARK)


def _with(content: bytes, start: int, checksum: str) -> bytes:
    return content[:start] + checksum.encode() + content[start + len(checksum) :]

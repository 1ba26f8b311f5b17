"""Arrays of other libraries: hidden states as tensors, labels and documents as integers."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from softh.errors import InputError


class Ids(NamedTuple):
    """Integers that stand for labels or documents, the same in every call."""

    values: np.ndarray  # [positions] int64
    kind: str
    """``integers`` or ``strings``."""


def as_tensor(values: Any) -> Tensor:
    """An array of NumPy, torch, JAX or any library with DLPack or ``__array__`` as a tensor, not copied where possible.

    >>> as_tensor(np.ones((2, 3), dtype=np.float32)).dtype
    torch.float32
    """
    if isinstance(values, Tensor):
        return values.detach()
    if hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray):
        try:
            return torch.from_dlpack(values)
        except (RuntimeError, BufferError, TypeError):
            pass  # a device or number format that only the array's own library reads
    array = np.asarray(values)
    if array.dtype.name == "bfloat16":  # of ml_dtypes, which NumPy itself does not know
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    if array.dtype.kind not in "fiub":
        raise InputError(f"An array was of type {array.dtype}; expected numbers: convert it first.")
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_values(values: Any, positions: int, name: str) -> np.ndarray:
    """Labels or documents [positions] as they were given, integers or strings.

    Raises:
        InputError: for another number of them, and for fractions or objects.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.shape != (positions,):
        raise InputError(
            f"{name} has shape {array.shape} and hidden {positions:,} rows; expected one of {name} for each row: "
            "pass arrays of one length."
        )
    if array.dtype.kind == "f" or (array.dtype.kind == "O" and not all(isinstance(x, str | int) for x in array)):
        raise InputError(f"{name} are of type {array.dtype}; expected integers or strings: convert them first.")
    return array


def as_ids(values: Any, positions: int, name: str) -> Ids:
    """The same as integers that do not depend on the other values: strings by 64 bits of a hash.

    >>> as_ids(["a", "b", "a"], 3, "labels").values.tolist()[0] == as_ids(["a"], 1, "labels").values.tolist()[0]
    True
    """
    array = as_values(values, positions, name)
    if array.dtype.kind in "iub":
        return Ids(array.astype(np.int64), "integers")
    distinct, inverse = np.unique(array.astype(str), return_inverse=True)
    hashes = [hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest() for text in distinct]
    numbers = np.frombuffer(b"".join(hashes), dtype="<i8") if hashes else np.zeros(0, dtype=np.int64)
    return Ids(numbers.astype(np.int64)[inverse.reshape(-1)], "strings")

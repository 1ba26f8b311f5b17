"""Predicted memory and seconds of an estimate, from the sizes of its model."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from softh.cost.hardware import Machine
from softh.spec import EstimateSpec

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LIBRARIES = 900 * 2**20
"""Bytes of a process that has imported torch and transformers."""
_ASSIGNED = 2 << 30
"""Bytes of assignments that the estimator holds at once in main memory, at most, unless one draw has more."""
_GPU_TABLES = 4 << 30
"""The least with which a GPU counts without reading the states many times; it takes more where there is more."""
_BATCH = 4096
"""Tokens of a forward pass."""
_LOADING = 1.1
"""Weights in memory while they are read, over weights."""
_COUNTING = 1000
"""Multiplications in the time of one addition to a table, which is bound by memory."""
_STARTING = 20.0
"""Seconds to import the libraries and load a small model."""
_READING = 5e8
"""Bytes of weights read a second."""
_GPU_FLOPS = 2e13
"""Assumed speed of a GPU without stored estimates."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model that determine the cost of its estimate."""

    parameters: int
    layers: int
    width: int
    vocabulary: int


@dataclass(frozen=True)
class Cost:
    """Predicted memory and seconds of an estimate."""

    device: str
    """``cpu`` or the name of the GPU."""
    device_memory: int
    """Bytes on the GPU; 0 on a CPU."""
    memory: int
    """Bytes of main memory."""
    seconds: float
    basis: str
    """What the seconds are based on, the end of a sentence."""


def predict_cost(spec: EstimateSpec, sizes: Sizes, machine: Machine, history: Iterable[Mapping[str, Any]] = ()) -> Cost:
    """Predicted memory and seconds of an estimate on a machine.

    history: rows of stored estimates that ran on this machine, with the columns `parameters`, `layers`, `width`,
    `documents`, `context`, `bins`, `draws`, `spec`, `seconds`, `device`; the prediction is scaled to their seconds.
    """
    on_gpu = bool(machine.gpus)
    weights = int(sizes.parameters * BYTES[dtype_of(spec, on_gpu=on_gpu)] * _LOADING)
    block = _block(sizes)
    one_draw = spec.documents * spec.context * (spec.bins + 1) * 4
    assigned = max(one_draw, min(_ASSIGNED, one_draw * spec.draws))
    rate, basis = (_GPU_FLOPS, "an assumed 20 TFLOP/s of a GPU that has run nothing here yet") if on_gpu else (
        machine.flops,
        f"{machine.flops / 1e9:,.0f} GFLOP/s, measured on this machine",
    )  # fmt: skip
    seconds = _seconds(spec, sizes, rate)
    scales = [scale for row in history if (scale := _scale(row, rate, on_gpu=on_gpu)) is not None]
    if scales:
        seconds *= median(scales)
        basis = f"the seconds of {len(scales)} stored estimates" if len(scales) > 1 else "the seconds of one estimate"
    return Cost(
        device=machine.gpus[0].name if on_gpu else "cpu",
        device_memory=weights + block + _GPU_TABLES if on_gpu else 0,
        memory=_LIBRARIES + (max(weights // 4, 2**30) if on_gpu else weights + block + assigned),
        seconds=seconds,
        basis=basis,
    )


def gpus_needed(sizes: Sizes, itemsize: int, memory: Sequence[int]) -> int:
    """GPUs that one estimate needs: one where it fits, else the fewest that hold equal shares of the weights.

    itemsize: bytes of a weight as it runs. memory: bytes of each GPU. All of them where even that is too little.
    """
    if not memory:
        return 1
    weights, beside = sizes.parameters * itemsize * _LOADING, _block(sizes) + _GPU_TABLES
    enough = (count for count in range(1, len(memory)) if weights / count + beside <= min(memory))
    return next(enough, len(memory))


def _block(sizes: Sizes) -> int:
    """Bytes of a batch's hidden states, and of its logits twice while the loss is taken."""
    return _BATCH * (sizes.width * (sizes.layers + 1) + 2 * sizes.vocabulary) * 4


def dtype_of(spec: EstimateSpec, *, on_gpu: bool) -> str:
    """The number format that an estimate runs in."""
    return ("bfloat16" if on_gpu else "float32") if spec.dtype == "auto" else spec.dtype


def _seconds(spec: EstimateSpec, sizes: Sizes, rate: float) -> float:
    """Start, reading, forward passes, assignments and tables, all documents taken as full."""
    tokens = spec.documents * spec.context
    assigned = tokens * spec.bins * spec.draws * (sizes.layers + 1)
    # Each order counts input and output, and the null of both.
    work = 2 * tokens * sizes.parameters + 2 * assigned * sizes.width + _COUNTING * assigned * 4 * len(spec.orders) / 16
    return _STARTING + 4 * sizes.parameters / _READING + work / rate


def _scale(row: Mapping[str, Any], rate: float, *, on_gpu: bool) -> float | None:
    """Measured over predicted seconds of a stored estimate; None for one of another kind of device."""
    if str(row["device"]).startswith("cuda") != on_gpu or not row["seconds"]:
        return None
    orders = tuple(json.loads(row["spec"])["orders"])
    spec = EstimateSpec(
        model="", orders=orders, documents=int(row["documents"]), context=int(row["context"]), bins=int(row["bins"]),
        draws=int(row["draws"]),
    )  # fmt: skip
    sizes = Sizes(int(row["parameters"]), int(row["layers"]), int(row["width"]), 0)
    return float(row["seconds"]) / _seconds(spec, sizes, rate)

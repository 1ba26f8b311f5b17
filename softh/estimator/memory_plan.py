"""How an estimate reads hidden states so that assignments fit into memory, and what that takes."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from softh.cost.hardware import free_memory
from softh.errors import InputError
from softh.format import duration, format_size

_CACHED = 2 << 30
"""Most bytes of assignments while hidden states come from the disk, which can be read again."""
_COMPUTED = 4 << 30
"""Most bytes of assignments while hidden states are computed: every further reading is a forward pass."""
_SHARE = 0.6
"""Share of the free memory that assignments may take; the rest is for the batches of the model."""
_BATCHES = 16 << 30
"""Bytes of a GPU that are left for the batches of the model and for sums, where that is less than the other share."""
_HALF_FROM = 2**15
"""Positions from which rounding single assignments to half precision leaves their means alone (see docs/method.md)."""
_TRANSFER = 3e9
"""Bytes a second to host memory and back, the locking of its pages included."""


@dataclass(frozen=True)
class Need:
    """Size of an estimate."""

    positions: int
    tokens: int
    layers: int
    draws: int
    bins: int
    width: int
    parameters: int
    gpu: bool
    cached: bool
    """Whether hidden states are read from the disk, a layer at a time."""
    states: int
    """Bytes of all hidden states."""

    def assignment_bytes(self, *, half: bool) -> int:
        """Bytes of the assignments of one layer under one draw, entropies included."""
        columns = -(-self.bins // 8) * 8 if self.gpu else self.bins
        return self.positions * (columns * (2 if half else 4) + 4)


@dataclass(frozen=True)
class Resources:
    """Memory and speed of the resources."""

    device: int  # free bytes of the GPU; 0 without one
    ram: int  # free bytes of host memory
    rate: float  # products and sums of the model's number format a second, measured


@dataclass(frozen=True)
class Plan:
    """How an estimate reads its hidden states, and what that takes."""

    need: Need
    layers: int  # counted in one reading
    draws: int
    half: bool
    """Whether assignments are stored in half precision."""
    spilled: bool
    """Whether they are stored in host memory instead of the GPU's."""
    seconds: float

    def readings(self) -> Iterator[tuple[list[int], slice]]:
        """Layers and draws of every reading of the hidden states."""
        for first in range(0, self.need.layers, self.layers):
            layers = list(range(first, min(first + self.layers, self.need.layers)))
            for start in range(0, self.need.draws, self.draws):
                yield layers, slice(start, min(start + self.draws, self.need.draws))

    @property
    def assignments(self) -> int:
        """Most bytes of assignments in memory."""
        return self.layers * self.draws * self.need.assignment_bytes(half=self.half)

    def sentence(self) -> str:
        """Memory, forward passes and time of the estimate, in one sentence."""
        memory = "main memory" if self.spilled or not self.need.gpu else "GPU memory"
        precision = " in half precision" if self.half else ""
        passes = 1 if self.need.cached else len(list(self.readings()))
        parts = [f"{format_size(self.assignments)} of {memory} for assignments{precision}"]
        if self.need.cached:
            parts.append(f"{format_size(self.need.states)} of disk for hidden states")
        parts.append(f"{passes} forward {'pass' if passes == 1 else 'passes'} over {self.need.tokens:,} tokens")
        return f"This will take {', '.join(parts)}, and about {duration(max(1, self.seconds))}."


def choose(need: Need, resources: Resources) -> Plan:
    """Choose the fastest plan that fits.

    Raises:
        InputError: when not even the assignments of one layer under one draw fit.

    >>> small = Need(positions=1000, tokens=1200, layers=3, draws=8, bins=100, width=64, parameters=10**6, gpu=False,
    ...              cached=False, states=10**6)
    >>> choose(small, Resources(device=0, ram=10**9, rate=1e10)).sentence()
    'This will take 9.7 MB of main memory for assignments, 1 forward pass over 1,200 tokens, and about 1 s.'
    """
    if not need.gpu:
        return _in_main_memory(need, resources)
    room = max(int(_SHARE * resources.device), resources.device - _BATCHES)
    everything = need.layers * need.draws
    for half in (False, True) if need.positions >= _HALF_FROM else (False,):
        if everything * need.assignment_bytes(half=half) <= room:
            return _plan(need, resources, need.layers, need.draws, half=half)
    half = need.positions >= _HALF_FROM
    each = need.assignment_bytes(half=half)
    spilled = everything * each <= _SHARE * resources.ram and need.draws * each <= room
    fit = room // each
    if fit < 1:
        raise _too_large(need, each, room)
    in_groups = (
        _plan(need, resources, need.layers, fit // need.layers, half=half)
        if fit >= need.layers
        else _plan(need, resources, fit, 1, half=half)
    )
    if not spilled:
        return in_groups
    to_main = _plan(need, resources, need.layers, need.draws, half=half, spilled=True)
    return min(in_groups, to_main, key=lambda plan: plan.seconds)


def _in_main_memory(need: Need, resources: Resources) -> Plan:
    each = need.assignment_bytes(half=False)
    room = int(_SHARE * resources.ram)
    if each > room:
        raise _too_large(need, each, room)
    if need.cached:
        draws = min(need.draws, max(1, min(room, _CACHED) // each))
        return _plan(need, resources, 1, draws, half=False)
    fit = max(1, min(room, _COMPUTED) // each)
    layers = min(need.layers, fit)
    return _plan(need, resources, layers, min(need.draws, fit // layers), half=False)


def _plan(need: Need, resources: Resources, layers: int, draws: int, *, half: bool, spilled: bool = False) -> Plan:
    readings = 1 if need.cached else math.ceil(need.layers / layers) * math.ceil(need.draws / draws)
    # Half of what a large square product reaches, in the forward pass and in the product with the directions.
    forward = 4 * need.parameters * need.tokens * readings / resources.rate
    products = 4 * need.positions * need.width * need.bins * need.draws * need.layers / resources.rate
    moved = need.layers * need.draws * need.assignment_bytes(half=half) / _TRANSFER if spilled else 0.0
    return Plan(need, layers, draws, half, spilled, forward + (3 if need.gpu else 2) * products + moved)


def _too_large(need: Need, each: int, room: int) -> InputError:
    share = room / each
    return InputError(
        f"The assignments of one layer under one draw take {format_size(each)} ({need.positions:,} positions, "
        f"{need.bins} bins) and {format_size(room)} may be used; expected room for them: ask for at most "
        f"{share:.0%} of the documents, or for fewer bins."
    )


def available(device: torch.device, dtype: torch.dtype) -> Resources:
    """Measure free memory and the speed of a matrix product; takes milliseconds."""
    if device.type != "cuda":
        return Resources(0, free_memory(), _rate(device, torch.float32))
    # Memory that this process has reserved and does not use is free as well.
    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return Resources(torch.cuda.mem_get_info(device)[0] + reserved, free_memory(), _rate(device, dtype))


def _rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a square product."""
    size = 4096 if device.type == "cuda" else 512
    square = torch.randn(size, size, device=device, dtype=dtype)
    torch.mm(square, square)
    began = _now(device)
    torch.mm(square, square)
    return 2 * size**3 / max(_now(device) - began, 1e-6)


def _now(device: torch.device) -> float:
    """Clock in seconds, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

"""Before a run: how the work is cut so that it fits into the memory there is, and what it will take."""

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from softh.errors import InputError
from softh.format import duration, format_size

_REMEMBERED = 2 << 30
"""Bytes of assignments held at once while hidden states come from the disk, which can be read again."""
_COMPUTED = 4 << 30
"""The same while they are computed, and every further reading is a forward pass."""
_PART = 0.6
"""Part of the free memory that assignments may take; the rest is the model's, for its batches."""
_HALF_FROM = 2**15
"""Positions from which rounding single assignments to half precision leaves their means alone (see docs/method.md)."""
_TRANSFER = 3e9
"""Bytes a second to main memory and back, the locking of its pages included."""


@dataclass(frozen=True)
class Need:
    """What an estimate is to count."""

    positions: int
    tokens: int
    layers: int
    draws: int
    bins: int
    width: int
    parameters: int
    gpu: bool
    remembered: bool
    """Whether hidden states are read from the disk, a layer at a time."""
    states: int
    """Bytes of all hidden states."""

    def assignment_bytes(self, *, half: bool) -> int:
        """Bytes of the assignments of one layer under one draw, entropies included."""
        columns = -(-self.bins // 8) * 8 if self.gpu else self.bins
        return self.positions * (columns * (2 if half else 4) + 4)


@dataclass(frozen=True)
class Machine:
    """What there is."""

    device: int  # free bytes of the GPU; 0 without one
    ram: int  # free bytes of main memory
    rate: float  # products and sums of the model's number format a second, measured


@dataclass(frozen=True)
class Plan:
    """How an estimate reads its hidden states, and what that takes."""

    need: Need
    layers: int  # counted in one reading
    draws: int
    half: bool
    """Whether assignments are kept in half precision."""
    spilled: bool
    """Whether they are kept in main memory instead of the GPU's."""
    seconds: float

    def readings(self) -> Iterator[tuple[list[int], slice]]:
        """Layers and draws of every reading of the hidden states."""
        for first in range(0, self.need.layers, self.layers):
            layers = list(range(first, min(first + self.layers, self.need.layers)))
            for start in range(0, self.need.draws, self.draws):
                yield layers, slice(start, min(start + self.draws, self.need.draws))

    @property
    def assignments(self) -> int:
        """Bytes of the assignments held at once."""
        return self.layers * self.draws * self.need.assignment_bytes(half=self.half)

    def sentence(self) -> str:
        """What it will take, for people."""
        where = "main memory" if self.spilled or not self.need.gpu else "GPU memory"
        passes = 1 if self.need.remembered else len(list(self.readings()))
        parts = [f"{format_size(self.assignments)} of {where} for assignments{' in half precision' * self.half}"]
        if self.need.remembered:
            parts.append(f"{format_size(self.need.states)} of disk for hidden states")
        parts.append(f"{passes} forward pass{'es' * (passes > 1)} over {self.need.tokens:,} tokens")
        return f"This will take {', '.join(parts)}, and about {duration(max(1, self.seconds))}."


def choose(need: Need, machine: Machine) -> Plan:
    """The quickest way that fits. Errors: InputError when not even one layer under one draw does."""
    if not need.gpu:
        return _in_main_memory(need, machine)
    room = int(_PART * machine.device)
    everything = need.layers * need.draws
    for half in (False, True) if need.positions >= _HALF_FROM else (False,):
        if everything * need.assignment_bytes(half=half) <= room:
            return _plan(need, machine, need.layers, need.draws, half=half)
    half = need.positions >= _HALF_FROM
    each = need.assignment_bytes(half=half)
    spilled = everything * each <= _PART * machine.ram and need.draws * each <= room
    fit = room // each
    if fit < 1:
        raise _too_large(need, each, room)
    in_groups = (
        _plan(need, machine, need.layers, fit // need.layers, half=half)
        if fit >= need.layers
        else _plan(need, machine, fit, 1, half=half)
    )
    if not spilled:
        return in_groups
    to_main = _plan(need, machine, need.layers, need.draws, half=half, spilled=True)
    return min(in_groups, to_main, key=lambda plan: plan.seconds)


def _in_main_memory(need: Need, machine: Machine) -> Plan:
    each = need.assignment_bytes(half=False)
    room = int(_PART * machine.ram)
    if each > room:
        raise _too_large(need, each, room)
    if need.remembered:
        draws = min(need.draws, max(1, min(room, _REMEMBERED) // each))
        return _plan(need, machine, 1, draws, half=False)
    fit = max(1, min(room, _COMPUTED) // each)
    layers = min(need.layers, fit)
    return _plan(need, machine, layers, min(need.draws, fit // layers), half=False)


def _plan(need: Need, machine: Machine, layers: int, draws: int, *, half: bool, spilled: bool = False) -> Plan:
    readings = 1 if need.remembered else math.ceil(need.layers / layers) * math.ceil(need.draws / draws)
    # Half of what a large square product reaches, in the forward pass and in the product with the directions.
    forward = 4 * need.parameters * need.tokens * readings / machine.rate
    products = 4 * need.positions * need.width * need.bins * need.draws * need.layers / machine.rate
    moved = need.layers * need.draws * need.assignment_bytes(half=half) / _TRANSFER if spilled else 0.0
    return Plan(need, layers, draws, half, spilled, forward + (3 if need.gpu else 2) * products + moved)


def _too_large(need: Need, each: int, room: int) -> InputError:
    part = room / each
    return InputError(
        f"The assignments of one layer under one draw take {format_size(each)} ({need.positions:,} positions, "
        f"{need.bins} bins) and {format_size(room)} may be used; expected room for them: ask for at most "
        f"{part:.0%} of the documents, or for fewer bins."
    )


def machine_of(device: torch.device, dtype: torch.dtype) -> Machine:
    """Measure what there is; takes milliseconds."""
    gpu = device.type == "cuda"
    free = 0
    if gpu:
        # What this process holds without using it is free as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + held
    return Machine(free, free_ram(), _rate(device, dtype if gpu else torch.float32))


def free_ram() -> int:
    """Bytes of main memory that can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a square product."""
    size = 4096 if device.type == "cuda" else 512
    square = torch.randn(size, size, device=device, dtype=dtype)
    torch.mm(square, square)
    clock = _Clock(device)
    torch.mm(square, square)
    return 2 * size**3 / max(clock.seconds(), 1e-6)


class _Clock:
    """Time from here, with whatever the device still does."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.began = self._now()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self) -> float:
        """Since the clock was made."""
        return self._now() - self.began

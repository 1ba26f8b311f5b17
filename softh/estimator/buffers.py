"""Buffers for soft assignments, in GPU or host memory, float32 or float16."""

import importlib.util
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from softh.estimator.assignment import assign_into
from softh.estimator.conditional import Assignments, Grouping, conditional_entropy
from softh.estimator.gains import Design
from softh.estimator.memory_plan import Plan
from softh.spec import Weighting


def storage_device(device: str | torch.device) -> torch.device:
    """Device that stores labels and assignments of a model on `device`: the same where Triton runs, else the CPU.

    >>> storage_device("cpu")
    device(type='cpu')
    """
    device = torch.device(device)
    has_kernels = device.type == "cuda" and importlib.util.find_spec("triton") is not None
    return device if has_kernels else torch.device("cpu")


class Buffer(Protocol):
    """Assignments of some layers under some draws, first written document by document, then read as entropies."""

    @property
    def p(self) -> Sequence[Tensor] | Tensor:
        """Assignments of each layer, [positions, draws, at least bins]."""
        ...

    @property
    def entropy(self) -> Tensor:
        """Entropy of each assignment in nats, [layers, positions, draws]."""
        ...

    def put(self, layer: int, hidden: Tensor, rows: Tensor, first: int, center: Tensor | None) -> None:
        """Assign hidden [·, width] at `rows` int32 and store them as positions `first`, `first` + 1 …"""

    def first_invalid(self) -> int | None:
        """The first position with a hidden state that was zero or not finite; None without one."""
        ...

    def entropies(self, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
        """H(Z | label) in nats of every layer and grouping, [layers, groupings, 1 + folds, draws]."""
        ...

    def sums(self, design: Design) -> np.ndarray:
        """Sums of gains and what goes with them, of every layer, [layers, rows, 1 + folds, draws]."""
        ...


class AssignmentBuffer:
    """The buffer in host memory, float32."""

    def __init__(self, layers: Sequence[int], positions: int, directions: Tensor, epsilon: float) -> None:
        """`directions` [draws, bins, width] float32."""
        draws, bins, _ = directions.shape
        self.row = {layer: row for row, layer in enumerate(layers)}
        self.directions, self.epsilon, self.bins = directions, epsilon, bins
        self.p = torch.empty(len(layers), positions, draws, bins)
        self.entropy = torch.empty(len(layers), positions, draws)

    def put(self, layer: int, hidden: Tensor, rows: Tensor, first: int, center: Tensor | None) -> None:
        """Assign hidden [·, width] at `rows` and store them as positions `first`, `first` + 1 …"""
        target = (self.row[layer], slice(first, first + len(rows)))
        z = hidden.to(self.p.device)[rows]
        assign_into(z, self.directions, self.epsilon, self.p[target], self.entropy[target], center)

    def first_invalid(self) -> int | None:
        """The first position with a hidden state that was zero or not finite; None without one."""
        return _first_invalid(self.entropy)

    def entropies(self, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
        """H(Z | label) in nats of every layer and grouping, [layers, groupings, 1 + folds, draws]."""
        return np.stack(
            [
                [conditional_entropy(Assignments(*layer), grouping, weighting) for grouping in groupings]
                for layer in zip(self.p, self.entropy, strict=True)
            ]
        )

    def sums(self, design: Design) -> np.ndarray:
        """Sums of gains and what goes with them, of every layer, [layers, rows, 1 + folds, draws]."""
        return np.stack([design.sums(Assignments(*layer)).numpy() for layer in zip(self.p, self.entropy, strict=True)])


class GpuAssignmentBuffer:
    """The buffer on a GPU or, when the plan says so, spilled to host memory; computed by Triton kernels."""

    def __init__(
        self, layers: Sequence[int], positions: int, directions: Tensor, epsilon: float, dtype: torch.dtype, plan: Plan
    ) -> None:
        """`dtype` is that of the hidden states; `directions` are on their device."""
        # Triton comes only with a torch that is built for a GPU.
        from softh.estimator.gpu.assignment import SoftAssigner, stride_of

        draws, bins, _ = directions.shape
        self.row = {layer: row for row, layer in enumerate(layers)}
        self.assigner = SoftAssigner(directions, epsilon, dtype)
        shape = (positions, draws, stride_of(bins))
        dtype = torch.float16 if plan.half else torch.float32
        self.spilled = plan.spilled
        self.table = torch.empty(0)
        if plan.spilled:
            self.p = [torch.empty(shape, pin_memory=True, dtype=dtype) for _ in layers]
            self.copies = torch.cuda.Stream(directions.device)
        else:
            self.table = torch.empty(len(layers), *shape, device=directions.device, dtype=dtype)
            self.p = list(self.table)
        self.entropy = torch.empty(len(layers), *shape[:2], device=directions.device)

    def put(self, layer: int, hidden: Tensor, rows: Tensor, first: int, center: Tensor | None) -> None:
        """Assign hidden [·, width] at `rows` int32 and store them as positions `first`, `first` + 1 …; no waiting."""
        row, positions = self.row[layer], slice(first, first + len(rows))
        target = self.p[row][positions]
        p = torch.empty(target.shape, dtype=target.dtype, device=hidden.device) if self.spilled else target
        entropy = self.entropy[row, positions]
        if center is None:
            with torch.cuda.device_of(hidden):  # Triton starts its kernels on the current GPU, wherever the data are
                self.assigner(hidden, rows, p, entropy)
        else:
            assign_into(hidden[rows], self.assigner.directions, self.assigner.epsilon, p, entropy, center)
        if self.spilled:
            self.copies.wait_stream(torch.cuda.current_stream(p.device))
            with torch.cuda.stream(self.copies):
                target.copy_(p, non_blocking=True)
            p.record_stream(self.copies)

    def first_invalid(self) -> int | None:
        """The first position with a hidden state that was zero or not finite; None without one."""
        return _first_invalid(self.entropy)

    def entropies(self, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
        """H(Z | label) in nats of every layer and grouping, [layers, groupings, 1 + folds, draws]."""
        from softh.estimator.gpu.conditional import conditional_entropies, index

        if self.spilled:
            self.copies.synchronize()
        label_sets = index(groupings, weighting)
        device = self.entropy.device
        parts = [(self.table, self.entropy)]
        if self.spilled:
            parts = [(p[None], h[None]) for p, h in zip(self.p, self.entropy, strict=True)]
        with torch.cuda.device_of(self.entropy):
            return np.concatenate(
                [conditional_entropies(p.to(device, non_blocking=True), h, label_sets) for p, h in parts]
            )

    def sums(self, design: Design) -> np.ndarray:
        """Sums of gains and what goes with them, of every layer, [layers, rows, 1 + folds, draws]."""
        device = self.entropy.device
        with torch.cuda.device_of(self.entropy):
            layers = [
                design.sums(Assignments(p.to(device, non_blocking=True), h))
                for p, h in zip(self.p, self.entropy, strict=True)
            ]
            return torch.stack(layers).cpu().numpy()


def _first_invalid(entropy: Tensor) -> int | None:
    """First position of [layers, positions, draws] with an entropy that is not finite, in any layer."""
    invalid = (~entropy.isfinite()).flatten(2).any(-1).any(0).nonzero()
    return int(invalid[0]) if len(invalid) else None

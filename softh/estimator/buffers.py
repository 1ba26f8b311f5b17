"""Where soft assignments wait for their labels: GPU memory or main memory, in single or half precision."""

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from softh.estimator.assignment import assign_into
from softh.estimator.conditional import Assignments, Grouping, conditional_entropy
from softh.estimator.memory_plan import Plan
from softh.spec import Weighting


def place_of(device: str | torch.device) -> torch.device:
    """Where labels and assignments are kept for a model on `device`: with it where Triton runs, else the CPU."""
    device = torch.device(device)
    fused = device.type == "cuda" and importlib.util.find_spec("triton") is not None
    return device if fused else torch.device("cpu")


class Held:
    """Assignments of some layers under some draws on the CPU; documents fill consecutive rows, in any order."""

    def __init__(self, layers: Sequence[int], positions: int, directions: Tensor, epsilon: float) -> None:
        """`directions` [draws, bins, width] float32."""
        draws, bins, _ = directions.shape
        self.row = {layer: row for row, layer in enumerate(layers)}
        self.directions, self.epsilon, self.bins = directions, epsilon, bins
        self.p = torch.empty(len(layers), positions, draws, bins)
        self.entropy = torch.empty(len(layers), positions, draws)

    def put(self, layer: int, hidden: Tensor, rows: Tensor, first: int, centre: Tensor | None) -> None:
        """Keep the assignments of hidden [·, width], checked, at `rows` as positions `first`, `first` + 1 …"""
        where = (self.row[layer], slice(first, first + len(rows)))
        some = hidden.to(self.p.device)[rows]
        assign_into(some, self.directions, self.epsilon, self.p[where], self.entropy[where], centre)

    def entropies(self, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
        """H(Z | label) of every layer and grouping, [layers, groupings, 1 + folds, draws]."""
        return np.stack(
            [
                [conditional_entropy(Assignments(*layer), grouping, weighting) for grouping in groupings]
                for layer in zip(self.p, self.entropy, strict=True)
            ]
        )


class HeldOnGpu:
    """The same by Triton kernels, on the GPU or, when the plan says so, spilled to main memory."""

    def __init__(
        self, layers: Sequence[int], positions: int, directions: Tensor, epsilon: float, dtype: torch.dtype, plan: Plan
    ) -> None:
        """`dtype` is that of the hidden states; `directions` are on their device."""
        from softh.estimator.gpu.assignment import (  # Triton is there only where torch is built for a GPU
            Product,
            stride_of,
        )

        draws, bins, _ = directions.shape
        self.row = {layer: row for row, layer in enumerate(layers)}
        self.product = Product(directions, epsilon, dtype)
        shape = (positions, draws, stride_of(bins))
        dtype = torch.float16 if plan.half else torch.float32
        self.spilled = plan.spilled
        self.all = torch.empty(0)
        if plan.spilled:
            self.p = [torch.empty(shape, pin_memory=True, dtype=dtype) for _ in layers]
            self.aside = torch.cuda.Stream(directions.device)
        else:
            self.all = torch.empty(len(layers), *shape, device=directions.device, dtype=dtype)
            self.p = list(self.all)
        self.entropy = torch.empty(len(layers), *shape[:2], device=directions.device)

    def put(self, layer: int, hidden: Tensor, rows: Tensor, first: int, centre: Tensor | None) -> None:
        """Keep the assignments of hidden [·, width], unchecked, at `rows` int32 as positions `first`, `first` + 1 …"""
        row, some = self.row[layer], slice(first, first + len(rows))
        target = self.p[row][some]
        p = torch.empty(target.shape, dtype=target.dtype, device=hidden.device) if self.spilled else target
        if centre is None:
            with torch.cuda.device_of(hidden):  # Triton starts its kernels on the current GPU, wherever the data are
                self.product(hidden, rows, p, self.entropy[row, some])
        else:
            assign_into(hidden[rows], self.product.directions, self.product.epsilon, p, self.entropy[row, some], centre)
        if self.spilled:
            self.aside.wait_stream(torch.cuda.current_stream(p.device))
            with torch.cuda.stream(self.aside):
                target.copy_(p, non_blocking=True)
            p.record_stream(self.aside)

    def bad(self) -> int | None:
        """A position whose hidden state was not finite or zero, if there is one."""
        found = (~self.entropy.isfinite()).flatten(2).any(-1).any(0).nonzero()
        return int(found[0]) if len(found) else None

    def entropies(self, groupings: Sequence[Grouping], weighting: Weighting) -> np.ndarray:
        """H(Z | label) of every layer and grouping, [layers, groupings, 1 + folds, draws]."""
        from softh.estimator.gpu.conditional import conditional_entropies, index

        if self.spilled:
            self.aside.synchronize()
        sets = index(groupings, weighting)
        device = self.entropy.device
        whole = [(self.all, self.entropy)]
        if self.spilled:
            whole = [(p[None], h[None]) for p, h in zip(self.p, self.entropy, strict=True)]
        with torch.cuda.device_of(self.entropy):
            return np.concatenate([conditional_entropies(p.to(device, non_blocking=True), h, sets) for p, h in whole])

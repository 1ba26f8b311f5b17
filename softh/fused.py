"""The same arithmetic as assignment.py and counts.py on a GPU, in a few launches: what goes into the kernels."""

from functools import cache

import torch
from torch import Tensor

from softh import kernels
from softh.assignment import assign_into

_ROWS, _INNER = 128, 64
"""Rows and coordinates of one tile."""
_MANY_DRAWS = 3
"""From so many draws on, scores come from a library product and are normalised in a second launch."""
_WIDEST = 128
"""Bins for which one program holds all scores of a draw."""
_SCORES = 2**25
"""Scores held at once between the two launches, in float32 as large as the cache of a large GPU."""
PARTS = {torch.bfloat16: 3, torch.float16: 2}
"""Numbers of so many parts hold a float32 in sum: 8 or 11 bits each."""


def stride_of(bins: int) -> int:
    """Columns of one assignment: the bins, filled up so that rows begin at 16 bytes also in half precision."""
    return -(-bins // 8) * 8


class Product:
    """Soft assignments under fixed directions: float32 results from products of half-precision parts."""

    def __init__(self, scaled: Tensor, dtype: torch.dtype) -> None:
        """`scaled` [draws, bins, width] float32, directions divided by ε; `dtype` of the hidden states."""
        self.scaled = scaled
        self.draws, self.bins, self.width = scaled.shape
        self.pad = max(16, kernels.power_of_two(self.bins))
        self.exact = dtype not in PARTS  # float32 hidden states have no shorter parts
        self.single = self.pad <= _WIDEST and self.draws < _MANY_DRAWS
        # By draw for one launch; for two, one matrix of all draws each. The smallest first.
        parts = split(scaled, dtype if self.single else torch.float16)[::-1]
        self.parts = torch.stack(parts, 1) if self.single else torch.stack(parts).flatten(1, 2)
        self.scratch, self.arrived = scaled.new_empty(0), torch.zeros(0, dtype=torch.int32, device=scaled.device)
        self.gain = 1.0 if self.exact or self.single else self._gain()

    def __call__(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        """Assign hidden [·, width] at `rows` [m] int32 into p [m, draws, stride] and entropy [m, draws] float32."""
        if self.exact:
            assign_into(hidden[rows], self.scaled, p, entropy)
        elif self.single:
            self._one_launch(hidden, rows, p, entropy)
        else:
            step = max(1024, _SCORES // (self.draws * self.bins))
            for start in range(0, len(rows), step):
                piece = slice(start, start + step)
                self._two_launches(hidden, rows[piece], p[piece], entropy[piece])

    def _one_launch(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        tiles = kernels.cover(len(rows), _ROWS) * self.draws
        splits = max(1, min(8, _processors(hidden.device) // tiles))
        if splits > 1 and not len(self.arrived):
            # There are never more programs that share tiles than processors.
            self.arrived = torch.zeros(_processors(hidden.device), dtype=torch.int32, device=hidden.device)
            self.scratch = torch.empty(len(self.arrived) * _ROWS * (self.pad + 1), device=hidden.device)
        kernels.assign[(tiles // self.draws, self.draws, splits)](
            hidden, rows, self.parts, p, entropy, self.scratch, self.arrived, len(rows), self.width, self.draws,
            self.bins, self.pad, p.shape[-1], self.parts.shape[1], self.width % _INNER == 0, _ROWS, _INNER, splits,
            num_warps=8, num_stages=3,
        )  # fmt: skip

    def _two_launches(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        half, factor = self._prescaled(hidden, rows)
        each = max(1, 2048 // self.pad)
        small, large = self._products(half)
        kernels.normalise[(kernels.cover(len(rows), each), self.draws)](
            large, small, factor * self.gain, p, entropy, len(rows), self.draws,
            self.bins, self.pad, p.shape[-1], each,
        )  # fmt: skip

    def _prescaled(self, hidden: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        half = torch.empty(len(rows), self.width, dtype=torch.float16, device=rows.device)
        factor = torch.empty(len(rows), device=rows.device)
        pad = kernels.power_of_two(self.width)
        kernels.prescale[(len(rows),)](hidden, rows, half, factor, self.width, pad, num_warps=4 if pad < 4096 else 8)
        return half, factor

    def _products(self, half: Tensor) -> tuple[Tensor, Tensor]:
        """With the small parts of the directions, which half precision holds, and with the large ones, in float32."""
        small, large = self.parts.transpose(1, 2)
        if not half.is_cuda:
            return half.float() @ small.float(), half.float() @ large.float()
        return half @ small, torch.mm(half, large, out_dtype=torch.float32)

    def _gain(self) -> float:
        """What the products with the large parts must be multiplied by: tensor cores truncate every sum they make.

        The loss grows with the width and is the same part of every product on average: 2·10⁻⁶ at width 2,048 on an
        H100. Measured on random rows.
        """
        generator = torch.Generator(self.scaled.device).manual_seed(0)
        count = min(8192, max(1024, _SCORES // (self.draws * self.bins)))
        random = torch.randn(count, self.width, generator=generator, device=self.scaled.device).bfloat16()
        rows = torch.arange(count, dtype=torch.int32, device=random.device)
        half, _ = self._prescaled(random, rows)
        found = self._products(half)[1][:1024, :1024].double()
        large = self.parts[1, :1024]
        exact = half[:1024].double() @ large.double().T
        return float((exact * exact).sum() / (exact * found).sum())


@cache
def _processors(device: torch.device) -> int:
    """Multiprocessors of a GPU."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def split(values: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Parts in a shorter format that add up to float32 values, the largest first."""
    parts, rest = [], values.float()
    for _ in range(PARTS.get(dtype, 0)):
        parts.append(rest.to(dtype))
        rest = rest - parts[-1].float()
    return parts or [values]

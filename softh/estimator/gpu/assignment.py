"""Soft assignment on a GPU in one or two launches of Triton kernels, as softh/estimator/assignment.py defines it."""

import torch
from torch import Tensor

from softh.estimator.assignment import assign_into
from softh.estimator.gpu import assignment_kernels

_ROWS, _INNER = 64, 64
"""Rows and coordinates of one tile."""
_WARPS, _STAGES = 4, 4
_MANY_DRAWS = 8
"""From this number of draws on, scores come from a library product and are normalised in a second launch."""
_WIDEST = 128
"""Most bins for which one program computes all scores of a draw."""
_SCORES = 2**25
"""Scores between the two launches, in float32 twice as large as the cache of a large GPU."""
_MEASURED = 1024
"""Rows and columns of the products that are compared with exact ones."""
_LEAST, _ALIGNED = 2048, 32
"""Least rows of a library product, and the multiple that its columns are padded to: some libraries split other products
along the width, and those lose less than was measured."""
_SHORT = (torch.bfloat16, torch.float16)
"""Formats that the tensor cores multiply exactly, and that represent the directions exactly."""


def stride_of(bins: int) -> int:
    """Columns of one assignment: the bins, padded so that rows begin at multiples of 16 bytes in half precision."""
    return -(-bins // 8) * 8


class SoftAssigner:
    """Soft assignments under fixed directions: float32 results from products in half precision."""

    def __init__(self, directions: Tensor, epsilon: float, dtype: torch.dtype) -> None:
        """`directions` [draws, bins, width] float32 as references() makes them; `dtype` of the hidden states."""
        self.directions, self.epsilon = directions, epsilon
        self.draws, self.bins, self.width = directions.shape
        self.pad = max(16, assignment_kernels.power_of_two(self.bins))
        self.exact = dtype not in _SHORT
        self.single = self.pad <= _WIDEST and self.draws < _MANY_DRAWS
        short = directions.to(dtype if self.single else torch.float16).flatten(0, 1)
        assert self.exact or torch.equal(short.float(), directions.flatten(0, 1))
        self.short = torch.nn.functional.pad(short, (0, 0, 0, -len(short) % _ALIGNED))
        self.factor = 1 / epsilon if self.exact else self._gain() / epsilon

    def __call__(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        """Assign hidden [·, width] at `rows` [m] int32 into p [m, draws, stride] and entropy [m, draws] float32."""
        if self.exact:
            assign_into(hidden[rows], self.directions, self.epsilon, p, entropy)
        elif self.single:
            self._one_launch(hidden, rows, p, entropy)
        else:
            step = max(_LEAST, _SCORES // len(self.short))
            for start in range(0, len(rows), step):
                piece = slice(start, start + step)
                self._two_launches(hidden, rows[piece], p[piece], entropy[piece])

    def _one_launch(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        assignment_kernels.assign[(assignment_kernels.cover(len(rows), _ROWS), self.draws)](
            hidden, rows, self.short, p, entropy, self.factor, len(rows), self.width, self.draws, self.bins, self.pad,
            p.shape[-1], self.width % _INNER == 0, _ROWS, _INNER, num_warps=_WARPS, num_stages=_STAGES,
        )  # fmt: skip

    def _two_launches(self, hidden: Tensor, rows: Tensor, p: Tensor, entropy: Tensor) -> None:
        half, length = self._prescaled(hidden, rows)
        each = max(1, 2048 // self.pad)
        assignment_kernels.normalise[(assignment_kernels.cover(len(rows), each), self.draws)](
            _product(half, self.short), length, p, entropy, self.factor, len(rows), self.draws, len(self.short),
            self.bins, self.pad, p.shape[-1], each,
        )  # fmt: skip

    def _prescaled(self, hidden: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        half = torch.empty(max(_LEAST, len(rows)), self.width, dtype=torch.float16, device=rows.device)
        length = torch.empty(len(rows), device=rows.device)
        pad = assignment_kernels.power_of_two(self.width)
        assignment_kernels.prescale[(len(rows),)](
            hidden, rows, half, length, self.width, pad, num_warps=4 if pad < 4096 else 8
        )
        return half, length

    def _gain(self) -> float:
        """Factor that corrects the products: tensor cores truncate every sum.

        The loss grows with the width and is on average the same share of every product: 2·10⁻⁶ at width 2,048 on an
        H100. Measured on random numbers, in a product of the size that is used later.
        """
        generator = torch.Generator(self.directions.device).manual_seed(0)
        columns = _MEASURED if self.single else len(self.short)
        rows = min(8192, max(_LEAST, _SCORES // columns))
        z, w = (
            torch.randn(count, self.width, generator=generator, device=self.directions.device).to(self.short.dtype)
            for count in (rows, columns)
        )
        product = _product(z, w)[:_MEASURED, :_MEASURED].double()
        exact = z[:_MEASURED].double() @ w[:_MEASURED].double().T
        return float((exact * exact).sum() / (exact * product).sum())


def _product(z: Tensor, w: Tensor) -> Tensor:
    """z [rows, width] and w [columns, width] in half precision to [rows, columns] float32."""
    return torch.mm(z, w.T, out_dtype=torch.float32) if z.is_cuda else z.float() @ w.float().T

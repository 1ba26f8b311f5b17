"""Triton kernels of the soft assignment, which read the hidden states once.

Every output element is written by exactly one program and every sum has a fixed order, so that two runs give the same
bits. softh/estimator/gpu/assignment.py launches them.
"""

import triton
import triton.language as tl

cover, power_of_two = triton.cdiv, triton.next_power_of_2


@triton.jit
def _softmax(scores, bins: tl.constexpr, pad: tl.constexpr):  # noqa: ANN001, ANN202 (a tile of a kernel has no type)
    """Rows of scores [rows, pad] to probabilities over the first `bins` columns, and their entropies."""
    column = tl.arange(0, pad)
    scores = tl.where(column[None, :] < bins, scores, float("-inf"))
    scores = scores - tl.max(scores, axis=1)[:, None]
    weights = tl.exp(scores)
    total = tl.sum(weights, axis=1)
    p = weights / total[:, None]
    entropy = tl.log(total) - tl.sum(p * tl.where(column[None, :] < bins, scores, 0.0), axis=1)
    return p, entropy


@triton.jit
def assign(
    hidden: tl.tensor, rows: tl.tensor, directions: tl.tensor, p: tl.tensor, entropy: tl.tensor, factor: float,
    count: int, width: int, draws: int, bins: tl.constexpr, pad: tl.constexpr, stride: tl.constexpr,
    even: tl.constexpr, rows_each: tl.constexpr, inner: tl.constexpr,
) -> None:  # fmt: skip
    """Assignments of hidden states [·, width] at `rows` under directions [draws, bins, width] of the same format.

    `factor` is 1 / ε times a correction for the tensor cores, which truncate their sums.
    """
    draw = tl.program_id(1)
    position = tl.program_id(0) * rows_each + tl.arange(0, rows_each)
    valid = position < count
    row = tl.load(rows + position, mask=valid, other=0).to(tl.int64)
    k, column = tl.arange(0, inner), tl.arange(0, pad)
    z_at = hidden + row[:, None] * width + k[None, :]
    w_at = directions + draw * (bins * width) + column[None, :] * width + k[:, None]
    use_column = (column < bins)[None, :]
    scores = tl.zeros((rows_each, pad), dtype=tl.float32)
    square = tl.zeros((rows_each,), dtype=tl.float32)
    for start in range(0, width, inner):
        if even:
            z = tl.load(z_at + start, mask=valid[:, None], other=0.0)
            use = use_column
        else:
            z = tl.load(z_at + start, mask=valid[:, None] & (k[None, :] < width - start), other=0.0)
            use = use_column & (k[:, None] < width - start)
        scores += tl.dot(z, tl.load(w_at + start, mask=use, other=0.0))
        exact = z.to(tl.float32)
        square += tl.sum(exact * exact, axis=1)
    weights, h = _softmax(scores * (factor / tl.sqrt(square))[:, None], bins, pad)
    out = (position.to(tl.int64) * draws + draw)[:, None] * stride + column[None, :]
    tl.store(p + out, weights.to(p.dtype.element_ty), mask=valid[:, None] & (column < stride)[None, :])
    tl.store(entropy + position * draws + draw, h, mask=valid)


@triton.jit
def prescale(
    hidden: tl.tensor, rows: tl.tensor, out: tl.tensor, length: tl.tensor, width: int, pad: tl.constexpr
) -> None:
    """Hidden states at `rows` in half precision, scaled without loss, and the factor that undoes length and scale.

    A row is scaled by a power of two so that its largest coordinate lies under 2¹³: coordinates down to 2⁻²⁶ of it keep
    all their digits.
    """
    position = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, pad)
    z = tl.load(hidden + tl.load(rows + position).to(tl.int64) * width + k, mask=k < width, other=0.0).to(tl.float32)
    peak = tl.max(tl.abs(z), axis=0)
    power = (peak.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)  # the largest 2ⁿ ≤ peak
    z = z / power
    tl.store(length + position, 1.0 / (4096.0 * tl.sqrt(tl.sum(z * z, axis=0))))
    tl.store(out + position * width + k, (z * 4096.0).to(tl.float16), mask=k < width)


@triton.jit
def normalise(
    scores: tl.tensor, length: tl.tensor, p: tl.tensor, entropy: tl.tensor, factor: float, count: int, draws: int,
    columns: int, bins: tl.constexpr, pad: tl.constexpr, stride: tl.constexpr, rows_each: tl.constexpr,
) -> None:  # fmt: skip
    """Assignments from the products [·, columns] of rows that :func:`prescale` made and the directions of all draws.

    `length` [count] are the factors of :func:`prescale`, `factor` is as for :func:`assign`.
    """
    draw = tl.program_id(1)
    position = tl.program_id(0) * rows_each + tl.arange(0, rows_each)
    valid, column = position < count, tl.arange(0, pad)
    target = (position.to(tl.int64) * draws + draw)[:, None]
    source = position.to(tl.int64)[:, None] * columns + draw * bins + column[None, :]
    products = tl.load(scores + source, mask=valid[:, None] & (column < bins)[None, :], other=0.0)
    weights, h = _softmax(products * (factor * tl.load(length + position, mask=valid, other=0.0))[:, None], bins, pad)
    stored = valid[:, None] & (column < stride)[None, :]
    tl.store(p + target * stride + column[None, :], weights.to(p.dtype.element_ty), mask=stored)
    tl.store(entropy + position * draws + draw, h, mask=valid)

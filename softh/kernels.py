"""Triton kernels: soft assignment in one reading of the hidden states.

Every output element is written by exactly one program and every sum has a fixed order, so that two runs give the same
bits. softh/fused.py says what goes in.
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
    hidden: tl.tensor, rows: tl.tensor, directions: tl.tensor, p: tl.tensor, entropy: tl.tensor, scratch: tl.tensor,
    arrived: tl.tensor, count: int, width: int, draws: int, bins: tl.constexpr, pad: tl.constexpr,
    stride: tl.constexpr, parts: tl.constexpr, even: tl.constexpr, rows_each: tl.constexpr, inner: tl.constexpr,
    splits: tl.constexpr,
) -> None:  # fmt: skip
    """Assignments of hidden states [·, width] at `rows` under directions [draws, parts, bins, width].

    The parts of the directions add up to them in float32; partial products are added in float32 as well, because the
    tensor cores truncate what they add up. Where there are fewer tiles than processors, `splits` programs share one,
    each with its part of the width: the last to arrive puts the parts in `scratch` together, always in one order.
    """
    tile, draw, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    within = tl.arange(0, rows_each)
    at = tile * rows_each + within
    inside = at < count
    row = tl.load(rows + at, mask=inside, other=0).to(tl.int64)
    k, column = tl.arange(0, inner), tl.arange(0, pad)
    z_at = hidden + row[:, None] * width + k[None, :]
    w_at = directions + draw * (parts * bins * width) + column[None, :] * width + k[:, None]
    real = (column < bins)[None, :]
    scores = tl.zeros((rows_each, pad), dtype=tl.float32)
    square = tl.zeros((rows_each,), dtype=tl.float32)
    share = tl.cdiv(tl.cdiv(width, inner), splits) * inner
    for start in range(split * share, min(width, (split + 1) * share), inner):
        if even:
            z = tl.load(z_at + start, mask=inside[:, None], other=0.0)
            use = real
        else:
            z = tl.load(z_at + start, mask=inside[:, None] & (k[None, :] < width - start), other=0.0)
            use = real & (k[:, None] < width - start)
        partial = tl.zeros((rows_each, pad), dtype=tl.float32)
        for part in tl.static_range(parts):  # the smallest first
            w = tl.load(w_at + start + part * bins * width, mask=use, other=0.0)
            partial = tl.dot(z, w, partial)
        scores += partial
        exact = z.to(tl.float32)
        square += tl.sum(exact * exact, axis=1)
    last = True
    if splits > 1:
        shared = (tile * draws + draw) * splits
        where = within[:, None] * pad + column[None, :]
        step = rows_each * (pad + 1)
        own = scratch + (shared + split) * step
        tl.store(own + where, scores)
        tl.store(own + rows_each * pad + within, square)
        tl.debug_barrier()
        last = tl.atomic_add(arrived + tile * draws + draw, 1, sem="acq_rel") == splits - 1
        if last:
            scores = tl.zeros((rows_each, pad), dtype=tl.float32)
            square = tl.zeros((rows_each,), dtype=tl.float32)
            for other in tl.static_range(splits):
                piece = scratch + (shared + other) * step
                scores += tl.load(piece + where, cache_modifier=".cg")
                square += tl.load(piece + rows_each * pad + within, cache_modifier=".cg")
            tl.store(arrived + tile * draws + draw, 0)
    if last:
        found, h = _softmax(scores * (1.0 / tl.sqrt(square))[:, None], bins, pad)
        out = (at.to(tl.int64) * draws + draw)[:, None] * stride + column[None, :]
        tl.store(p + out, found.to(p.dtype.element_ty), mask=inside[:, None] & (column < stride)[None, :])
        tl.store(entropy + at * draws + draw, h, mask=inside)


@triton.jit
def prescale(
    hidden: tl.tensor, rows: tl.tensor, out: tl.tensor, factor: tl.tensor, width: int, pad: tl.constexpr
) -> None:
    """Hidden states at `rows` in half precision without a loss, and what a product with them is to be multiplied by.

    A row is scaled by a power of two so that its largest coordinate lies under 2¹³: coordinates down to 2⁻²⁶ of it keep
    all their digits, and products with the small parts of the directions stay within half precision.
    """
    at = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, pad)
    z = tl.load(hidden + tl.load(rows + at).to(tl.int64) * width + k, mask=k < width, other=0.0).to(tl.float32)
    peak = tl.max(tl.abs(z), axis=0)
    power = (peak.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)  # the largest 2ⁿ ≤ peak
    z = z / power
    tl.store(factor + at, 1.0 / (4096.0 * tl.sqrt(tl.sum(z * z, axis=0))))
    tl.store(out + at * width + k, (z * 4096.0).to(tl.float16), mask=k < width)


@triton.jit
def normalise(
    scores: tl.tensor, small: tl.tensor, factor: tl.tensor, p: tl.tensor, entropy: tl.tensor, count: int, draws: int,
    bins: tl.constexpr, pad: tl.constexpr, stride: tl.constexpr, rows_each: tl.constexpr,
) -> None:  # fmt: skip
    """Assignments from rows that :func:`prescale` made: their products [count, draws, bins] with the large parts of the
    directions and with the small ones.
    """
    draw = tl.program_id(1)
    at = tl.program_id(0) * rows_each + tl.arange(0, rows_each)
    inside, column = at < count, tl.arange(0, pad)
    where = (at.to(tl.int64) * draws + draw)[:, None]
    there, source = inside[:, None] & (column < bins)[None, :], where * bins + column[None, :]
    some = tl.load(scores + source, mask=there, other=0.0)
    some += tl.load(small + source, mask=there, other=0.0).to(tl.float32)
    found, h = _softmax(some * tl.load(factor + at, mask=inside, other=0.0)[:, None], bins, pad)
    kept = inside[:, None] & (column < stride)[None, :]
    tl.store(p + where * stride + column[None, :], found.to(p.dtype.element_ty), mask=kept)
    tl.store(entropy + at * draws + draw, h, mask=inside)

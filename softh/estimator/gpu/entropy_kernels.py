"""Triton kernels of the conditional entropies: entropies of sums over sorted positions, label by label.

Every output element is written by exactly one program and every sum has a fixed order, so that two runs give the same
bits. softh/estimator/gpu/conditional.py launches them.
"""

import triton
import triton.language as tl


@triton.jit
def _log2(x):  # noqa: ANN001, ANN202 (a tile of a kernel has no type)
    """Logarithm by the GPU's own instruction, within 2⁻²²; that of the library takes a dozen instructions."""
    return tl.inline_asm_elementwise("lg2.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def _entropy(sums, size):  # noqa: ANN001, ANN202
    """Entropies in nats of sums of `size` assignments [rows, pad]; zero where there are none."""
    q = tl.maximum(sums * (1.0 / tl.maximum(size, 1)), 1e-37)  # differences may be a rounding below zero
    return -0.6931471805599453 * tl.sum(q * _log2(q), axis=1)


@triton.jit
def _weight(size, least: tl.constexpr):  # noqa: ANN001, ANN202
    """Number of positions of a label or, if there is a least, whether it is reached."""
    return tl.where(size >= least, 1.0, 0.0) if least else size.to(tl.float32)


@triton.jit
def few(
    p: tl.tensor, members: tl.tensor, ends: tl.tensor, begin: tl.tensor, size: tl.tensor, rows: tl.tensor,
    whole_out: tl.tensor, row_out: tl.tensor, draws: int, layer_step: tl.int64, whole_step: tl.int64,
    row_step: tl.int64, pad: tl.constexpr, stride: tl.constexpr, folds: tl.constexpr, least: tl.constexpr,
    each: tl.constexpr,
) -> None:  # fmt: skip
    """Labels seen a few times, a program for one and `each` draws: weight · h, and its change without each row.

    `ends` [members] is 0, or the positions of the row at its last member; `rows` [labels] numbers each label's first.
    """
    label, layer = tl.program_id(0), tl.program_id(2).to(tl.int64)
    draw, column = tl.program_id(1) * each + tl.arange(0, each), tl.arange(0, pad)
    first, count = tl.load(begin + label), tl.load(size + label)
    base = p + layer * layer_step + draw[:, None] * stride + column[None, :]
    valid_draw = draw < draws
    real = valid_draw[:, None] & (column < stride)[None, :]
    whole = tl.zeros((each, pad), dtype=tl.float32)
    for number in range(count):
        member = tl.load(members + first + number).to(tl.int64) * (draws * stride)
        whole += tl.load(base + member, mask=real, other=0.0).to(tl.float32)
    weighted = _weight(count, least) * _entropy(whole, count)
    tl.store(whole_out + layer * whole_step + label.to(tl.int64) * draws + draw, weighted, mask=valid_draw)
    if folds > 1:
        part = tl.zeros((each, pad), dtype=tl.float32)
        target = row_out + layer * row_step + tl.load(rows + label).to(tl.int64) * draws + draw
        for number in range(count):
            member = tl.load(members + first + number).to(tl.int64) * (draws * stride)
            part += tl.load(base + member, mask=real, other=0.0).to(tl.float32)
            end = tl.load(ends + first + number)
            if end > 0:
                without = _weight(count - end, least) * _entropy(whole - part, count - end) - weighted
                tl.store(target, without, mask=valid_draw)
                target += draws
                part = tl.zeros((each, pad), dtype=tl.float32)


@triton.jit
def gains(
    p: tl.tensor, own: tl.tensor, members: tl.tensor, weights: tl.tensor, ends: tl.tensor, begin: tl.tensor,
    size: tl.tensor, rows: tl.tensor, totals: tl.tensor, gain_out: tl.tensor, row_out: tl.tensor, draws: int,
    member_step: tl.int64, gain_step: tl.int64, row_step: tl.int64, pad: tl.constexpr, stride: tl.constexpr,
    each: tl.constexpr,
) -> None:  # fmt: skip
    """Labels of a few documents, a program for one, `each` draws and a choice: gain, and the gain without each row.

    `ends` [members] is 0 or, at the last member of a row, its weight, or −1 where nothing is wanted without it.
    """
    label, choice = tl.program_id(0), tl.program_id(2).to(tl.int64)
    draw, column = tl.program_id(1) * each + tl.arange(0, each), tl.arange(0, pad)
    first, count, total = tl.load(begin + label), tl.load(size + label), tl.load(totals + label)
    valid = draw < draws
    real = valid[:, None] & (column < stride)[None, :]
    place = members + choice * member_step + first
    whole, own_whole = tl.zeros((each, pad), dtype=tl.float32), tl.zeros((each,), dtype=tl.float32)
    for number in range(count):
        member, weight = tl.load(place + number).to(tl.int64) * draws, tl.load(weights + first + number)
        address = p + (member + draw[:, None]) * stride + column[None, :]
        whole += weight * tl.load(address, mask=real, other=0.0).to(tl.float32)
        own_whole += weight * tl.load(own + member + draw, mask=valid, other=0.0)
    target = gain_out + choice * gain_step + label.to(tl.int64) * draws + draw
    tl.store(target, _entropy(whole, total) - own_whole / total, mask=valid)
    part, own_part = tl.zeros((each, pad), dtype=tl.float32), tl.zeros((each,), dtype=tl.float32)
    target = row_out + choice * row_step + tl.load(rows + label).to(tl.int64) * draws + draw
    for number in range(count):
        member, weight = tl.load(place + number).to(tl.int64) * draws, tl.load(weights + first + number)
        address = p + (member + draw[:, None]) * stride + column[None, :]
        part += weight * tl.load(address, mask=real, other=0.0).to(tl.float32)
        own_part += weight * tl.load(own + member + draw, mask=valid, other=0.0)
        end = tl.load(ends + first + number)
        if end != 0:
            rest = tl.maximum(total - end, 1.0)
            without = _entropy(whole - part, rest) - (own_whole - own_part) / rest
            tl.store(target, tl.where(end > 0, without, 0.0), mask=valid)
            target += draws
            part, own_part = tl.zeros((each, pad), dtype=tl.float32), tl.zeros((each,), dtype=tl.float32)


@triton.jit
def cross(
    p: tl.tensor, members: tl.tensor, begin: tl.tensor, size: tl.tensor, label_of: tl.tensor, label_size: tl.tensor,
    whole: tl.tensor, mean: tl.tensor, out: tl.tensor, draws: int, pad: tl.constexpr, stride: tl.constexpr,
) -> None:  # fmt: skip
    """Cross-entropy in nats of a cell with the rest of its label, a program for one cell and draw: [cells, draws]."""
    cell, draw, column = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.arange(0, pad)
    first, count, real = tl.load(begin + cell), tl.load(size + cell), column < stride
    own = tl.zeros((pad,), dtype=tl.float32)
    for number in range(count):
        member = tl.load(members + first + number).to(tl.int64)
        own += tl.load(p + (member * draws + draw) * stride + column, mask=real, other=0.0).to(tl.float32)
    label = tl.load(label_of + cell)
    others = tl.load(whole + (label * draws + draw) * stride + column, mask=real, other=0.0) - own
    others += tl.load(mean + draw * stride + column, mask=real, other=0.0)
    total = tl.load(label_size + label) - count + 1
    h = tl.sum(own * _log2(tl.maximum(others, 1e-30) / total), axis=0)
    tl.store(out + cell * draws + draw, -0.6931471805599453 * h)


@triton.jit
def run_sums(
    values: tl.tensor, members: tl.tensor, weights: tl.tensor, begin: tl.tensor, size: tl.tensor, out: tl.tensor,
    columns: int, layer_step: tl.int64, out_step: tl.int64, rows_each: tl.constexpr, columns_each: tl.constexpr,
    weighted: tl.constexpr,
) -> None:  # fmt: skip
    """Sums of values [·, columns] over runs of neighbours in `members`: [runs, columns] float32; weighted, if so."""
    run, layer = tl.program_id(0), tl.program_id(2).to(tl.int64)
    first, count = tl.load(begin + run), tl.load(size + run)
    column, number = tl.program_id(1) * columns_each + tl.arange(0, columns_each), tl.arange(0, rows_each)
    base = values + layer * layer_step + column[None, :]
    total = tl.zeros((rows_each, columns_each), dtype=tl.float32)
    for start in range(0, count, rows_each):
        present = start + number < count
        member = tl.load(members + first + start + number, mask=present, other=0).to(tl.int64) * columns
        value = tl.load(base + member[:, None], mask=present[:, None] & (column < columns)[None, :], other=0.0)
        value = value.to(tl.float32)
        if weighted:
            value *= tl.load(weights + first + start + number, mask=present, other=0.0)[:, None]
        total += value
    target = out + layer * out_step + run.to(tl.int64) * columns
    tl.store(target + column, tl.sum(total, axis=0), mask=column < columns)


@triton.jit
def many(
    sums: tl.tensor, ends: tl.tensor, begin: tl.tensor, runs: tl.tensor, size: tl.tensor, out: tl.tensor, draws: int,
    layer_step: tl.int64, out_step: tl.int64, pad: tl.constexpr, stride: tl.constexpr, folds: tl.constexpr,
    fold_pad: tl.constexpr, least: tl.constexpr,
) -> None:  # fmt: skip
    """Labels seen often, one a program, from sums over runs [runs, draws, stride]: weight · h, and its change without
    each fold. `ends` [runs] is 0, or fold + folds · (positions of the row) at the last run of a row.
    """
    label, draw, layer = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, count, members = tl.load(begin + label), tl.load(runs + label), tl.load(size + label)
    column, fold = tl.arange(0, pad), tl.arange(0, fold_pad)
    base = sums + layer * layer_step + draw * stride + column
    whole = tl.zeros((pad,), dtype=tl.float64)
    for run in range(count):
        offset = (first + run).to(tl.int64) * draws * stride
        whole += tl.load(base + offset, mask=column < stride, other=0.0).to(tl.float64)
    weighted = _weight(members, least).to(tl.float64) * _one_entropy(whole, members)
    change = tl.zeros((fold_pad,), dtype=tl.float64)
    if folds > 1:
        part = tl.zeros((pad,), dtype=tl.float64)
        for run in range(count):
            offset = (first + run).to(tl.int64) * draws * stride
            part += tl.load(base + offset, mask=column < stride, other=0.0).to(tl.float64)
            end = tl.load(ends + first + run)
            if end > 0:
                rest = members - end // folds
                without = _weight(rest, least).to(tl.float64) * _one_entropy(whole - part, rest) - weighted
                change += tl.where(fold == end % folds, without, 0.0)
                part = tl.zeros((pad,), dtype=tl.float64)
    target = out + layer * out_step + (label.to(tl.int64) * draws + draw) * (1 + fold_pad)
    tl.store(target, weighted)
    tl.store(target + 1 + fold, change)


@triton.jit
def _one_entropy(sums, size):  # noqa: ANN001, ANN202
    """Entropy in nats of the sum of `size` assignments of one label [pad]."""
    q = tl.maximum((sums * (1.0 / tl.maximum(size, 1).to(tl.float64))).to(tl.float32), 1e-37)
    return -0.6931471805599453 * tl.sum(q * _log2(q), axis=0).to(tl.float64)


@triton.jit
def totals(
    values: tl.tensor, bounds: tl.tensor, out: tl.tensor, columns: int, layer_step: tl.int64, out_step: tl.int64,
    rows_each: tl.constexpr, columns_each: tl.constexpr,
) -> None:  # fmt: skip
    """Sums of values [rows, columns] between consecutive bounds [groups + 1]: [groups, columns] float64."""
    group, layer = tl.program_id(0), tl.program_id(2).to(tl.int64)
    column = tl.program_id(1) * columns_each + tl.arange(0, columns_each)
    number = tl.arange(0, rows_each)
    last = tl.load(bounds + group + 1)
    total = tl.zeros((rows_each, columns_each), dtype=tl.float64)
    for start in range(tl.load(bounds + group), last, rows_each):
        row = (start + number).to(tl.int64)
        inside = (row < last)[:, None] & (column < columns)[None, :]
        address = values + layer * layer_step + row[:, None] * columns + column[None, :]
        total += tl.load(address, mask=inside, other=0.0).to(tl.float64)
    tl.store(out + layer * out_step + group * columns + column, tl.sum(total, axis=0), mask=column < columns)

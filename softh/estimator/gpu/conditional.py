"""Conditional entropies of all label sets at once on a GPU, as softh/estimator/conditional.py defines them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from softh.estimator.conditional import LEAST_SEEN, Assignments, Grouping
from softh.estimator.gains import Block, Gains
from softh.estimator.gpu import entropy_kernels
from softh.estimator.gpu.assignment_kernels import cover, power_of_two
from softh.spec import Weighting

_FEW = 32
"""Labels seen at most this often are added in registers; of the others, sums over runs are stored first."""
_EACH = 8
"""Draws for which one program sums a label."""
_TILE = 2048
"""Numbers that one program of a plain sum adds at once."""
_WIDE = 256
"""Most columns of such a program."""
_RUN, _RUNS = 256, 64
"""Least members of a run, and most runs, of a row with many members."""
_TEMPORARY = 2 << 30
"""Most bytes of intermediate sums; more layers than fit are computed one group after another."""


@dataclass(frozen=True)
class Index:
    """All label sets one after another, in the form that the kernels read; tensors int32."""

    folds: int
    least: int  # labels seen less often have no weight; 0 where every position has the same
    members: Tensor  # positions whose label is seen again, set after set
    ends: Tensor  # [members] 0, or the positions of a row (a label in one fold) at its last member
    few: tuple[Tensor, Tensor, Tensor, Tensor]  # begin, size, first row of each label seen a few times; bounds of sets
    rows: tuple[Tensor, Tensor, Tensor, Tensor]  # their rows by (set, fold); begin and size of runs of them; bounds
    runs: tuple[Tensor, Tensor, Tensor]  # begin and size of each run of the other labels; 0 or fold + folds · positions
    many: tuple[Tensor, Tensor, Tensor, Tensor]  # first run, runs and size of the other labels; bounds of sets
    single: tuple[Tensor, Tensor, Tensor, Tensor]  # members; begin and size of their runs; bounds of (set, fold)
    total_rows: int
    weights: np.ndarray  # [sets, 1 + folds]


def index(groupings: Sequence[Grouping], weighting: Weighting) -> Index:
    """Index label sets over the same positions."""
    folds = groupings[0].folds
    offset = [0, 0, 0]
    joint: list[list[Tensor]] = []
    for number, g in enumerate(groupings):
        members, rows, labels = offset
        label_set = torch.full_like(g.label_size, number)
        joint.append([g.row_begin + members, g.row_size, g.row_fold, g.row_label + labels,
                      g.label_begin + rows, g.label_size, label_set])  # fmt: skip
        offset = [members + len(g.members), rows + len(g.row_begin), labels + len(g.label_size)]
    row_begin, row_size, row_fold, row_label, label_begin, label_size, label_set = (
        torch.cat(parts) for parts in zip(*joint, strict=True)
    )
    row_end = row_fold + folds * row_size
    members = torch.cat([g.members for g in groupings])
    ends = torch.zeros_like(members)
    ends[row_begin + row_size - 1] = row_size
    begin, few = row_begin[label_begin], label_size <= _FEW
    long = (~few)[row_label]
    runs, row, last = _runs(
        row_begin[long], row_size[long], torch.clamp((row_size[long] + _RUNS - 1) // _RUNS, min=_RUN)
    )
    run_label = row_label[long][row]
    run_count = torch.bincount(run_label, minlength=len(label_size))[~few]
    return Index(
        folds,
        LEAST_SEEN if weighting == "labels" else 0,
        members,
        ends,
        (begin[few], label_size[few], label_begin[few], _bounds(label_set[few], len(groupings))),
        _few_rows(label_set[row_label] * folds + row_fold, ~long, len(groupings) * folds),
        (*runs, torch.where(last, row_end[long][row], 0).int()),
        (_before(run_count), run_count.int(), label_size[~few], _bounds(label_set[~few], len(groupings))),
        _singles(groupings, folds),
        len(row_begin),
        torch.stack([g.weights(weighting) for g in groupings]).cpu().numpy(),
    )


def _runs(begin: Tensor, size: Tensor, longest: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Runs of rows: (begin, size) of each, its row, and whether it is the last of the row."""
    count = (size + longest - 1) // longest
    row = torch.repeat_interleave(torch.arange(len(size), device=size.device), count)
    number = torch.arange(len(row), device=size.device) - _before(count)[row]
    start = number * longest[row]
    length = torch.minimum(size[row] - start, longest[row])
    return ((begin[row] + start).int(), length.int()), row, number == count[row] - 1


def _few_rows(key: Tensor, few: Tensor, keys: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    numbers = few.nonzero()[:, 0]
    key, order = key[numbers].sort(stable=True)
    return numbers[order].int(), *runs_of_groups(torch.bincount(key, minlength=keys))


def _singles(groupings: Sequence[Grouping], folds: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    count = torch.cat([torch.bincount(g.single_fold, minlength=folds) for g in groupings])
    return torch.cat([g.single for g in groupings]), *runs_of_groups(count)


def runs_of_groups(count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Begin and size of the runs of groups with `count` neighbours each, and the bounds of the groups."""
    runs, row, _ = _runs(_before(count), count, torch.full_like(count, 1024))
    return *runs, _bounds(row, len(count))


def _before(count: Tensor) -> Tensor:
    return (count.cumsum(0) - count).int()


def _upto(count: Tensor) -> Tensor:
    return torch.cat([count.new_zeros(1), count.cumsum(0)]).int()


def _bounds(group_of: Tensor, groups: int) -> Tensor:
    return _upto(torch.bincount(group_of, minlength=groups))


def conditional_entropies(p: Tensor, entropy: Tensor, sets: Index) -> np.ndarray:
    """H(Z | label) in nats of every layer and label set, [layers, sets, 1 + folds, draws].

    Args:
        p: [layers, positions, draws, stride], zero beyond the bins; float32 or half precision.
        entropy: [layers, positions, draws] float32, of each assignment.
    """
    draws = p.shape[2]
    columns = len(sets.ends) + 2 * len(sets.many[0]) * (1 + sets.folds) + len(sets.runs[0]) * p.shape[3]
    layer_bytes = 4 * draws * columns
    step = max(1, _TEMPORARY // max(1, layer_bytes))
    sums = [
        sums_of_labels(p[start : start + step], entropy[start : start + step], sets) for start in range(0, len(p), step)
    ]
    total = torch.cat(sums).cpu().numpy()
    total[:, :, 1:] += total[:, :, :1]
    return total / sets.weights[:, :, None]


def sums_of_labels(p: Tensor, entropy: Tensor, sets: Index) -> Tensor:
    """Σ weight · h of all labels, then its change without each fold, [layers, sets, 1 + folds, draws] float64."""
    layers, _, draws, stride = p.shape
    pad, fold_pad = power_of_two(stride), power_of_two(sets.folds)

    few = torch.empty(layers, len(sets.few[0]), draws, device=p.device)
    rows = torch.empty(layers, sets.total_rows, draws, device=p.device)
    if few.numel():
        draws_each = min(_EACH, power_of_two(draws), max(1, _TILE // pad))
        entropy_kernels.few[(few.shape[1], cover(draws, draws_each), layers)](
            p, sets.members, sets.ends, *sets.few[:3], few, rows, draws, p.stride(0), few.stride(0), rows.stride(0),
            pad, stride, sets.folds, sets.least, draws_each, num_warps=min(32, max(1, draws_each * pad // 256)),
        )  # fmt: skip
    many = torch.empty(layers, len(sets.many[0]), draws * (1 + fold_pad), dtype=torch.float64, device=p.device)
    if many.numel():
        runs = _run_sums(p.flatten(2), sets.members, *sets.runs[:2])
        entropy_kernels.many[(many.shape[1], draws, layers)](
            runs, sets.runs[2], *sets.many[:3], many, draws, runs.stride(0), many.stride(0),
            pad, stride, sets.folds, fold_pad, sets.least, num_warps=1,
        )  # fmt: skip
    total = totals(many, sets.many[3]).view(layers, -1, draws, 1 + fold_pad)
    total = total[..., : 1 + sets.folds].transpose(2, 3).contiguous()
    total[:, :, 0] += totals(few, sets.few[3])
    if sets.folds > 1:
        total[:, :, 1:] += _by_fold(rows, sets.rows, sets.folds)
    if not sets.least:
        singles = _by_fold(entropy, sets.single, sets.folds)
        total[:, :, 0] += singles.sum(2)
        total[:, :, 1:] -= singles
    return total


def _by_fold(values: Tensor, runs: tuple[Tensor, Tensor, Tensor, Tensor], folds: int) -> Tensor:
    """Sums of values [layers, ·, draws] by set and fold, [layers, sets, folds, draws] float64."""
    layers, _, draws = values.shape
    members, begin, size, bounds = runs
    return totals(_run_sums(values, members, begin, size), bounds).view(layers, -1, folds, draws)


def _run_sums(values: Tensor, members: Tensor, begin: Tensor, size: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sums of values [layers, ·, columns] over runs of neighbours in `members`, [layers, runs, columns].

    weight: [members] float32, by which values are multiplied.
    """
    layers, _, columns = values.shape
    out = torch.empty(layers, len(begin), columns, device=values.device)
    if out.numel():
        wide = min(_WIDE, power_of_two(columns))
        together = min(_TILE // wide, power_of_two(cover(len(members), len(begin))))  # most runs may be short
        entropy_kernels.run_sums[(len(begin), cover(columns, wide), layers)](
            values, members, members if weight is None else weight, begin, size, out, columns, values.stride(0),
            out.stride(0), together, wide, weight is not None, num_warps=min(4, max(1, together * wide // 256)),
        )  # fmt: skip
    return out


Runs = tuple[Tensor, Tensor]
"""Begin and size of runs of neighbours, int32."""


def levels(begin: Tensor, size: Tensor) -> tuple[Runs, Runs | None]:
    """How segments are summed: runs of their members and, where a segment has several, runs of those sums."""
    runs, row, _ = _runs(begin, size, torch.full_like(size, _RUN))
    if len(row) == len(size):
        return runs, None
    count = torch.bincount(row, minlength=len(size))
    return runs, (_before(count), count.int())


def sums_by_levels(members: Tensor, values: Tensor, by: tuple[Runs, Runs | None], weight: Tensor | None) -> Tensor:
    """Sums of values [·, draws, bins] over the segments that :func:`levels` took apart, float32."""
    first, second = by
    sums = _run_sums(values.flatten(1)[None], members, *first, weight)
    if second is not None:
        every = torch.arange(sums.shape[1], device=sums.device, dtype=torch.int32)
        sums = _run_sums(sums, every, *second)
    return sums[0].view(-1, *values.shape[1:])


def gains_of_block(assignments: Assignments, block: Block) -> tuple[Tensor, Tensor]:
    """Gains of the labels of a block, and without each row's fold, as softh/estimator/gains.py defines them.

    Labels of a few documents are summed from their members, others from the sums of their rows.
    """
    p, own, wanted = assignments.p, assignments.entropy, torch.where(block.rest_class > 0, block.row_weight, -1.0)
    begin = block.row_begin[block.label_begin.long()] if block.few else block.label_begin
    if block.few:
        ends = torch.zeros(block.members.shape[1], device=p.device)
        ends[(block.row_begin + block.row_size - 1).long()] = wanted
        parts = [_gains(p, own, block.members, block.weight, ends, begin, block)]
    else:
        every = torch.arange(len(wanted), device=p.device, dtype=torch.int32)[None]
        ones = torch.ones_like(wanted)
        parts = []
        for rows in block.rows:
            sums, own_sums = rows.sums(p, block.weight), rows.sums(own[:, None], block.weight)[:, 0]
            parts.append(_gains(sums, own_sums, every, ones, wanted, begin, block))
    gain, without = (torch.cat(values).double().mean(0) for values in zip(*parts, strict=True))
    return gain, without


def _gains(
    p: Tensor, own: Tensor, members: Tensor, weight: Tensor, ends: Tensor, begin: Tensor, block: Block
) -> tuple[Tensor, Tensor]:
    """Gains of every choice, [choices, labels, draws], and without each row's fold [choices, rows, draws]."""
    draws, stride = p.shape[1:]
    choices, length = members.shape
    size = torch.diff(begin, append=begin.new_tensor([length]))
    gain = torch.empty(choices, len(begin), draws, device=p.device)
    without = torch.empty(choices, len(block.row_begin), draws, device=p.device)
    pad = power_of_two(stride)
    draws_each = min(_EACH, power_of_two(draws), max(1, _TILE // pad))
    entropy_kernels.gains[(len(begin), cover(draws, draws_each), choices)](
        p, own, members, weight, ends, begin, size, block.label_begin, block.label_weight, gain, without,
        draws, length, gain.stride(0), without.stride(0), pad, stride, draws_each,
        num_warps=min(32, max(1, draws_each * pad // 256)),
    )  # fmt: skip
    return gain, without


def cross_entropies(p: Tensor, mean: Tensor, gains: Gains) -> Tensor:
    """Cross-entropy of every cell with the rest of its label, as softh/estimator/gains.py defines it.

    p [positions, draws, stride] of any float type, mean [draws, stride] float32; [cells, draws] float64 in nats.
    """
    draws, stride = p.shape[1:]
    whole = gains.labels.sums(p)
    out = torch.empty(len(gains.cell_begin), draws, device=p.device)
    entropy_kernels.cross[(len(out), draws)](
        p, gains.cell_members, gains.cell_begin, gains.cell_size, gains.cell_label, gains.label_size, whole, mean, out,
        draws, power_of_two(stride), stride, num_warps=1,
    )  # fmt: skip
    return out.double()


def totals_of_runs(values: Tensor, order: Tensor, runs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Sums [groups, columns] float64 of values [rows, columns], taken in an order, by :func:`runs_of_groups`."""
    begin, size, bounds = runs
    return totals(_run_sums(values.float()[None], order, begin, size), bounds)[0]


def totals(values: Tensor, bounds: Tensor) -> Tensor:
    """Sums of values [layers, rows, columns] between consecutive bounds, [layers, groups, columns] float64."""
    layers, _, columns = values.shape
    out = torch.empty(layers, len(bounds) - 1, columns, dtype=torch.float64, device=values.device)
    entropy_kernels.totals[(out.shape[1], cover(columns, 32), layers)](
        values, bounds, out, columns, values.stride(0), out.stride(0), 64, 32
    )
    return out

"""Copies of a model with fewer bits a weight: every matrix rounded to nearest, weights in groups that share a scale."""

from copy import deepcopy

import torch
from torch import Tensor
from transformers import PreTrainedModel


@torch.no_grad()
def quantised(model: PreTrainedModel, bits: int, group: int) -> PreTrainedModel:
    """A copy whose matrices, embedding and head among them, have the values that so many bits can say."""
    copy = deepcopy(model)
    for weight in copy.parameters():  # tied ones once
        if weight.ndim >= 2:
            weight.copy_(rounded(weight, bits, group))
    return copy


def rounded(weight: Tensor, bits: int, group: int) -> Tensor:
    """Each weight as a whole number of steps of its group, symmetric about zero; the largest of a group stays.

    weight: ``[…, inputs]``; `group` neighbours along the inputs share a step, fewer at the end of a row.
    """
    most = 2 ** (bits - 1) - 1
    rows = weight.reshape(-1, weight.shape[-1])
    padding = -rows.shape[1] % group
    parts = torch.nn.functional.pad(rows, (0, padding)).reshape(rows.shape[0], -1, group)
    step = parts.abs().amax(dim=-1, keepdim=True) / most
    steps = torch.where(step > 0, parts / step.clamp_min(torch.finfo(weight.dtype).tiny), 0).round()
    return (steps * step).reshape(rows.shape[0], -1)[:, : rows.shape[1]].reshape(weight.shape)

"""Means that are the same however a batch is spread over ranks."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension where ``mask`` is true; 0 where it never is.

    Args:
        values: (..., N); may hold anything, NaN too, where the mask is false.
        mask: (..., N) bool.

    Returns:
        (...).
    """
    return values.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


def gather_rows(rows: Tensor) -> Tensor:
    """Stack the rows of all ranks, gradients flowing back to each rank's own.

    The gradient of a loss that every rank computes from the result arrives summed over ranks;
    DDP's average over ranks then makes it that of the loss itself.

    Args:
        rows: (n, ...), the same shape on every rank.

    Returns:
        (world * n, ...).
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    return torch.cat(all_gather(rows.contiguous()), dim=0)


@torch.no_grad()
def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum without gradient."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values

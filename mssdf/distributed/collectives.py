"""Exchange between ranks; without other ranks each function returns what it is given."""

from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_reduce

from .ranks import has_other_ranks, rank_and_world_size

Value = TypeVar('Value')


@torch.no_grad()
def gather_from_ranks(values: Tensor) -> Tensor:
    """Stack a tensor of all ranks, without gradient.

    Args:
        values: (...), the same shape and device type on every rank.

    Returns:
        (world_size, ...).
    """
    if not has_other_ranks():
        return values.unsqueeze(0)
    parts = [torch.empty_like(values) for _ in range(rank_and_world_size().world_size)]
    distributed.all_gather(parts, values.contiguous())
    return torch.stack(parts)


@torch.no_grad()
def gather_windows(values: Tensor) -> Tensor:
    """Gather the batch of all ranks, without gradient.

    Args:
        values: (B, ...), the same shape on every rank.

    Returns:
        (world_size * B, ...), in the order of :class:`~mssdf.distributed.Ranks`.
    """
    ranks = rank_and_world_size()
    return values if ranks.world_size == 1 else ranks.complete(gather_from_ranks(values))


def gather_windows_with_gradient(values: Tensor) -> Tensor:
    """Gather the batch of all ranks; a rank's gradient is the sum of what all losses give it.

    Args:
        values: (B, ...), the same shape on every rank.

    Returns:
        (world_size * B, ...), in the order of :class:`~mssdf.distributed.Ranks`.
    """
    ranks = rank_and_world_size()
    if ranks.world_size == 1:
        return values

    # every rank fills its own places, and the sum puts them together
    everyone = values.new_zeros(len(values) * ranks.world_size, *values.shape[1:])
    everyone = everyone.index_copy(0, ranks.numbers(len(values), values.device), values)
    return sum_with_gradient(everyone)


def sum_with_gradient(values: Tensor) -> Tensor:
    """Sum over ranks; the gradient is the sum of the ranks' gradients."""
    return all_reduce(values) if has_other_ranks() else values


@torch.no_grad()
def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum over ranks without gradient."""
    if has_other_ranks():
        values = values.clone()
        distributed.all_reduce(values)
    return values


def max_over_ranks(value: int, group: Any = None) -> int:
    """Return the largest of the ranks' numbers; all ranks call it together.

    Args:
        value: this rank's number.
        group: process group to ask; the run's own if None. One of CPU tensors (gloo) keeps a GPU
            from being waited for.
    """
    if not has_other_ranks():
        return value
    on_gpu = group is None and distributed.get_backend() == 'nccl'
    largest = torch.tensor(value, device='cuda' if on_gpu else 'cpu')
    distributed.all_reduce(largest, op=distributed.ReduceOp.MAX, group=group)
    return int(largest.item())


def from_main_process(value: Value) -> Value:
    """Return the object that rank 0 has; all ranks call it together."""
    if not has_other_ranks():
        return value
    content = [value]
    distributed.broadcast_object_list(content, src=0)
    return content[0]

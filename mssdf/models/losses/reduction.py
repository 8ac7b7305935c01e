"""Means that are the same however a batch is spread over ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension where ``mask`` is true; 0 where it never is.

    Args:
        values: (..., N); may hold anything, NaN too, where the mask is false.
        mask: (..., N) bool.

    Returns:
        (...).
    """
    return values.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


_alone: ContextVar[bool] = ContextVar('alone', default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, the batch is this rank's: for what one rank does while the others do not."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def rank_and_world_size() -> tuple[int, int]:
    """This process's rank and the number of ranks; (0, 1) without distributed training."""
    if _alone.get() or not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


@torch.no_grad()
def gather_windows(values: Tensor) -> Tensor:
    """The batch of all ranks, in the order that one process would have it, without gradient.

    Args:
        values: (B, ...), the same shape on every rank.

    Returns:
        (world * B, ...): window j of rank r at j * world + r, as the sampler deals them out.
    """
    world_size = rank_and_world_size()[1]
    if world_size == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(world_size)]
    dist.all_gather(parts, values.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def gather_windows_with_gradient(values: Tensor) -> Tensor:
    """Gather the batch of all ranks, in the order that one process would have it.

    A rank's gradient is the sum of what all ranks' losses give its windows.

    Args:
        values: (B, ...), the same shape on every rank.

    Returns:
        (world * B, ...), see :func:`gather_windows`.
    """
    rank, world_size = rank_and_world_size()
    if world_size == 1:
        return values
    # every rank fills its own places, and the sum puts them together
    everyone = values.new_zeros(len(values), world_size, *values.shape[1:])
    place = torch.full((1,), rank, device=values.device)
    everyone = everyone.index_copy(1, place, values.unsqueeze(1))
    return sum_with_gradient(everyone.flatten(0, 1))


def own_windows(count: int, device: torch.device) -> Tensor:
    """Number this rank's ``count`` windows within the batch of all ranks: (count,)."""
    rank, world_size = rank_and_world_size()
    return torch.arange(count, device=device) * world_size + rank


def sum_with_gradient(values: Tensor) -> Tensor:
    """Sum over ranks; its gradient is the sum of the ranks' gradients."""
    return all_reduce(values) if rank_and_world_size()[1] > 1 else values


@torch.no_grad()
def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum without gradient."""
    if rank_and_world_size()[1] > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values

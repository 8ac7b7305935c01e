"""The rule that deals the windows of a batch to the ranks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

Rows = TypeVar('Rows', Tensor, NDArray[np.int64])


class Ranks(NamedTuple):
    """One process among those of a run, and its share of what they work on together.

    Window j of rank r is window ``j * world_size + r`` of the whole batch, the one that a single
    process would have. All that deals out, gathers or draws windows goes by this rule, so that a
    run does the same on any number of ranks.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes.
    """

    rank: int = 0
    world_size: int = 1

    def share(self, everyone: Rows) -> Rows:
        """Take this rank's rows (B, ...) of the whole batch (world_size * B, ...)."""
        return everyone[self.rank :: self.world_size]

    def numbers(self, count: int, device: torch.device) -> Tensor:
        """Number this rank's ``count`` windows within the whole batch: (count,)."""
        return torch.arange(count, device=device) * self.world_size + self.rank

    def owns(self, numbers: Tensor) -> Tensor:
        """Tell which windows of the whole batch are this rank's, a bool for each number."""
        return numbers % self.world_size == self.rank

    def places(self, numbers: Tensor) -> Tensor:
        """Find where the rank that has them keeps windows of the whole batch."""
        return numbers // self.world_size

    def complete(self, parts: Tensor) -> Tensor:
        """Put the ranks' windows in the order of the whole batch.

        Args:
            parts: (world_size, B, ...) windows of each rank.

        Returns:
            (world_size * B, ...).
        """
        return parts.transpose(0, 1).flatten(0, 1)


_alone: ContextVar[bool] = ContextVar('alone', default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Let this rank count as the only one, for work in which the others take no part."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def rank_and_world_size() -> Ranks:
    """Return this process's rank and the number of ranks; (0, 1) where no other takes part."""
    if _alone.get() or not (distributed.is_available() and distributed.is_initialized()):
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def has_other_ranks() -> bool:
    """Tell whether other processes take part."""
    return rank_and_world_size().world_size > 1


def own_windows(count: int, device: torch.device) -> Tensor:
    """Number this rank's ``count`` windows within the batch of all ranks: (count,)."""
    return rank_and_world_size().numbers(count, device)

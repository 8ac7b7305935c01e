"""Random numbers that do not depend on how a batch is spread over ranks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mssdf.distributed import Ranks


@dataclass(frozen=True)
class BatchGenerator:
    """A generator that all ranks seed alike, and of whose numbers each takes its own part.

    Every rank draws for the whole batch and keeps the rows of its windows, as
    :class:`~mssdf.distributed.Ranks` deals them out. The numbers of a window are then the same on
    one rank and on many.

    Args:
        generator: generator in the same state on every rank, on the device that draws.
        ranks: this process among those of the run; each has as many windows.
    """

    generator: torch.Generator
    ranks: Ranks = Ranks()


Source = torch.Generator | BatchGenerator | None


def uniform(shape: tuple[int, ...], device: torch.device, source: Source = None) -> Tensor:
    """Draw numbers in 0...1 (1 excluded) for each window of a batch.

    Args:
        shape: shape of the result; the first dimension is the batch's.
        device: device of the result, and of the source.
        source: source of randomness; None is PyTorch's own.

    Returns:
        A float32 tensor of that shape.
    """
    return _draw(torch.Tensor.uniform_, shape, device, source)


def exponential(shape: tuple[int, ...], device: torch.device, source: Source = None) -> Tensor:
    """Draw exponentially distributed numbers of mean 1, as :func:`uniform` does its own."""
    return _draw(torch.Tensor.exponential_, shape, device, source)


def _draw(
    kind: Callable[..., Tensor], shape: tuple[int, ...], device: torch.device, source: Source
) -> Tensor:
    if not isinstance(source, BatchGenerator):
        return kind(torch.empty(shape, device=device), generator=source)

    everyone = torch.empty((shape[0] * source.ranks.world_size, *shape[1:]), device=device)
    return source.ranks.share(kind(everyone, generator=source.generator))

"""A bounded draw of locations for the pairwise terms, over the batch of all ranks."""

from typing import NamedTuple

import torch
from torch import Tensor

from mssdf.distributed import gather_windows, rank_and_world_size, sum_with_gradient

NOT_ELIGIBLE = 2.0  # above any random number


class Locations(NamedTuple):
    """Locations drawn from the batch of all ranks, the same on every rank.

    Attributes:
        indices: indices (K',) into this rank's B * N; meaningless where another rank has the
            window.
        valid: mask (K',), false where there were not enough eligible locations.
        mine: mask (K',), true where the window is this rank's.
    """

    indices: Tensor
    valid: Tensor
    mine: Tensor

    def rows(self, *values: Tensor) -> Tensor:
        """Gather values at the locations, side by side, from the ranks that have them.

        Every rank computes the same loss from them, so that the gradients arrive summed over
        ranks; DDP's average over ranks then makes them those of the loss itself.

        Args:
            *values: values (B, N, d_i) of this rank's windows.

        Returns:
            Values (K', sum of d_i), float32.
        """
        picked = [value.flatten(0, 1)[self.indices].float() for value in values]
        return sum_with_gradient(torch.where(self.mine.unsqueeze(1), torch.cat(picked, dim=1), 0.0))


@torch.no_grad()
def sample_locations(eligible: Tensor, count: int, noise: Tensor | None = None) -> Locations:
    """Draw locations uniformly among the eligible ones of all ranks, without replacement.

    Args:
        eligible: mask (B, N) of this rank's windows.
        count: largest number K of locations to draw.
        noise: random numbers (B, N) in 0...1 for this rank's windows, which decide; None draws
            them.

    Returns:
        K' = min(K, B * N * ranks) locations. The shapes do not depend on the values.
    """
    if noise is None:
        noise = torch.rand(eligible.shape, device=eligible.device)
    ranks = rank_and_world_size()
    order = gather_windows(noise.masked_fill(~eligible, NOT_ELIGIBLE)).flatten()
    drawn = order.topk(min(count, order.numel()), largest=False, sorted=False)
    window, location = drawn.indices // eligible.shape[1], drawn.indices % eligible.shape[1]
    return Locations(
        indices=ranks.places(window) * eligible.shape[1] + location,
        valid=drawn.values < NOT_ELIGIBLE,
        mine=ranks.owns(window),
    )

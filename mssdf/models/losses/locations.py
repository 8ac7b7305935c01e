"""A bounded draw of locations for the pairwise terms."""

import torch
from torch import Tensor


@torch.no_grad()
def sample_locations(eligible: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw locations uniformly among the eligible ones of a batch, without replacement.

    Args:
        eligible: (B, N) bool.
        count: K, how many to draw at most.

    Returns:
        (K',) indices into B * N with K' = min(K, B * N), and (K',) bool, false where there were
        not enough eligible ones. The shapes do not depend on the values.
    """
    flat = eligible.flatten()
    count = min(count, flat.numel())
    order = torch.rand(flat.shape, device=flat.device).masked_fill(~flat, 2.0)
    indices = order.topk(count, largest=False, sorted=False).indices
    return indices, flat[indices]

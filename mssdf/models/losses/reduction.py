"""Means over what a mask leaves."""

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last dimension where ``mask`` is true; 0 where it never is.

    Args:
        values: (..., N); may hold anything, NaN too, where the mask is false.
        mask: (..., N) bool.

    Returns:
        (...).
    """
    return values.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)

"""Means over what a mask leaves."""

from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average over the last dimension where a mask is true; 0 where it never is.

    Args:
        values: values (..., N), anything, NaN too, where the mask is false.
        mask: mask (..., N) of the values that count.

    Returns:
        Means (...).
    """
    return values.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)

"""Targets of patches and cells from targets of pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_KNOWN = 0.9  # share of a patch's pixels that must be known for it to count


def patch_heights(target: Tensor, seen: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Mean height of each patch over its known pixels.

    Args:
        target: (N, S, S) meters, NaN where unknown.
        seen: (N, 1, S, S) bool, where the image has pixels.
        patch: side of a patch in pixels, which divides S.

    Returns:
        (N, G) meters and (N, G) bool, whether enough of the patch is known.
    """
    known = target.isfinite() & seen[:, 0]
    share = F.avg_pool2d(known.float()[:, None], patch).flatten(1)
    total = F.avg_pool2d(torch.where(known, target, 0.0).float()[:, None], patch).flatten(1)
    return total / share.clamp(min=1e-6), share >= LEAST_KNOWN


def patch_classes(
    target: Tensor, seen: Tensor, patch: int, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Most frequent class of each patch among its known pixels, the first of several.

    Args:
        target: (N, S, S) int64, -1 where unknown.
        seen: (N, 1, S, S) bool, where the image has pixels.
        patch: side of a patch in pixels, which divides S.
        num_classes: K.

    Returns:
        (N, G) int64 and (N, G) bool, whether enough of the patch is known.
    """
    known = (target >= 0) & seen[:, 0]
    shares = torch.stack(
        [
            F.avg_pool2d(((target == label) & known).float()[:, None], patch).flatten(1)
            for label in range(num_classes)
        ],
        dim=2,
    )  # (N, G, K)
    return shares.argmax(dim=2), shares.sum(dim=2) >= LEAST_KNOWN

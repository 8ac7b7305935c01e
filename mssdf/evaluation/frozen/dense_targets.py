"""Targets of patches from targets of pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_KNOWN = 0.9  # smallest share of known pixels in a patch that counts


def patch_heights(target: Tensor, seen: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Average the heights of each patch over its known pixels.

    Args:
        target: heights (N, S, S) in meters, NaN where unknown.
        seen: validity (N, 1, S, S) bool of the image.
        patch: side of a patch in pixels, a divisor of S.

    Returns:
        Heights (N, G) in meters, and (N, G) bool, true where enough of the patch is known.
    """
    known = target.isfinite() & seen[:, 0]
    share = F.avg_pool2d(known.float()[:, None], patch).flatten(1)
    total = F.avg_pool2d(torch.where(known, target, 0.0).float()[:, None], patch).flatten(1)
    return total / share.clamp(min=1e-6), share >= LEAST_KNOWN


def patch_classes(
    target: Tensor, seen: Tensor, patch: int, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Find the most frequent class of each patch among its known pixels.

    Of equally frequent classes, it is the first.

    Args:
        target: classes (N, S, S) int64, -1 where unknown.
        seen: validity (N, 1, S, S) bool of the image.
        patch: side of a patch in pixels, a divisor of S.
        num_classes: number K of classes.

    Returns:
        Classes (N, G) int64, and (N, G) bool, true where enough of the patch is known.
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

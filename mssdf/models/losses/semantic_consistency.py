"""Agreement of the land covers of two dates where nothing changed."""

import torch
import torch.nn.functional as F
from torch import Tensor


def semantic_consistency_loss(
    first: Tensor, second: Tensor, changed: Tensor, ignore_index: int = 255
) -> Tensor:
    """Pull the class distributions together where nothing changed, and apart elsewhere.

    Their cosine similarity goes towards 1 at unchanged pixels and towards 0 at changed ones.
    Source: arXiv 2108.06103, section III-D.

    Args:
        first: logits (B, K, h, w) of the first date.
        second: logits (B, K, h, w) of the second date.
        changed: labels (B, H, W), 0, 1 or ``ignore_index``, taken at the logits' resolution
            (nearest).
        ignore_index: label of pixels that do not count.

    Returns:
        A scalar, float32; 0 if no pixel counts.
    """
    labels = F.interpolate(changed[:, None].float(), size=first.shape[2:], mode='nearest')[:, 0]
    similarity = F.cosine_similarity(
        first.float().softmax(dim=1), second.float().softmax(dim=1), dim=1
    )
    error = torch.where(labels == 1, similarity, 1 - similarity)
    counts = (labels != ignore_index).float()
    return (error * counts).sum() / counts.sum().clamp(min=1)

"""Land covers of two dates agree where nothing changed and differ where something did."""

import torch
import torch.nn.functional as F
from torch import Tensor


def semantic_consistency_loss(
    first: Tensor, second: Tensor, changed: Tensor, ignore_index: int = 255
) -> Tensor:
    """Cosine similarity of the class distributions: towards 1 if unchanged, 0 if changed.

    Source: arXiv 2108.06103, section III-D.

    Args:
        first: (B, K, h, w) logits of the first date.
        second: (B, K, h, w) logits of the second.
        changed: (B, H, W) 0, 1 or ``ignore_index``; taken at the logits' resolution (nearest).
        ignore_index: pixels that do not count.

    Returns:
        Scalar float32, 0 if no pixel counts.
    """
    labels = F.interpolate(changed[:, None].float(), size=first.shape[2:], mode='nearest')[:, 0]
    similarity = F.cosine_similarity(
        first.float().softmax(dim=1), second.float().softmax(dim=1), dim=1
    )
    error = torch.where(labels == 1, similarity, 1 - similarity)
    counts = (labels != ignore_index).float()
    return (error * counts).sum() / counts.sum().clamp(min=1)

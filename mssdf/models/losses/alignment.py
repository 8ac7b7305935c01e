"""L_align: symmetric InfoNCE between two modalities (method.md, section 6; arXiv 1807.03748)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(first: Tensor, second: Tensor, valid: Tensor, temperature: float = 0.07) -> Tensor:
    """Tell the same location in the other modality from all other rows.

    Args:
        first: (n, d) features of one modality.
        second: (n, d) features of the other at the same locations.
        valid: (n,) bool; other rows are neither anchors, positives nor negatives.
        temperature: divides the cosine similarities.

    Returns:
        (n,) float32: mean of both directions' cross-entropies, 0 at invalid rows.
    """
    first = F.normalize(first.float(), dim=-1, eps=1e-6)
    second = F.normalize(second.float(), dim=-1, eps=1e-6)
    logits = first @ second.T / temperature
    # a finite minimum: a row of -inf alone would give NaN
    logits = logits.masked_fill(~(valid[:, None] & valid[None, :]), -1e4)
    labels = torch.arange(len(first), device=first.device)
    forward = F.cross_entropy(logits, labels, reduction='none')
    backward = F.cross_entropy(logits.T, labels, reduction='none')
    return ((forward + backward) / 2).masked_fill(~valid, 0.0)

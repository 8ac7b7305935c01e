"""L_disc: tell the right patch among the same window's (method.md, section 6; arXiv 2511.13655)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .alignment import HIDDEN, unit
from .reduction import masked_mean


def discrimination_loss(
    predicted: Tensor,
    target: Tensor,
    locations: Tensor,
    mask: Tensor,
    valid: Tensor,
    temperature: float = 0.1,
) -> Tensor:
    """Cross-entropy per window of finding each predicted patch among the window's patches.

    Args:
        predicted: (B, Q, d).
        target: (B, N, d) features of all patches, without gradient.
        locations: (B, Q) the patch that each prediction is of.
        mask: (B, Q) bool, the predictions that count.
        valid: (B, N) bool, the patches to choose from.
        temperature: divisor of the cosine similarities.

    Returns:
        (B,) float32; 0 for a window without predictions that count.
    """
    logits = unit(predicted) @ unit(target).transpose(1, 2) / temperature  # (B, Q, N)
    right = locations.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    logits = logits.masked_fill(~(valid.unsqueeze(1) | right), HIDDEN)
    entropy = F.cross_entropy(logits.transpose(1, 2), locations, reduction='none')
    return masked_mean(entropy, mask)

"""L_disc: the right patch among those of its window (method.md, section 6; arXiv 2511.13655)."""

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
    """Tell each predicted patch from the other patches of its window.

    Args:
        predicted: predicted features (B, Q, d).
        target: features (B, N, d) of all patches, without gradient.
        locations: index (B, Q) of the patch that each prediction is for.
        mask: mask (B, Q) of the predictions that count.
        valid: mask (B, N) of the patches to choose from.
        temperature: divisor of the cosine similarities.

    Returns:
        Mean cross-entropy of each window (B,), float32; 0 without predictions that count.
    """
    logits = unit(predicted) @ unit(target).transpose(1, 2) / temperature  # (B, Q, N)

    # the right patch is a candidate even where it is not valid
    right = locations.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    logits = logits.masked_fill(~(valid.unsqueeze(1) | right), HIDDEN)
    entropy = F.cross_entropy(logits.transpose(1, 2), locations, reduction='none')
    return masked_mean(entropy, mask)

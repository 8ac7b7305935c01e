"""L_cls: the modality that a window's cls token comes from (method.md, section 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import masked_mean


def modality_loss(logits: Tensor, present: Tensor) -> Tensor:
    """Average the cross-entropy of each window over the modalities that it has.

    Args:
        logits: logits (B, M, M), row m from modality m's cls token.
        present: mask (B, M) of the modalities that a window has.

    Returns:
        Mean cross-entropy of each window (B,), float32; 0 for a window without modalities.
    """
    labels = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    entropy = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction='none')
    return masked_mean(entropy, present)

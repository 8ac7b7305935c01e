"""L_cls: which modality does a window's cls token come from? (method.md, section 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import masked_mean


def modality_loss(logits: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy per window, averaged over the modalities that it has.

    Args:
        logits: (B, M, M), row m from modality m's cls token.
        present: (B, M) bool.

    Returns:
        (B,) float32; 0 for a window without modalities.
    """
    labels = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    entropy = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction='none')
    return masked_mean(entropy, present)

"""L_align: symmetric InfoNCE between two modalities (method.md, section 6; arXiv 1807.03748)."""

import torch
import torch.nn.functional as F
from torch import Tensor

HIDDEN = -1e4  # a finite minimum: a row of -inf alone would give NaN


def unit(features: Tensor) -> Tensor:
    """Scale vectors to length 1 in float32, with a bounded gradient at zero.

    A head that starts at zero predicts zero vectors, which have no direction.

    Args:
        features: vectors (..., d).

    Returns:
        Vectors (..., d), float32; shorter than 1 where the length is far below 1e-3.
    """
    features = features.float()
    return features * (features.square().sum(dim=-1, keepdim=True) + 1e-6).rsqrt()


def info_nce(first: Tensor, second: Tensor, valid: Tensor, temperature: float = 0.07) -> Tensor:
    """Tell the same location in the other modality from all other rows.

    Args:
        first: features (n, d) of one modality.
        second: features (n, d) of the other at the same locations.
        valid: mask (n,); other rows are neither anchors, positives nor negatives.
        temperature: divisor of the cosine similarities.

    Returns:
        Mean (n,) of both directions' cross-entropies, float32, 0 at invalid rows.
    """
    logits = unit(first) @ unit(second).T / temperature
    logits = logits.masked_fill(~(valid[:, None] & valid[None, :]), HIDDEN)
    labels = torch.arange(len(first), device=first.device)
    forward = F.cross_entropy(logits, labels, reduction='none')
    backward = F.cross_entropy(logits.T, labels, reduction='none')
    return ((forward + backward) / 2).masked_fill(~valid, 0.0)


def location_info_nce(
    first: Tensor,
    second: Tensor,
    valid: Tensor,
    anchors: Tensor | None = None,
    indistinct: Tensor | None = None,
    temperature: float = 0.07,
) -> tuple[Tensor, Tensor]:
    """Tell a window in the other modality from other windows at the same location.

    All candidates of an anchor share its location, so that position tells nothing about which one
    is right: features that are a code of the location alone leave the loss at that of chance.

    Args:
        first: features (L, G, d) of one modality at L locations of G windows.
        second: features (L, G, d) of the other.
        valid: mask (L, G); other windows are neither anchors, positives nor negatives.
        anchors: indices (A,) of the windows to compute the loss of; None takes all G.
        indistinct: mask (L, A, G) of pairs of windows that are no negatives of each other.
        temperature: divisor of the cosine similarities.

    Returns:
        Mean (L, A) of both directions' cross-entropies, float32, and a mask (L, A), true where the
        anchor is valid and has a negative; the loss is 0 elsewhere.
    """
    count = first.shape[1]
    if anchors is None:
        anchors = torch.arange(count, device=first.device)
    first, second = unit(first), unit(second)

    own = torch.arange(count, device=first.device) == anchors[:, None]  # (A, G)
    candidates = valid[:, None, :].expand(-1, len(anchors), -1)
    if indistinct is not None:
        candidates = candidates & ~indistinct
    candidates = candidates | own

    labels = anchors.expand(len(first), -1)  # (L, A)
    losses = []
    for anchor, other in ((first, second), (second, first)):
        logits = anchor[:, anchors] @ other.transpose(1, 2) / temperature  # (L, A, G)
        logits = logits.masked_fill(~candidates, HIDDEN)
        losses.append(F.cross_entropy(logits.transpose(1, 2), labels, reduction='none'))

    counted = valid[:, anchors] & (candidates & ~own).any(dim=-1)
    return ((losses[0] + losses[1]) / 2).masked_fill(~counted, 0.0), counted

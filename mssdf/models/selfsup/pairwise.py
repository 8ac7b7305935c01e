"""The terms between two modalities, over a bounded draw of locations (method.md, section 6)."""

from itertools import combinations

import torch
from torch import Tensor

from ..losses.alignment import info_nce
from ..losses.hsic import linear_hsic
from ..losses.locations import sample_locations

GOLDEN = 0.6180339887


def pairwise_terms(
    features: dict[str, Tensor],
    eligible: dict[str, Tensor],
    num_locations: int,
    noise: Tensor | None = None,
    temperature: float = 0.07,
    align: bool = True,
    hsic: bool = True,
) -> dict[str, Tensor]:
    """L_align and L_hsic, averaged over the pairs of modalities that each window has.

    Args:
        features: (B, N, d) of each modality.
        eligible: (B, N) bool, the locations of each modality that may be drawn.
        num_locations: K, at most so many locations per pair, over all ranks.
        noise: (B, N) random numbers in 0...1 from which the locations are drawn.
        temperature: of InfoNCE.
        align: compute ``'align'``.
        hsic: compute ``'hsic'``.

    Returns:
        Scalars, 0 where no window has two modalities.
    """
    pairs = list(combinations(features, 2))
    both = {pair: eligible[pair[0]] & eligible[pair[1]] for pair in pairs}
    pairs_of_window = torch.stack([mask.any(dim=1) for mask in both.values()]).sum(dim=0)
    share = 1.0 / pairs_of_window.clamp(min=1)  # (B,)
    totals: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    for number, ((first, second), mask) in enumerate(both.items()):
        # each pair draws for itself: numbers shifted round the circle are as random
        shifted = None if noise is None else (noise + number * GOLDEN) % 1.0
        drawn = sample_locations(mask, max(2, num_locations), shifted)
        width = features[first].shape[-1]
        # one exchange for all that a pair needs
        rows = drawn.rows(
            features[first], features[second], torch.where(mask, share[:, None], 0.0)[..., None]
        )
        left, right, weight = rows.split([width, width, 1], dim=1)
        weight = weight.squeeze(1).detach().masked_fill(~drawn.valid, 0.0)
        valid = weight > 0
        if align:
            value = (info_nce(left, right, valid, temperature) * weight).sum()
            totals['align'] = totals.get('align', 0.0) + value
        if hsic:
            value = linear_hsic(left, right, valid) * weight.sum()
            totals['hsic'] = totals.get('hsic', 0.0) + value
        weights['all'] = weights.get('all', 0.0) + weight.sum()
    return {name: total / weights['all'].clamp(min=1e-6) for name, total in totals.items()}

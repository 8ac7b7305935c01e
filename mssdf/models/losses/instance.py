"""L_inst: InfoNCE between whole windows (method.md, section 6)."""

import torch
from torch import Tensor

from .alignment import location_info_nce


def instance_loss(
    views: list[Tensor],
    present: list[Tensor],
    pairs: list[tuple[int, int]],
    anchors: Tensor | None = None,
    temperature: float = 0.1,
) -> Tensor:
    """Tell a window in one view from all other windows in another, over several pairs of views.

    Args:
        views: features (G, d) of each view of the same G windows.
        present: mask (G,) of each view, false where a window lacks the view's modality.
        pairs: indices of the views to compare.
        anchors: indices (A,) of the windows to compute the loss of; None takes all G.
        temperature: divisor of the cosine similarities.

    Returns:
        A scalar, float32: the mean over pairs of the sum over anchors divided by the number of all
        windows that count; with anchors, a part whose sum over disjoint anchors is the loss. 0
        without windows that have both views.
    """
    total = views[0].new_zeros((), dtype=torch.float32)
    everyone = torch.arange(len(views[0]), device=views[0].device)
    for first, second in pairs:
        both = present[first] & present[second]
        loss, _ = location_info_nce(
            views[first][None],
            views[second][None],
            both[None],
            everyone if anchors is None else anchors,
            temperature=temperature,
        )

        # a window counts if there is another one to tell it from
        count = torch.where(both.sum() > 1, both.sum(), 0)
        total = total + loss.sum() / count.clamp(min=1)
    return total / max(len(pairs), 1)

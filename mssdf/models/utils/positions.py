"""Fixed 2-D positions, and moving tokens between their locations and a packed sequence."""

from functools import lru_cache

import torch
from mmpretrain.models.utils import build_2d_sincos_position_embedding
from torch import Tensor


def sincos_positions(
    grid: tuple[int, int],
    width: int,
    cls_token: bool = False,
    device: torch.device | None = None,
) -> Tensor:
    """2-D sine-cosine position embedding, as mmpretrain's MAE has it.

    The tensor is kept for the next call: do not change it in place.

    Args:
        grid: rows and columns of patches.
        width: D, divisible by 4.
        cls_token: put a zero row for the cls token in front.
        device: where to put it; None takes PyTorch's default device.

    Returns:
        (1, N, D) or (1, 1 + N, D), float32.
    """
    if device is None:
        device = torch.empty(0).device  # ``torch.device('meta')`` around the call counts
    return _kept_positions(grid, width, cls_token, device)


@lru_cache(maxsize=16)
def _kept_positions(
    grid: tuple[int, int], width: int, cls_token: bool, device: torch.device
) -> Tensor:
    rows, cols = grid
    with torch.device('cpu'):
        # mmpretrain takes (columns, rows): its grid runs over the first entry fastest
        positions = build_2d_sincos_position_embedding((cols, rows), width, cls_token=cls_token)
    return positions.float().to(device)


def visible_indices(masks: Tensor, num_visible: int) -> tuple[Tensor, Tensor]:
    """Locations of the visible patches, in raster order.

    Args:
        masks: (B, N) bool, true where masked.
        num_visible: length K of the sequence to make.

    Returns:
        (B, K) locations and (B, K) bool, false at the padding of samples with fewer than K.
    """
    order = masks.to(torch.uint8).argsort(dim=1, stable=True)[:, :num_visible]
    return order, ~masks.gather(1, order)


def gather_tokens(tokens: Tensor, locations: Tensor) -> Tensor:
    """Pick tokens (B, N or 1, D) at locations (B, K): gives (B, K, D)."""
    batch, width = locations.shape[0], tokens.shape[-1]
    index = locations.unsqueeze(-1).expand(-1, -1, width)
    return tokens.expand(batch, -1, -1).gather(1, index)

"""Fixed 2-D positions, and tokens between their locations and a packed sequence."""

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
    """Make the 2-D sine-cosine position embedding of mmpretrain's MAE.

    The tensor is kept for the next call: do not change it in place.

    Args:
        grid: rows and columns of patches.
        width: width D of the tokens, divisible by 4.
        cls_token: whether to put a zero row for the cls token in front.
        device: device of the result; PyTorch's default device if None.

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
    """Find the locations of the visible patches, in raster order.

    Args:
        masks: (B, N) bool, true where masked.
        num_visible: length K of the sequence to make.

    Returns:
        (B, K) locations and (B, K) bool, false at the padding of samples with fewer than K.
    """
    order = masks.to(torch.uint8).argsort(dim=1, stable=True)[:, :num_visible]
    return order, ~masks.gather(1, order)


def gather_tokens(tokens: Tensor, locations: Tensor) -> Tensor:
    """Pick tokens at locations.

    Args:
        tokens: (B, N, D) tokens of all locations, or (1, N, D) for all samples alike.
        locations: (B, K) locations, 0...N - 1.

    Returns:
        (B, K, D).
    """
    batch, width = locations.shape[0], tokens.shape[-1]
    index = locations.unsqueeze(-1).expand(-1, -1, width)
    return tokens.expand(batch, -1, -1).gather(1, index)

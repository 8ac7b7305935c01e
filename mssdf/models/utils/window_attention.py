"""Windows of a grid of patches, as pure functions."""

import torch
import torch.nn.functional as F
from torch import Tensor


def partition_windows(
    patches: Tensor, grid: tuple[int, int], side: int
) -> tuple[Tensor, Tensor | None]:
    """Cut a grid of tokens into windows, padding the last row and column of them.

    Args:
        patches: (B, N, D) tokens in raster order.
        grid: rows and columns, N in all.
        side: side of a window in patches.

    Returns:
        (B, W, side * side, D) in raster order of the windows, and (W, side * side) bool, false at
        padding; None where there is none.
    """
    batch, _, width = patches.shape
    rows, cols = grid
    below, right = -rows % side, -cols % side
    keep = None
    patches = patches.view(batch, rows, cols, width)
    if below or right:
        keep = torch.ones(1, rows, cols, 1, dtype=torch.bool, device=patches.device)
        keep = _cut(F.pad(keep, (0, 0, 0, right, 0, below)), side)[0, :, :, 0]
        patches = F.pad(patches, (0, 0, 0, right, 0, below))
    return _cut(patches, side), keep


def merge_windows(windows: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Put windows of tokens together again: the inverse of :func:`partition_windows`.

    Args:
        windows: (B, W, side * side, D) tokens in raster order of the windows.
        grid: rows and columns of patches, N in all.
        side: side of a window in patches.

    Returns:
        (B, N, D) tokens in raster order, without padding.
    """
    batch, _, _, width = windows.shape
    rows, cols = grid
    down, across = -(-rows // side), -(-cols // side)
    patches = windows.view(batch, down, across, side, side, width).transpose(2, 3)
    patches = patches.reshape(batch, down * side, across * side, width)[:, :rows, :cols]
    return patches.reshape(batch, rows * cols, width)


def _cut(patches: Tensor, side: int) -> Tensor:
    batch, rows, cols, width = patches.shape
    windows = patches.view(batch, rows // side, side, cols // side, side, width).transpose(2, 3)
    return windows.reshape(batch, -1, side * side, width)

"""Attention inside windows of patches, with the parameters of a plain transformer layer."""

import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor


def partition_windows(
    patches: Tensor, grid: tuple[int, int], side: int
) -> tuple[Tensor, Tensor | None]:
    """Cut a grid of tokens into windows, padding the last row and column of them.

    Args:
        patches: (B, N, D) in raster order.
        grid: rows and columns, N in all.
        side: of a window, in patches.

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
    """The inverse of :func:`partition_windows`: (B, W, side * side, D) to (B, N, D)."""
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


def windowed_layer(
    layer: TransformerEncoderLayer,
    tokens: Tensor,
    grid: tuple[int, int],
    side: int,
    num_extra_tokens: int = 1,
) -> Tensor:
    """Run a pre-norm transformer layer whose attention stays inside windows (arXiv 2203.16527).

    The cls token attends to every window by itself and becomes the mean over them. With one
    window, and no padding, it is the plain layer.

    Args:
        layer: mmpretrain's layer, with its own parameters and drop rates.
        tokens: (B, num_extra_tokens + N, D).
        grid: rows and columns of patches.
        side: of a window, in patches.
        num_extra_tokens: tokens in front of the patches.

    Returns:
        (B, num_extra_tokens + N, D).
    """
    attention = layer.attn
    normed = layer.ln1(tokens)
    extra, patches = normed[:, :num_extra_tokens], normed[:, num_extra_tokens:]
    windows, keep = partition_windows(patches, grid, side)
    batch, count, _, width = windows.shape
    extra = extra.unsqueeze(1).expand(-1, count, -1, -1)
    sequence = torch.cat([extra, windows], dim=2).flatten(0, 1)  # (B * W, E + side * side, D)
    qkv = attention.qkv(sequence)
    qkv = qkv.view(sequence.shape[0], -1, 3, attention.num_heads, attention.head_dims)
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    mask = None
    if keep is not None:
        mask = F.pad(keep, (num_extra_tokens, 0), value=True).repeat(batch, 1)[:, None, None, :]
    attended = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=attention.attn_drop if layer.training else 0.0,
    )
    attended = attended.transpose(1, 2).reshape(batch, count, -1, width)
    attended = torch.cat(
        [
            attended[:, :, :num_extra_tokens].mean(dim=1),
            merge_windows(attended[:, :, num_extra_tokens:].contiguous(), grid, side),
        ],
        dim=1,
    )
    attended = attention.gamma1(attention.proj_drop(attention.proj(attended)))
    tokens = tokens + attention.out_drop(attended)
    return layer.ffn(layer.ln2(tokens), identity=tokens)

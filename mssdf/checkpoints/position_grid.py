"""Grids of position embeddings, compared by their sides, as one count of patches fits several."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .stored_config import parse_config

Grid = tuple[int, int]
PATCH_SIZE = 16  # default of mmpretrain's ViT and ours


def square_grid(count: int) -> Grid | None:
    """Return the square grid with a number of patches; None if there is none."""
    side = math.isqrt(max(count, 0))
    return (side, side) if side and side**2 == count else None


def stored_grid(content: Mapping[str, Any]) -> Grid | None:
    """Return the rows and columns of positions that a checkpoint stores; None if it does not.

    They are in ``meta.grid`` of converted files, or follow from image and patch size in the config,
    which is not run.
    """
    meta = content.get('meta')
    if not isinstance(meta, Mapping):
        return None
    if meta.get('grid') is not None:
        return _pair(meta['grid'])
    try:
        model: Any = parse_config(str(meta.get('cfg') or '')).get('model')
    except ValueError:
        return None
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping):
        return None
    size, patch = _pair(backbone.get('img_size')), _pair(backbone.get('patch_size', PATCH_SIZE))
    return (size[0] // patch[0], size[1] // patch[1]) if size and patch else None


def _pair(value: Any) -> Grid | None:
    """Read a size as two positive integers; None for anything else."""
    values = (value, value) if type(value) is int else value
    if isinstance(values, (list, tuple)) and len(values) == 2:
        first, second = values
        if type(first) is type(second) is int and first > 0 and second > 0:
            return first, second
    return None


def position_owner(model: nn.Module, name: str) -> Any:
    """Find the module that resizes its position embedding as mmpretrain's ViT does, or None."""
    stem, _, last = name.rpartition('.')
    if last != 'pos_embed':
        return None
    owner: Any = model.get_submodule(stem)
    needed = ('_prepare_pos_embed', 'patch_resolution', 'num_extra_tokens', 'interpolate_mode')
    return owner if all(hasattr(owner, attribute) for attribute in needed) else None


def source_grid(owner: Any, rows: int, stored: Grid | None) -> Grid | None:
    """Determine the grid of a position embedding in a file.

    Args:
        owner: module of the position embedding.
        rows: number of its rows, including those of cls tokens.
        stored: grid that the file stores; None if it stores none.

    Returns:
        Stored grid, else the square one, else None.
    """
    count = rows - owner.num_extra_tokens
    if stored is not None and stored[0] * stored[1] == count:
        return stored
    return square_grid(count)


def resized(owner: Any, positions: Tensor, stored: Grid | None) -> Tensor:
    """Resize a position embedding (1, E + N, D) to its module's grid, as mmpretrain does."""
    source = source_grid(owner, positions.shape[1], stored)
    target = tuple(owner.patch_resolution)
    return owner.resize_pos_embed(
        positions, source, target, owner.interpolate_mode, owner.num_extra_tokens
    )

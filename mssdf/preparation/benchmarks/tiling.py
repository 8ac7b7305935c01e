"""Cutting of rasters on one grid into tiles."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def tile_places(
    height: int, width: int, size: int, stride: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, right and bottom of tiles that cover a raster completely.

    The last row and column are shifted inwards; a raster smaller than a tile is one tile.

    Raises:
        ValueError: if the stride is not from 1 to the tile's size.
    """
    if not 1 <= stride <= size:
        raise ValueError(f'stride: expected 1 to the size of a tile ({size}), found {stride}')
    for top in starts(height, size, stride):
        for left in starts(width, size, stride):
            yield left, top, min(left + size, width), min(top + size, height)


def starts(length: int, size: int, stride: int) -> list[int]:
    """List the starts of the tiles along one side."""
    last = max(length - size, 0)
    return [*range(0, last, stride), last]


def cut(raster: NDArray, place: tuple[int, int, int, int]) -> NDArray[np.generic]:
    """Cut the tile (h, w, ...) at left, top, right and bottom from a raster (H, W, ...)."""
    left, top, right, bottom = place
    return raster[top:bottom, left:right]

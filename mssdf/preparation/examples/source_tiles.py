"""Reading of the imagery that ships, and the positions of its tiles."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray


def read_bands(path: Path) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read values (H, W, C) and validity (H, W) of a raster."""
    with rasterio.open(path) as raster:
        return raster.read().transpose(1, 2, 0), raster.dataset_mask() > 0


def tiles(
    shape: Sequence[int], size: int, test_share: float = 0.3
) -> Iterator[tuple[str, str, tuple[slice, slice]]]:
    """Yield split, name and place of each complete tile of (H, W); the right is for testing."""
    height, width = shape
    columns = width // size
    for top in range(0, height - size + 1, size):
        for column in range(columns):
            split = 'val' if column >= round(columns * (1 - test_share)) else 'train'
            left = column * size
            place = slice(top, top + size), slice(left, left + size)
            yield split, f'1_{left}_{top}_{left + size}_{top + size}', place

"""Palettes: bands of indices that stand for colors."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from .read_errors import UnreadableFileError

# Bands of an expanded palette: red, green, blue.
COLORS = (1, 2, 3)


def read_palette(path: str, raster: DatasetReader) -> tuple[int, ...]:
    """Read the colors of a raster whose only band, alpha apart, holds indices.

    Args:
        path: file, for messages.
        raster: open file.

    Returns:
        One number per index, red · 2²⁴ + green · 2¹⁶ + blue · 2⁸ + alpha; empty without a palette.

    Raises:
        UnreadableFileError: when one of several bands has a palette, or its colors are missing.
    """
    kinds = [kind for kind in raster.colorinterp if kind is not ColorInterp.alpha]
    if ColorInterp.palette not in kinds:
        return ()
    if len(kinds) > 1:
        raise UnreadableFileError(
            path,
            f'expected a palette of colors in a file of one band, found one beside '
            f'{len(kinds) - 1} other band(s)',
        )
    try:
        return _pack(raster.colormap(raster.colorinterp.index(ColorInterp.palette) + 1))
    except ValueError:
        raise UnreadableFileError(path, 'expected the colors of its palette, found none') from None


def _pack(colors: Mapping[int, Sequence[int]]) -> tuple[int, ...]:
    table = np.zeros((max(colors) + 1, 4), dtype=np.uint32)
    table[list(colors)] = list(colors.values())
    return tuple((table @ np.array([1 << 24, 1 << 16, 1 << 8, 1], dtype=np.uint32)).tolist())


@lru_cache(maxsize=64)
def _unpack(palette: tuple[int, ...]) -> NDArray[np.uint8]:
    """Unpack colors (N, 4)."""
    return np.array(palette, dtype='>u4').view(np.uint8).reshape(-1, 4)


def expand(
    indices: NDArray, palette: tuple[int, ...], bands: Sequence[int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Look colors up.

    Args:
        indices: (H, W).
        palette: colors of :func:`read_palette`.
        bands: some of :data:`COLORS`, in the order wanted.

    Returns:
        Values (C, H, W) and where (H, W) an index has a color that is not transparent.
    """
    colors = _unpack(palette)
    known = (indices >= 0) & (indices < len(colors))
    found = colors[np.where(known, indices, 0)]  # (H, W, 4)
    values = found[..., [band - 1 for band in bands]].transpose(2, 0, 1)
    return np.ascontiguousarray(values), known & (found[..., 3] != 0)


def is_gray(palette: tuple[int, ...]) -> bool:
    """Tell whether all colors are shades of gray, so that one band says it all."""
    colors = _unpack(palette)
    return bool((colors[:, :1] == colors[:, 1:3]).all())

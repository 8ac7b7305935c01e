"""Pixels beyond a raster's edge from adjacent rasters, for interpolation across seams."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from mssdf.rasters.crs import same_coordinates, turn_in_units
from mssdf.rasters.grids import TOLERANCE

from .catalog import CatalogedRaster

# Row, column, height and width in pixels of a raster; a window may reach beyond it.
Window = tuple[int, int, int, int]
Read = Callable[[CatalogedRaster, Window], tuple[NDArray, NDArray[np.bool_]]]


def read_supported(
    raster: CatalogedRaster, beside: Sequence[CatalogedRaster], needed: Window, read: Read
) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Read a window that may reach beyond its raster, filled from rasters of the same pixels.

    An interpolation between the last pixel of one tile of a surface model and the first pixel of
    the next one needs both.

    Args:
        raster: raster to read.
        beside: rasters that may be adjacent; those of other pixels are skipped.
        needed: row, column, height and width in pixels of ``raster``.
        read: function that reads a window inside a raster: values (C, H, W) and validity (H, W).

    Returns:
        Values (C, H, W), (H, W) bool where they are known, and (H, W) bool where ``raster`` itself
        knows them.
    """
    inner = clip(needed, _size(raster))
    assert inner is not None
    part, valid = read(raster, inner)
    if inner == needed:
        return part, valid, valid
    values = np.zeros((len(part), *needed[2:]), dtype=part.dtype)
    own = np.zeros(needed[2:], dtype=bool)
    _fill(values, own, part, valid, needed, inner[:2])
    known = own.copy()
    for other, row, col in _neighbors(raster, beside):
        there = clip((needed[0] - row, needed[1] - col, *needed[2:]), _size(other))
        if there is not None and not known.all():
            place = (there[0] + row, there[1] + col)
            _fill(values, known, *read(other, there), needed, place)
    return values, known, own


def clip(window: Window, size: tuple[int, int]) -> Window | None:
    """Clip a window to a raster of some rows and columns; None if nothing is left."""
    top, left = max(window[0], 0), max(window[1], 0)
    bottom = min(window[0] + window[2], size[0])
    right = min(window[1] + window[3], size[1])
    return (top, left, bottom - top, right - left) if bottom > top and right > left else None


def _size(raster: CatalogedRaster) -> tuple[int, int]:
    return raster.source.header.height, raster.source.header.width


def _fill(
    values: NDArray,
    known: NDArray[np.bool_],
    part: NDArray,
    valid: NDArray[np.bool_],
    window: Window,
    place: tuple[int, int],
) -> None:
    """Copy the valid pixels of a part that begins at ``place`` to places that are unknown."""
    rows = slice(place[0] - window[0], place[0] - window[0] + valid.shape[0])
    cols = slice(place[1] - window[1], place[1] - window[1] + valid.shape[1])
    new = valid & ~known[rows, cols]
    values[:, rows, cols][:, new] = part[:, new]
    known[rows, cols] |= new


def _neighbors(
    raster: CatalogedRaster, beside: Sequence[CatalogedRaster]
) -> Iterator[tuple[CatalogedRaster, int, int]]:
    """Yield rasters of the same pixels, with the row and column of ``raster`` where they begin."""
    turn = turn_in_units(raster.source.header.crs)
    for other in beside:
        if not _is_alike(raster, other):
            continue
        for shift in (-turn, 0.0, turn) if turn else (0.0,):
            if other is raster and not shift:
                continue
            between = ~raster.transform * Affine.translation(shift, 0) * other.transform
            if _is_whole_pixels(between, _size(other)):
                yield other, round(between.f), round(between.c)


def _is_alike(raster: CatalogedRaster, other: CatalogedRaster) -> bool:
    """Tell whether two rasters have the same bands, number type and CRS."""
    one, two = raster.source, other.source
    return (
        len(one.bands) == len(two.bands)
        and one.dtype == two.dtype
        and same_coordinates(one.header.crs, two.header.crs)
    )


def _is_whole_pixels(between: Affine, size: tuple[int, int]) -> bool:
    """Tell whether the pixels of a raster coincide with whole pixels of another."""
    drift = max(
        max(abs(between.a - 1), abs(between.d)) * size[1],
        max(abs(between.e - 1), abs(between.b)) * size[0],
    )
    off = max(abs(between.c - round(between.c)), abs(between.f - round(between.f)))
    return drift + off <= TOLERANCE

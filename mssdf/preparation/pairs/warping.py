"""Warping of adjacent rasters to the target grid."""

import math
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from operator import or_

import numpy as np
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from mssdf.rasters.crs import horizontal_crs, same_coordinates
from mssdf.rasters.grids import TOLERANCE
from mssdf.rasters.pixels import measured, read_values
from mssdf.rasters.pool import RasterPool
from mssdf.rasters.read_errors import READ_ERRORS, read_reason
from mssdf.rasters.resample import scale_values

from .boxes import box_in, turns_to
from .catalog import CatalogedRaster
from .orientation import turn_upright, upright
from .support import read_supported
from .target_grid import Rect, TargetGrid

# Sides of source pixels read at once and of target pixels warped at once, which bound the memory.
SOURCE_SIDE = 4096
TARGET_SIDE = 1024

# Margin around the needed source pixels, in pixels of the coarser grid; cubic needs two.
MARGIN = 3

# Source pixels per target pixel from which averaging reduces aliasing more than it blurs.
CLEARLY_FINER = 1.25


def warp_mosaic(
    rasters: Sequence[CatalogedRaster],
    grid: TargetGrid,
    rect: Rect,
    resampling: str,
    dtype: DTypeLike,
    pool: RasterPool,
) -> tuple[NDArray, NDArray[np.bool_], list[int]]:
    """Read a rectangle of the target grid from several rasters; the first valid one wins.

    Invalid pixels never take part in an interpolation; a pixel is valid where the source pixel at
    its center is.

    Args:
        rasters: rasters of one modality, all with C bands.
        grid: target grid.
        rect: rectangle of H × W pixels in the grid.
        resampling: name of the resampling: ``'nearest'``, ``'bilinear'``, ``'cubic'``,
            ``'average'``, or ``'auto'``, which averages where the raster is finer than the grid and
            else is bilinear.
        dtype: number type of the result; integers are rounded and clipped.
        pool: pool of open files.

    Returns:
        Values (C, H, W), zero where invalid, validity (H, W), and the number of pixels from each
        raster.

    Raises:
        OSError: if a raster cannot be read; the error names it.
    """
    count = len(rasters[0].source.bands)
    values = np.zeros((count, *rect.size), dtype=dtype)
    valid = np.zeros(rect.size, dtype=bool)
    taken = [0] * len(rasters)

    for number, raster in enumerate(rasters):
        for block, shift in _placed_blocks(raster, grid, rect):
            place = (
                slice(block.top - rect.top, block.bottom - rect.top),
                slice(block.left - rect.left, block.right - rect.left),
            )

            missing = ~valid[place]
            if not missing.any():
                continue

            try:
                part, known = _warp_block(raster, grid, block, resampling, pool, shift, rasters)
            except READ_ERRORS as error:
                pool.discard(raster.path)
                reason = read_reason(raster.path, error)
                raise OSError(f'{raster.path}: {reason}') from error

            known &= missing
            taken[number] += int(np.count_nonzero(known))
            values[:, place[0], place[1]][:, known] = _cast(part[:, known], values.dtype)
            valid[place] |= known

    return values, valid, taken


def _placed_blocks(
    raster: CatalogedRaster, grid: TargetGrid, rect: Rect
) -> Iterator[tuple[Rect, float]]:
    """Yield parts of the rectangle with the turns of longitude that bring the raster there."""
    crs = raster.source.header.crs
    for block in _blocks(raster, grid, rect):
        for shift in turns_to(crs, raster.bounds, _source_bounds(raster, grid, block)):
            yield block, shift


def _blocks(raster: CatalogedRaster, grid: TargetGrid, rect: Rect) -> list[Rect]:
    """List parts of the rectangle that the raster meets, small enough to be read at once."""
    boxes = [grid.rect_of(b) for b in raster.boxes_in(grid.crs, grid.bounds(rect))]
    rect = rect & reduce(or_, boxes) if boxes else Rect(0, 0, 0, 0)
    if 0 in rect.size:
        return []
    ratio = max(1.0, _source_pixels_per_pixel(raster, grid, rect))
    side = max(1, min(TARGET_SIDE, int(SOURCE_SIDE / ratio)))
    return [
        Rect(top, left, min(top + side, rect.bottom), min(left + side, rect.right))
        for top in range(rect.top, rect.bottom, side)
        for left in range(rect.left, rect.right, side)
    ]


def _source_pixels_per_pixel(raster: CatalogedRaster, grid: TargetGrid, rect: Rect) -> float:
    """Compute the side of a target pixel in source pixels."""
    left, bottom, right, top = _source_bounds(raster, grid, rect)
    area = (right - left) * (top - bottom) / abs(raster.transform.determinant)
    return math.sqrt(area / (rect.size[0] * rect.size[1]))


def _source_bounds(
    raster: CatalogedRaster, grid: TargetGrid, rect: Rect
) -> tuple[float, float, float, float]:
    """Compute the box around a target rectangle in the raster's CRS."""
    return box_in(grid.crs, raster.source.header.crs, grid.bounds(rect))


def _warp_block(
    raster: CatalogedRaster,
    grid: TargetGrid,
    block: Rect,
    resampling: str,
    pool: RasterPool,
    shift: float = 0.0,
    beside: Sequence[CatalogedRaster] = (),
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Warp a block to values (C, H, W) and validity (H, W)."""
    source, header = raster.source, raster.source.header
    ratio = max(1.0, _source_pixels_per_pixel(raster, grid, block))
    margin = math.ceil(MARGIN * ratio)

    window = _source_window(raster, grid, block, margin, shift)
    if window is None:
        shape = (len(source.bands), *block.size)
        return np.zeros(shape, dtype=np.float32), np.zeros(block.size, dtype=bool)

    on_grid = _is_on_grid(raster, grid)
    if not on_grid:
        window = _widened(window, margin, (header.height, header.width))

    values, known, own = read_supported(
        raster, () if on_grid else beside, window, partial(_read_scaled, pool=pool)
    )

    turned = raster.transform * Affine.translation(window[1], window[0])
    transform, _ = upright(turned, window[2:])
    values, known, own = (turn_upright(part, turned) for part in (values, known, own))
    if on_grid:
        return _cut(values, known, _whole_offset(transform, grid, block), block.size)

    if resampling == 'auto':
        resampling = 'average' if ratio > CLEARLY_FINER else 'bilinear'
    return _reproject(
        values,
        known,
        own,
        Affine.translation(shift, 0) * transform,
        horizontal_crs(header.crs),
        grid.transform(block),
        grid.crs,
        block.size,
        Resampling[resampling],
        widen=ratio > CLEARLY_FINER or resampling == 'average',
    )


def _read_scaled(
    raster: CatalogedRaster, window: tuple[int, int, int, int], pool: RasterPool
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read a window inside a raster: values (C, H, W) in its unit and validity (H, W)."""
    source = raster.source
    values, known = read_values(pool.get(source.path), source, window)
    values = scale_values(values, source)
    if source.scale is not None:  # a scaled value may be out of bounds
        inside = measured(values)
        known = known if inside is None else known & inside
    return values, known


def _widened(
    window: tuple[int, int, int, int], margin: int, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Extend a window by the margin beyond the raster, on sides where it ends with it."""
    row, col, height, width = window
    above, left = (margin if start == 0 else 0 for start in (row, col))
    below = margin if row + height == size[0] else 0
    right = margin if col + width == size[1] else 0
    return row - above, col - left, height + above + below, width + left + right


def _source_window(
    raster: CatalogedRaster, grid: TargetGrid, block: Rect, margin: int, shift: float = 0.0
) -> tuple[int, int, int, int] | None:
    """Compute row, column, height and width of the source pixels that a block needs."""
    header = raster.source.header
    left, bottom, right, top = _source_bounds(raster, grid, block)
    inverse = ~raster.transform
    corners = [inverse * (x - shift, y) for x in (left, right) for y in (bottom, top)]
    cols, rows = zip(*corners, strict=True)
    first_row = max(math.floor(min(rows)) - margin, 0)
    first_col = max(math.floor(min(cols)) - margin, 0)
    last_row = min(math.ceil(max(rows)) + margin, header.height)
    last_col = min(math.ceil(max(cols)) + margin, header.width)
    if last_row <= first_row or last_col <= first_col:
        return None
    return first_row, first_col, last_row - first_row, last_col - first_col


def _is_on_grid(raster: CatalogedRaster, grid: TargetGrid) -> bool:
    """Tell whether all pixels of a raster, turned upright, are whole pixels of the grid."""
    header = raster.source.header
    if not same_coordinates(header.crs, grid.crs):
        return False
    transform, (rows, cols) = upright(raster.transform, (header.height, header.width))
    to_grid = ~grid.transform(Rect(0, 0, 0, 0)) * transform
    first = to_grid.c, to_grid.f
    corners = [(col, row) for col in (0, cols) for row in (0, rows)]
    return all(
        abs(found - round(origin) - corner) <= TOLERANCE
        for place in corners
        for found, origin, corner in zip(to_grid * place, first, place, strict=True)
    )


def _whole_offset(transform: Affine, grid: TargetGrid, block: Rect) -> tuple[int, int]:
    """Compute row and column, in pixels on the grid, where a block begins."""
    first = ~grid.transform(Rect(0, 0, 0, 0)) * transform
    return block.top - round(first.f), block.left - round(first.c)


def _cut(
    values: NDArray, known: NDArray[np.bool_], start: tuple[int, int], size: tuple[int, int]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Cut pixels without resampling; those outside are invalid."""
    out = np.zeros((len(values), *size), dtype=values.dtype)
    valid = np.zeros(size, dtype=bool)
    low = [max(s, 0) for s in start]
    high = [min(s + n, m) for s, n, m in zip(start, size, known.shape, strict=True)]
    if all(h > w for h, w in zip(high, low, strict=True)):
        inner = tuple(slice(w, h) for w, h in zip(low, high, strict=True))
        place = tuple(slice(w - s, h - s) for w, h, s in zip(low, high, start, strict=True))
        out[(slice(None), *place)] = values[(slice(None), *inner)]
        valid[place] = known[inner]
    return out, valid


def _reproject(
    values: NDArray,
    known: NDArray[np.bool_],
    own: NDArray[np.bool_],
    transform: Affine,
    crs: str,
    target: Affine,
    target_crs: str,
    size: tuple[int, int],
    resampling: Resampling,
    widen: bool,
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Warp values and validity by GDAL."""
    # GDAL widens its kernel even for slight shrinking, and then no longer reproduces a plane.
    kernel = {} if widen else dict(XSCALE=1, YSCALE=1)
    places = dict(
        src_transform=transform,
        src_crs=crs,
        dst_transform=target,
        dst_crs=target_crs,
        tolerance=TOLERANCE,
        num_threads=1,
    )

    marked = np.where(known, values, np.nan).astype(np.float32, copy=False)
    out = np.full((len(values), *size), np.nan, dtype=np.float32)
    reproject(
        marked, out, src_nodata=np.nan, dst_nodata=np.nan, resampling=resampling, **kernel, **places
    )

    # A pixel is valid where the source pixel at its center is.
    at_center = np.zeros(size, dtype=np.uint8)
    reproject(
        own.astype(np.uint8),
        at_center,
        src_nodata=None,
        init_dest_nodata=False,
        resampling=Resampling.nearest,
        **places,
    )

    return out, (at_center > 0) & np.isfinite(out).all(axis=0)


def _cast(values: NDArray, dtype: np.dtype) -> NDArray:
    """Convert values to a number type, rounded and clipped for integers."""
    if dtype.kind == 'f' or np.can_cast(values.dtype, dtype):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(dtype)

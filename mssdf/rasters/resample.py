"""Reading a window of the reference grid from a raster on a grid of its own.

Values are weighted with their validity: a nodata pixel never takes part in an average or an
interpolation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from .band_source import BandSource
from .grids import GridMap
from .pixels import measured, read_validity, read_values

RESAMPLINGS = ('auto', 'average', 'bilinear', 'nearest')


@dataclass(frozen=True)
class AxisTaps:
    """The source pixels that make up each output pixel of one axis, with their weights.

    Attributes:
        start: first source pixel that is needed, inside the raster.
        stop: end of the source pixels that are needed, inside the raster.
        index: positions (n, K) relative to ``start``.
        weight: weights (n, K); a row sums to 1 without what lies outside of the raster.
        nearest: position (n,) of the pixel that holds the output pixel's center, -1 outside.
    """

    start: int
    stop: int
    index: NDArray[np.intp]
    weight: NDArray[np.float32]
    nearest: NDArray[np.intp]


def choose_resampling(name: str, grid: GridMap) -> str:
    """Resolve ``'auto'``: average where the source is finer than the reference, else bilinear."""
    if name != 'auto':
        return name
    return 'average' if max(map(abs, grid.scale)) > 1 + 1e-6 else 'bilinear'


def axis_taps(
    start: int, size: int, scale: float, offset: float, limit: int, method: str
) -> AxisTaps:
    """Compute the taps of output pixels ``start`` … ``start + size`` of one axis.

    Args:
        start: first output pixel, on the reference grid.
        size: number of output pixels.
        scale: source pixels per reference pixel (negative where the axes run opposite).
        offset: source coordinate of the reference grid's origin.
        limit: number of source pixels.
        method: ``'average'`` (the share of each source pixel that the output pixel covers),
            ``'bilinear'`` (a triangle one pixel wide of whichever grid is coarser, so that
            nothing is skipped) or ``'nearest'``.
    """
    center = (np.arange(start, start + size) + 0.5) * scale + offset  # (n,)
    inside = np.floor(center).astype(np.intp)

    # each output pixel draws on K neighboring source pixels from ``first`` on
    if method == 'nearest':
        first, taps = inside, 1
    else:
        radius = abs(scale) / 2 if method == 'average' else max(1.0, abs(scale))
        # The tolerance keeps whole multiples of a pixel whole.
        first = np.floor(center - radius + 1e-6).astype(np.intp)
        taps = int((np.ceil(center + radius - 1e-6).astype(np.intp) - first).max())
    index = first[:, None] + np.arange(max(1, taps))  # (n, K)

    if method == 'average':
        low, high = (center - radius)[:, None], (center + radius)[:, None]
        weight = np.minimum(index + 1, high) - np.maximum(index, low)
    elif method == 'bilinear':
        weight = 1 - np.abs(index + 0.5 - center[:, None]) / radius
    else:
        weight = np.ones(index.shape)

    weight = np.clip(weight, 0, None)
    weight[weight < 1e-6] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    weight[(index < 0) | (index >= limit)] = 0

    # only what is needed and lies in the raster will be read: count from its first pixel
    used = index[weight > 0]
    if used.size == 0:
        return AxisTaps(0, 0, index * 0, weight.astype(np.float32), np.full(size, -1))
    begin, end = int(used.min()), int(used.max()) + 1
    nearest = np.where((inside >= begin) & (inside < end), inside - begin, -1)
    index = np.clip(index - begin, 0, end - begin - 1)
    return AxisTaps(begin, end, index, weight.astype(np.float32), nearest)


def apply_taps(values: NDArray, rows: AxisTaps, cols: AxisTaps) -> NDArray[np.float32]:
    """Compute weighted sums of values (C, h, w): (C, H, W) float32."""
    values = _apply_last(np.asarray(values, dtype=np.float32).swapaxes(1, 2), rows)
    return _apply_last(values.swapaxes(1, 2), cols)


def _apply_last(values: NDArray[np.float32], taps: AxisTaps) -> NDArray[np.float32]:
    total = values[..., taps.index[:, 0]] * taps.weight[:, 0]
    for k in range(1, taps.index.shape[1]):
        total += values[..., taps.index[:, k]] * taps.weight[:, k]
    return total


def read_on_grid(
    raster: DatasetReader,
    source: BandSource,
    grid: GridMap,
    window: tuple[int, int, int, int],
    resampling: str = 'auto',
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read a window given in reference pixels; it may reach beyond the raster.

    Where the grids coincide this is one plain read. Else a pixel is valid when, for an average,
    at least half of its footprint is, and otherwise when the source pixel at its center is.

    Args:
        raster: open file.
        source: bands to read, and the rule for their valid pixels.
        grid: map from reference pixels to those of the file.
        window: row, column, height, width in reference pixels.
        resampling: one of :data:`RESAMPLINGS`.

    Returns:
        Values (C, H, W) of type ``source.dtype``, zero at invalid pixels, and validity (H, W).
    """
    if grid.aligned:
        values, valid = _read_aligned(raster, source, grid, window)
    else:
        method = choose_resampling(resampling, grid)
        values, valid = _read_resampled(raster, source, grid, window, method)
    if source.scale is not None:  # which may lift a value beyond all bounds
        inside = measured(values)
        valid = valid if inside is None else valid & inside
    if values.dtype != source.dtype:
        if np.dtype(source.dtype).kind != 'f':
            values = np.rint(values)
        with np.errstate(over='ignore'):  # invalid pixels may be anything
            values = values.astype(source.dtype)
    if not valid.all():
        values = np.where(valid, values, np.zeros((), dtype=values.dtype))
    return values, valid


def validity_on_grid(
    raster: DatasetReader,
    source: BandSource,
    grid: GridMap,
    window: tuple[int, int, int, int],
    resampling: str = 'auto',
) -> NDArray[np.bool_]:
    """Read the validity that :func:`read_on_grid` returns, cheaper where masks say it all.

    Args:
        raster: open file.
        source: bands to judge, and the rule for their valid pixels.
        grid: map from reference pixels to those of the file.
        window: row, column, height, width in reference pixels.
        resampling: one of :data:`RESAMPLINGS`.

    Returns:
        Validity (H, W).
    """
    if not grid.aligned:
        return read_on_grid(raster, source, grid, window, resampling)[1]
    inner, place = _clip(source, grid, window)
    valid = np.zeros(window[2:], dtype=bool)
    if inner is not None:
        valid[place] = read_validity(raster, source, inner)
    return valid


def _clip(
    source: BandSource, grid: GridMap, window: tuple[int, int, int, int]
) -> tuple[tuple[int, int, int, int] | None, tuple[slice, slice]]:
    """Find the part of an aligned window inside the raster, and its place in the window."""
    starts, sizes, places = [], [], []
    limits = (source.header.height, source.header.width)
    for start, size, offset, limit in zip(window[:2], window[2:], grid.offset, limits, strict=True):
        low = start + int(offset)
        begin, end = max(low, 0), min(low + size, limit)
        starts.append(begin)
        sizes.append(end - begin)
        places.append(slice(begin - low, max(begin, end) - low))
    inner = (starts[0], starts[1], sizes[0], sizes[1]) if min(sizes) > 0 else None
    return inner, (places[0], places[1])


def _read_aligned(
    raster: DatasetReader, source: BandSource, grid: GridMap, window: tuple[int, int, int, int]
) -> tuple[NDArray, NDArray[np.bool_]]:
    inner, place = _clip(source, grid, window)
    if inner is not None and inner[2:] == tuple(window[2:]):
        values, valid = read_values(raster, source, inner)
        return scale_values(values, source), valid
    shape = (len(source.bands), *window[2:])
    valid = np.zeros(shape[1:], dtype=bool)
    if inner is None:
        return np.zeros(shape, dtype=source.dtype), valid
    part, part_valid = read_values(raster, source, inner)
    part = scale_values(part, source)
    values = np.zeros(shape, dtype=part.dtype)
    values[:, place[0], place[1]] = part
    valid[place] = part_valid
    return values, valid


def _read_resampled(
    raster: DatasetReader,
    source: BandSource,
    grid: GridMap,
    window: tuple[int, int, int, int],
    method: str,
) -> tuple[NDArray, NDArray[np.bool_]]:
    limits = (source.header.height, source.header.width)
    rows, cols = (
        axis_taps(window[a], window[2 + a], grid.scale[a], grid.offset[a], limits[a], method)
        for a in (0, 1)
    )
    height, width = rows.stop - rows.start, cols.stop - cols.start
    if not (height and width):
        shape = (len(source.bands), *window[2:])
        return np.zeros(shape, dtype=source.dtype), np.zeros(shape[1:], dtype=bool)

    values, known = read_values(raster, source, (rows.start, cols.start, height, width))
    values = scale_values(values, source)
    if method == 'nearest':
        valid = _pick_nearest(known, rows, cols)
        return values[:, rows.index[:, :1], cols.index[:, 0]], valid

    # invalid pixels are zero and have no weight, so that the sum is that of the valid ones
    values = np.where(known, values, 0)
    if known.all():  # the weight of what is known is then a product of the axes'
        weight = np.outer(rows.weight.sum(axis=1), cols.weight.sum(axis=1))
    else:
        weight = apply_taps(known[None], rows, cols)[0]
    total = apply_taps(values, rows, cols)
    valid = weight >= 0.5 - 1e-5 if method == 'average' else _pick_nearest(known, rows, cols)
    return total / np.where(valid, weight, 1), valid


def _pick_nearest(known: NDArray[np.bool_], rows: AxisTaps, cols: AxisTaps) -> NDArray[np.bool_]:
    inside = (rows.nearest >= 0)[:, None] & (cols.nearest >= 0)
    return known[rows.nearest[:, None], cols.nearest] & inside


def scale_values(values: NDArray, source: BandSource) -> NDArray:
    """Apply the file's scale and offset."""
    if source.scale is None or source.offset is None:
        return values
    scale = np.asarray(source.scale, dtype=np.float32)[:, None, None]
    offset = np.asarray(source.offset, dtype=np.float32)[:, None, None]
    with np.errstate(over='ignore', invalid='ignore'):  # invalid pixels may be anything
        return values.astype(np.float32) * scale + offset

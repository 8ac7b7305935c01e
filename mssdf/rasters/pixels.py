"""Pixels of a window as stored, and which of them are valid."""

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mssdf.utils.limits import LARGEST_VALUE

from .band_source import BandSource
from .nodata import differs
from .palette import expand


def read_values(
    raster: DatasetReader, source: BandSource, window: tuple[int, int, int, int]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read raw values and validity of a window that lies inside the raster.

    Args:
        raster: open file.
        source: bands to read, and the rule for their valid pixels.
        window: row, column, height, width in pixels of the file.

    Returns:
        Values (C, H, W) as stored, with whatever stands at invalid pixels, and validity (H, W).
        Indices of a palette come as their colors.
    """
    row, col, height, width = window
    place = Window(col, row, width, height)
    bands = list(source.stored)
    if source.alpha is not None:
        bands.append(source.alpha)
    values = raster.read(bands, window=place)
    valid = None
    if source.alpha is not None:
        valid = values[-1] != 0
        values = values[:-1]
    valid = _join(valid, value_validity(values, source))
    valid = _join(valid, _read_masks(raster, source, place))
    if source.palette:
        values, colored = expand(values[0], source.palette, source.bands)
        valid = _join(valid, colored)
    return values, np.ones((height, width), dtype=bool) if valid is None else valid


def read_validity(
    raster: DatasetReader, source: BandSource, window: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    """Read validity alone, without decoding the bands where a mask says it all."""
    if source.judges_values:
        return read_values(raster, source, window)[1]
    row, col, height, width = window
    place = Window(col, row, width, height)
    valid = None
    if source.alpha is not None:
        valid = raster.read(source.alpha, window=place) != 0
    valid = _join(valid, _read_masks(raster, source, place))
    return np.ones((height, width), dtype=bool) if valid is None else valid


def value_validity(values: NDArray, source: BandSource) -> NDArray[np.bool_] | None:
    """Judge validity (H, W) by the values (C, H, W) alone; None if every value is good."""
    valid = None
    if source.floating:
        valid = measured(values)
    if any(value is not None for value in source.nodata):
        good = list(map(differs, values, source.nodata, source.slack))
        combine = np.logical_and if source.any_band else np.logical_or
        valid = _join(valid, good[0] if len(good) == 1 else combine.reduce(good))
    return valid


def measured(values: NDArray) -> NDArray[np.bool_] | None:
    """Mark pixels (H, W) of which all bands (C, H, W) can be measurements; None for all of them.

    NaN, infinities and what is beyond :data:`~mssdf.utils.limits.LARGEST_VALUE` are not.
    """
    # Two reductions find the usual case. A NaN makes both NaN, and no comparison with it holds.
    if not values.size or (values.min() >= -LARGEST_VALUE and values.max() <= LARGEST_VALUE):
        return None
    with np.errstate(invalid='ignore'):
        inside = (values >= -LARGEST_VALUE) & (values <= LARGEST_VALUE)
    return np.asarray(inside.all(axis=0))


def _read_masks(
    raster: DatasetReader, source: BandSource, place: Window
) -> NDArray[np.bool_] | None:
    """Mark pixels (H, W) where no band is masked; None without masks."""
    if not source.masks:
        return None
    masks = raster.read_masks(list(source.masks), window=place)
    return np.asarray((masks != 0).all(axis=0))


def _join(first: NDArray | None, second: NDArray | None) -> NDArray | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second

"""Groups of georeferenced files by where they lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

TOUCH = 1e-3  # share of a side by which neighbors may overlap through rounding


def place_groups(paths: Sequence[Path]) -> list[int]:
    """Number the files so that those that overlap have one number, and neighbors near ones.

    Files are ordered along the longer side of what they cover together. Files without
    coordinates keep their order and are groups of their own.

    Args:
        paths: rasters or other images.
    """
    bounds = [_bounds(path) for path in paths]
    known = [box for box in bounds if box is not None]
    if len(known) < len(bounds) or len(known) < 2:
        return list(range(len(paths)))
    boxes = np.array(known)  # (n, 4): left, bottom, right, top
    extent = boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)
    axis = int(extent.argmax())
    middle = (boxes[:, axis] + boxes[:, axis + 2]) / 2
    order = np.lexsort((np.arange(len(boxes)), middle))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return _merged(boxes, place).tolist()


def _bounds(path: Path) -> tuple[float, float, float, float] | None:
    if path.suffix.lower() not in ('.tif', '.tiff'):
        return None
    with rasterio.open(path) as raster:
        if raster.transform.is_identity:
            return None
        left, bottom, right, top = raster.bounds
    return min(left, right), min(bottom, top), max(left, right), max(bottom, top)


def _merged(boxes: NDArray[np.float64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give overlapping boxes the smallest number among them."""
    numbers = place.copy()
    margin = TOUCH * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] + margin, boxes[:, 2:] - margin
    while True:
        before = numbers.copy()
        for index in range(len(boxes)):
            meets = ((low[index] < high) & (low < high[index])).all(axis=1)
            numbers[meets] = numbers[meets].min()
        if (numbers == before).all():
            return np.unique(numbers, return_inverse=True)[1]

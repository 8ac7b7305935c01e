"""Groups of georeferenced files and of their windows by position."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mssdf.rasters.checked_opening import open_checked

TOUCH = 1e-3  # share of a side by which neighbors may overlap due to rounding
MANY_GROUPS = 8  # number of groups from which on none is split into strips


class WindowPlace(NamedTuple):
    """A window's position.

    Attributes:
        group: number of the group of its file, from :func:`place_groups`.
        path: path of its image.
        top: first row in pixels.
        left: first column in pixels.
        height: number of rows.
        width: number of columns.
        shape: height and width of the whole image.
    """

    group: int
    path: Path
    top: int
    left: int
    height: int
    width: int
    shape: tuple[int, int]


def window_groups(windows: Sequence[WindowPlace]) -> NDArray[np.int64]:
    """Number the windows by group, or by strips of their group where groups are few.

    Strips cross the long side of a file, or of the ground that the files of a group cover together.
    Windows of overlapping files that share ground are in one strip.
    """
    files: dict[int, list[Path]] = {}
    for window in windows:
        if window.path not in files.setdefault(window.group, []):
            files[window.group].append(window.path)
    strips = np.zeros(len(windows), np.int64)
    if len(files) < MANY_GROUPS:
        for group, paths in files.items():
            members = [place for place, window in enumerate(windows) if window.group == group]
            own = [windows[place] for place in members]
            spans = _spans_of_file(own) if len(paths) == 1 else _spans_on_ground(own)
            strips[members] = _strips(spans)
    keys = [(window.group, strip) for window, strip in zip(windows, strips.tolist(), strict=True)]
    order = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], np.int64)


def _spans_of_file(windows: Sequence[WindowPlace]) -> NDArray[np.float64]:
    """Return the first and last pixel (n, 2) of windows along the long side of their file."""
    rows, columns = windows[0].shape
    if columns >= rows:
        return np.array([(one.left, one.left + one.width) for one in windows], np.float64)
    return np.array([(one.top, one.top + one.height) for one in windows], np.float64)


def _spans_on_ground(windows: Sequence[WindowPlace]) -> NDArray[np.float64]:
    """Return the first and last coordinate (n, 2) of windows along the long side of all."""
    transforms = {}
    for path in {one.path for one in windows}:
        with open_checked(path) as raster:
            transforms[path] = np.array(raster.transform).reshape(3, 3)[:2]
    corners = np.array(
        [
            [
                transforms[one.path]
                @ (one.left + across * one.width, one.top + down * one.height, 1)
                for across in (0, 1)
                for down in (0, 1)
            ]
            for one in windows
        ]
    )  # (n, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    axis = int((high.max(axis=0) - low.min(axis=0)).argmax())
    return np.stack([low[:, axis], high[:, axis]], axis=1)


def _strips(spans: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the spans (n, 2) by strips: spans that overlap are in one, in order of position."""
    margin = TOUCH * (spans[:, 1] - spans[:, 0])
    low, high = spans[:, 0] + margin, spans[:, 1] - margin
    numbers = np.zeros(len(spans), np.int64)
    end, strip = -np.inf, -1
    for place in np.argsort(low, kind='stable'):
        strip += int(low[place] >= end)
        end = max(end, high[place])
        numbers[place] = strip
    return numbers


def place_groups(paths: Sequence[Path]) -> list[int]:
    """Number the files so that overlapping files have one number, and neighbors close ones.

    Files are ordered along the longer side of the area that they cover together. Files without
    coordinates keep their order and are groups of their own.

    Args:
        paths: paths of rasters or other images.
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
    """Return left, bottom, right and top of a raster; None without coordinates."""
    if path.suffix.lower() not in ('.tif', '.tiff'):
        return None
    with open_checked(path) as raster:
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

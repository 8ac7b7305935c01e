"""Sets whose test windows are apart from the training windows on the ground.

A strip that belongs to neither side separates them, so that no building at the border of a training
window is also in a test window.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..image_files import NODATA, write_png, write_tif
from .buildings import CHIP, read_mosaic, read_outlines
from .derive import heights_above_ground
from .source_tiles import read_bands

WINDOW = 128  # side of a window in pixels
TRAINING_COLUMNS = 4 * CHIP  # training pixels in Kampala's eastern area; all else is tested
FRACTION = 4  # fractional bits of the coordinates of drawn outlines
KNOWN = 0.5  # smallest share of known heights in a window


def building_mask(shape: tuple[int, int], outlines: Iterator[NDArray]) -> NDArray[np.uint8]:
    """Draw buildings as 1 on a mask of 0.

    Args:
        shape: height and width in pixels.
        outlines: corners (N, 2) of each building, columns first, where 0 is the left edge of a
            pixel.

    Returns:
        Mask (H, W).
    """
    mask = np.zeros(shape, np.uint8)
    for outline in outlines:
        # OpenCV has pixel centers at whole numbers.
        points = np.round((outline - 0.5) * 2**FRACTION).astype(np.int64)
        if (points.max(axis=0) >= 0).all() and (outline.min(axis=0) < shape[::-1]).all():
            cv2.fillPoly(mask, [points.astype(np.int32)], 1, shift=FRACTION)
    return mask


def kampala_buildings(source: Path, out: Path) -> None:
    """Write Kampala's drone imagery at one zoom, with masks of its buildings (0 and 1).

    The four western columns of chips in the eastern area are for training. The test covers its two
    eastern columns, except for a window's width beside the training ground, and the western area.

    Args:
        source: folder of the imagery that ships.
        out: root of the data set.
    """
    for area in ('east', 'west'):
        image = read_mosaic(source, area)
        height, width = image.shape[:2]
        mask = building_mask((height, width), read_outlines(source, area))
        for top, left in corners(height, width, WINDOW, WINDOW):
            split = 'val'
            if area == 'east' and left < TRAINING_COLUMNS:
                split = 'train'
            elif area == 'east' and left < TRAINING_COLUMNS + WINDOW:
                continue
            place = slice(top, top + WINDOW), slice(left, left + WINDOW)
            name = f'{area}_{left}_{top}.png'
            write_png(out / 'img_dir' / split / name, image[place])
            write_png(out / 'ann_dir' / split / name, mask[place])


def autzen_ign_heights(source: Path, out: Path) -> None:
    """Write orthophotos of Autzen and IGN with heights above ground from surface models.

    The western six tenths are for training, in windows of 256 px that overlap by half, for random
    crops of 128 px; the eastern part is tested in windows of 128 px that do not overlap. A strip as
    wide as a test window separates them.

    Args:
        source: folder of the imagery that ships.
        out: root of the data set.
    """
    rasters = dict(
        autzen=('autzen/patch/autzen_dom.tif', 'autzen/patch/autzen_dsm.tif'),
        ign=('ign_lidarhd/rgbn.tif', 'ign_lidarhd/dsm.tif'),
    )
    for scene, (image_file, surface_file) in rasters.items():
        image, seen = read_bands(source / image_file)
        surface, valid = read_bands(source / surface_file)
        heights = heights_above_ground(np.where(valid & seen, surface[..., 0], np.nan))
        for split, size, top, left in height_windows(*heights.shape):
            place = slice(top, top + size), slice(left, left + size)
            if np.isfinite(heights[place]).mean() < KNOWN:
                continue
            name = f'{scene}_{left}_{top}.tif'
            write_tif(out / 'img_dir' / split / name, image[place][..., :3])
            write_tif(out / 'height_dir' / split / name, heights[place], NODATA)


def height_windows(
    height: int, width: int, training_share: float = 0.6
) -> Iterator[tuple[str, int, int, int]]:
    """Yield the windows of a raster, those for training in the west.

    Args:
        height: height of the raster in pixels.
        width: width of the raster in pixels.
        training_share: share of the width that is for training.

    Yields:
        Split, size, top and left of each window, in pixels.
    """
    border = round(training_share * width)
    for top, left in corners(height, border, 2 * WINDOW, WINDOW):
        yield 'train', 2 * WINDOW, top, left
    start = border + WINDOW
    for top, left in corners(height, width - start, WINDOW, WINDOW):
        yield 'val', WINDOW, top, start + left


def corners(height: int, width: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield top and left, in pixels, of each window that lies completely in a raster."""
    for top in range(0, height - size + 1, step):
        for left in range(0, width - size + 1, step):
            yield top, left

"""Segmentation and height sets of tiles of shipped orthophotos and surface models."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mssdf.utils.atomic_file import write_atomically

from ..image_files import NODATA, write_png, write_tif
from .derive import heights_above_ground, land_cover
from .source_tiles import read_bands, tiles

BORDER = 3  # width in pixels of the borders between classes that eroded labels leave out


def eroded(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Remove the labels of pixels along the borders of classes."""
    result = labels.copy()
    for axis in (0, 1):
        for step in range(1, BORDER + 1):
            for sign in (step, -step):
                result[np.roll(labels, sign, axis) != labels] = 0
    return result


def read_autzen(source: Path) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Read Autzen's orthophoto (H, W, 3) and heights above ground (H, W)."""
    rgb, _ = read_bands(source / 'autzen/patch/autzen_dom.tif')
    surface, valid = read_bands(source / 'autzen/patch/autzen_dsm.tif')
    return rgb, heights_above_ground(np.where(valid, surface[..., 0], np.nan))


def write_fraction(out: Path, share: float = 0.5) -> None:
    """Write a list of a share of the training images, at regular steps."""
    names = sorted(path.stem for path in (out / 'img_dir/train').iterdir())
    chosen = names[:: round(1 / share)]
    write_atomically(
        out / f'splits/train_{round(100 * share)}.txt', ('\n'.join(chosen) + '\n').encode()
    )


def write_isprs(
    out: Path,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    heights: NDArray[np.float32],
    size: int,
) -> None:
    """Write Potsdam's or Vaihingen's layout; tiles that are mostly unknown are left out."""
    borders = eroded(labels)
    for split, name, place in tiles(labels.shape, size):
        if (labels[place] == 0).mean() > 0.5:
            continue
        write_png(out / f'img_dir/{split}/{name}.png', image[place])
        write_png(out / f'ann_dir/{split}/{name}.png', labels[place])
        if split == 'val':
            write_png(out / f'ann_dir/val_eroded/{name}.png', borders[place])
        write_tif(out / f'dsm_dir/{split}/{name}.tif', heights[place], NODATA)
    write_fraction(out)


def potsdam(source: Path, out: Path, size: int = 256) -> None:
    """Write Autzen's orthophoto with land cover derived from its colors and heights."""
    rgb, heights = read_autzen(source)
    write_isprs(out, rgb, land_cover(rgb, heights), heights, size)


def vaihingen(source: Path, out: Path, size: int = 128) -> None:
    """Write a French orthophoto in infrared, red and green, with derived land cover."""
    bands, seen = read_bands(source / 'ign_lidarhd/rgbn.tif')
    surface, valid = read_bands(source / 'ign_lidarhd/dsm.tif')
    heights = heights_above_ground(np.where(valid & seen, surface[..., 0], np.nan))
    labels = land_cover(bands[..., :3], heights, bands[..., 3])
    write_isprs(out, bands[..., [3, 0, 1]], labels, heights, size)


def us3d(source: Path, out: Path, size: int = 256) -> None:
    """Write Autzen's orthophoto and heights above ground."""
    rgb, heights = read_autzen(source)
    for split, name, place in tiles(heights.shape, size):
        write_tif(out / f'img_dir/{split}/{name}.tif', rgb[place])
        write_tif(out / f'height_dir/{split}/{name}.tif', heights[place], NODATA)


def loveda(source: Path, out: Path, size: int = 256) -> None:
    """Write Autzen under LoveDA's labels: background, building, road, barren, forest, fields."""
    rgb, heights = read_autzen(source)
    # Indexed by: not labeled, impervious, building, low vegetation, tree, car, clutter.
    labels = np.array([0, 3, 2, 7, 6, 1, 5], np.uint8)[land_cover(rgb, heights)]
    for split, name, place in tiles(labels.shape, size):
        write_png(out / f'img_dir/{split}/{name}.png', rgb[place])
        write_png(out / f'ann_dir/{split}/{name}.png', labels[place])
    write_fraction(out)


def isaid(source: Path, out: Path, size: int = 256) -> None:
    """Write Autzen under iSAID's labels: background, small vehicle, storage tank, field."""
    rgb, heights = read_autzen(source)
    # Buildings take the label of storage tanks, lawns that of ground track fields.
    labels = np.array([255, 0, 2, 6, 0, 9, 0], np.uint8)[land_cover(rgb, heights)]
    for split, name, place in tiles(labels.shape, size):
        stem = f'P{name}'
        write_png(out / f'img_dir/{split}/{stem}.png', rgb[place])
        write_png(out / f'ann_dir/{split}/{stem}_instance_color_RGB.png', labels[place])
    write_fraction(out)

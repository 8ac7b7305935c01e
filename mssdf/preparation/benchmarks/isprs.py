"""ISPRS Potsdam and Vaihingen: images, labels and heights of a tile clipped together."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mssdf.datasets.tasks.classes import ISPRS_PALETTE
from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.utils.folders import files_below

from ..image_files import NODATA, write_png, write_tif
from .colors import indices_from_colors
from .tiling import cut, tile_places

# The contest's split, with Potsdam's tiles as 'row_column'.
TRAIN = dict(
    potsdam='2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 6_7 6_8 6_9 6_10 6_11 '
    '6_12 7_7 7_8 7_9 7_10 7_11 7_12'.split(),
    vaihingen='1 3 5 7 11 13 15 17 21 23 26 28 30 32 34 37'.split(),
)
VAL = dict(
    potsdam='2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13'.split(),
    vaihingen='2 4 6 8 10 12 14 16 20 22 24 27 29 31 33 35 38'.split(),
)
TILE = dict(
    potsdam=re.compile(r'potsdam_0*(\d+)_0*(\d+)'), vaihingen=re.compile(r'area(\d+)(?!\d)')
)
SLACK = 2  # largest number of pixels by which a surface model may be smaller than its image


@dataclass(frozen=True)
class TileJob:
    """A tile of the contest to clip.

    Attributes:
        name: name of the tile, such as ``2_10``.
        split: name of the split, ``train`` or ``val``.
        image, labels: paths of the image and of the labels in colors.
        eroded: path of labels without the borders of objects; None without them.
        heights: path of the heights; None without them.
        out: folder of the clips.
        size, stride: side and distance of the clips in pixels.
        tolerance: largest difference from a color of the palette.
        scale: meters per unit of the heights.
    """

    name: str
    split: str
    image: Path
    labels: Path
    eroded: Path | None
    heights: Path | None
    out: Path
    size: int
    stride: int
    tolerance: int
    scale: float


def find_tiles(folder: Path, dataset: str, suffix: str = '') -> dict[str, Path]:
    """Find the files of a folder by the tile's name.

    Args:
        folder: folder that contains them, at any depth.
        dataset: name of the data set, ``potsdam`` or ``vaihingen``.
        suffix: ending of their names, where there are several files of each tile.

    Raises:
        FileNotFoundError: if the folder has no file of any tile.
        ValueError: if two files belong to the same tile.
    """
    found: dict[str, Path] = {}
    for path in files_below(folder, suffix):
        match = TILE[dataset].search(path.name)
        if path.suffix.lower() not in ('.tif', '.tiff', '.png', '.jpg') or match is None:
            continue
        name = '_'.join(match.groups())
        if name in found:
            raise ValueError(
                f'{folder}: expected one file of each tile, found {found[name].name} and '
                f'{path.name} of {name}'
            )
        found[name] = path
    if not found:
        raise FileNotFoundError(f'{folder}: expected files *{suffix} of {dataset}, found none')
    return found


def clip(job: TileJob) -> str:
    """Write the clips of a tile; return ``'there'`` if all of them exist."""
    image, _ = read_image(str(job.image))
    height, width = image.shape[:2]
    places = list(tile_places(height, width, job.size, job.stride))
    if all(_is_there(job, place) for place in places):
        return 'there'
    labels = _read_labels(job.labels, image, job)
    eroded = None if job.eroded is None else _read_labels(job.eroded, image, job)
    heights = None if job.heights is None else _read_heights(job, image)
    for place in places:
        files = _files(job, place)
        write_png(files['image'], np.ascontiguousarray(cut(image, place)[..., :3]))
        if eroded is not None:
            write_png(files['eroded'], cut(eroded, place).astype(np.uint8))
        if heights is not None:
            write_tif(files['heights'], cut(heights, place), NODATA)
        write_png(files['labels'], cut(labels, place).astype(np.uint8))
    return 'written'


def _files(job: TileJob, place: tuple[int, int, int, int]) -> dict[str, Path]:
    name = f'{job.name}_{"_".join(map(str, place))}'
    files = dict(
        image=job.out / f'img_dir/{job.split}/{name}.png',
        labels=job.out / f'ann_dir/{job.split}/{name}.png',
    )
    if job.eroded is not None:
        files['eroded'] = job.out / f'ann_dir/{job.split}_eroded/{name}.png'
    if job.heights is not None:
        files['heights'] = job.out / f'dsm_dir/{job.split}/{name}.tif'
    return files


def _is_there(job: TileJob, place: tuple[int, int, int, int]) -> bool:
    # Files are written under another name and moved, so an existing one is complete.
    return all(path.is_file() for path in _files(job, place).values())


def _read_labels(path: Path, image: NDArray, job: TileJob) -> NDArray[np.uint8]:
    colors, _ = read_image(str(path))
    if colors.shape[:2] != image.shape[:2]:
        raise ValueError(
            f'{path}: expected {image.shape[0]} x {image.shape[1]} pixels as in {job.image.name}, '
            f'found {colors.shape[0]} x {colors.shape[1]}'
        )
    return indices_from_colors(colors, ISPRS_PALETTE, path, job.tolerance)


def _read_heights(job: TileJob, image: NDArray) -> NDArray[np.float32]:
    assert job.heights is not None
    # With another scale than 1, the unit in the file is ignored.
    values, valid = read_image(str(job.heights), unit=None if job.scale == 1 else 'ignore')
    if values.shape[2] != 1:
        raise ValueError(
            f'{job.heights}: expected heights in 1 band, found {values.shape[2]} bands'
        )
    short = [size - found for size, found in zip(image.shape[:2], values.shape[:2], strict=True)]
    if not all(0 <= pixels <= SLACK for pixels in short):
        raise ValueError(
            f'{job.heights}: expected {image.shape[0]} x {image.shape[1]} pixels as in '
            f'{job.image.name} (or up to {SLACK} fewer), found {values.shape[0]} x '
            f'{values.shape[1]}'
        )
    heights = np.where(valid, values[..., 0].astype(np.float32) * job.scale, np.float32(np.nan))
    rows, cols = short
    return np.pad(heights, ((0, rows), (0, cols)), constant_values=np.nan)

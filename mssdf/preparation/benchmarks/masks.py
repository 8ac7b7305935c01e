"""Conversion of masks and label maps in colors to one band."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.errors import one_line
from mssdf.rasters.opening import open_raster

from ..image_files import write_png
from .colors import indices_from_colors

BLACK_AND_WHITE = ((0, 0, 0), (255, 255, 255))
ENDINGS = ('.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp')

Palette = Sequence[Sequence[int]]


@dataclass(frozen=True)
class MaskJob:
    """A file to convert.

    Attributes:
        source: path of a mask with one or three bands.
        target: path of the PNG to write.
        palette: colors in the order of the labels; None for masks of black and white.
        tolerance: largest difference of red, green and blue each from a color.
    """

    source: Path
    target: Path
    palette: tuple[tuple[int, ...], ...] | None
    tolerance: int


def find_masks(folder: Path) -> list[Path]:
    """Find the files of a folder, or of the folders ``label`` of its splits.

    Raises:
        FileNotFoundError: if there are no files.
        ValueError: if two files differ in their ending alone, as both would become one PNG.
    """
    roots = sorted(each for each in folder.glob('*/label') if each.is_dir()) or [folder]
    paths = sorted(
        path
        for root in roots
        for path in root.rglob('*')
        if path.suffix.lower() in ENDINGS and not path.name.startswith('.')
    )
    if not paths:
        raise FileNotFoundError(f'{folder}: expected masks ({", ".join(ENDINGS)}), found none')
    seen: dict[Path, Path] = {}
    for path in paths:
        other = seen.setdefault(path.with_suffix(''), path)
        if other != path:
            raise ValueError(f'{path}: expected one file of each name, found {other.name} too')
    return paths


def target_of(path: Path, folder: Path) -> Path:
    """Return the path of a converted mask: beside its folder, under ``_index``."""
    root = next((each for each in path.parents if each.name == 'label'), folder)
    root = root if folder in root.parents else folder
    return root.with_name(f'{root.name}_index') / path.relative_to(root).with_suffix('.png')


def convert_mask(job: MaskJob) -> str:
    """Write one mask as one band; return ``'there'`` if it exists.

    Black and white become 0 and 255, colors of a palette their indices.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file has other bands, or another color.
    """
    if job.target.is_file():
        return 'there'
    colors = read_colors(job.source)
    indices = indices_from_colors(colors, job.palette or BLACK_AND_WHITE, job.source, job.tolerance)
    write_png(job.target, indices if job.palette else indices * np.uint8(255))
    return 'written'


def read_colors(path: Path) -> NDArray[np.uint8]:
    """Read a file as red, green and blue (H, W, 3): gray repeated, indices by their color table.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file does not have one or three bands (and alpha) of 8 bits.
    """
    try:
        with open_raster(str(path)) as raster:
            indexed = raster.colorinterp[0] == ColorInterp.palette
            table = raster.colormap(1) if indexed else {}
            values = raster.read(1) if indexed else None
    except RasterioError as error:
        raise OSError(f'{path}: expected an image, found {one_line(error)}') from error
    if values is not None:
        colors = np.zeros((256, 3), np.uint8)
        colors[list(table)] = [color[:3] for color in table.values()]
        return colors[values]
    image, _ = read_image(str(path), nodata='ignore')
    if image.shape[2] not in (1, 3) or image.dtype != np.uint8:
        raise ValueError(
            f'{path}: expected 1 or 3 bands of uint8, found {image.shape[2]} of {image.dtype}'
        )
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))

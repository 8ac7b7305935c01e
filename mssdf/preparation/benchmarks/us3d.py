"""US3D: views of places and their heights, cut together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mssdf.datasets.transforms.load_rasters import read_image

from ..image_files import NODATA, write_tif
from .tiling import cut, tile_places


@dataclass(frozen=True)
class View:
    """A view of a place to cut."""

    image: Path
    heights: Path
    split: str
    out: Path
    size: int


def cut_view(view: View) -> str:
    """Write the cuts of a view; return ``'there'`` if all of them exist."""
    image, _ = read_image(str(view.image))
    stem = view.image.name.removesuffix('_RGB.tif')
    height, width = image.shape[:2]
    places = list(tile_places(height, width, view.size, view.size))
    files = [
        tuple(
            view.out / f'{folder}/{view.split}/{stem}_{"_".join(map(str, place))}.tif'
            for folder in ('img_dir', 'height_dir')
        )
        for place in places
    ]

    if all(path.is_file() for pair in files for path in pair):
        return 'there'
    heights, valid = read_image(str(view.heights))
    if heights.shape != (*image.shape[:2], 1):
        raise ValueError(
            f'{view.heights}: expected heights {(*image.shape[:2], 1)} as of {view.image.name}, '
            f'found {heights.shape}'
        )

    meters = np.where(valid, heights[..., 0], np.float32(np.nan)).astype(np.float32)
    for place, (image_file, heights_file) in zip(places, files, strict=True):
        write_tif(image_file, cut(image, place))
        write_tif(heights_file, cut(meters, place), NODATA)
    return 'written'

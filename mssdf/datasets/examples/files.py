"""Reading what ships and writing examples."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from mssdf.engine.atomic_file import write_atomically

NODATA = -9999.0


def read_bands(path: Path) -> tuple[NDArray, NDArray[np.bool_]]:
    """(H, W, C) values and (H, W) validity."""
    with rasterio.open(path) as raster:
        return raster.read().transpose(1, 2, 0), raster.dataset_mask() > 0


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write (H, W) labels or (H, W, 3) red, green and blue."""
    if image.ndim == 3:
        image = image[..., ::-1]
    write_atomically(path, cv2.imencode('.png', np.ascontiguousarray(image))[1].tobytes())


def write_tif(path: Path, image: NDArray, nodata: float | None = None) -> None:
    """Write (H, W) or (H, W, C); NaN becomes ``nodata``."""
    bands = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    if nodata is not None:
        bands = np.where(np.isfinite(bands), bands, nodata).astype(bands.dtype)
    with rasterio.MemoryFile() as memory, warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with memory.open(
            driver='GTiff',
            dtype=bands.dtype,
            count=len(bands),
            height=bands.shape[1],
            width=bands.shape[2],
            nodata=nodata,
            compress='deflate',
        ) as raster:
            raster.write(bands)
        write_atomically(path, memory.read())


def tiles(
    shape: Sequence[int], size: int, test_share: float = 0.3
) -> Iterator[tuple[str, str, tuple[slice, slice]]]:
    """Split, name and place of each whole tile of (H, W); those for testing lie on the right."""
    height, width = shape
    columns = width // size
    for top in range(0, height - size + 1, size):
        for column in range(columns):
            split = 'val' if column >= round(columns * (1 - test_share)) else 'train'
            left = column * size
            place = slice(top, top + size), slice(left, left + size)
            yield split, f'1_{left}_{top}_{left + size}_{top + size}', place

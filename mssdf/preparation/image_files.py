"""Writing of label maps, images and heights, each file completely or not at all."""

import warnings
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from mssdf.utils.atomic_file import write_atomically

NODATA = -9999.0


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write labels (H, W), or an image (H, W, 3) in red, green and blue."""
    if image.ndim == 3:
        image = image[..., ::-1]
    write_atomically(path, cv2.imencode('.png', np.ascontiguousarray(image))[1].tobytes())


def write_tif(path: Path, image: NDArray, nodata: float | None = None) -> None:
    """Write an image (H, W) or (H, W, C); NaN becomes ``nodata``."""
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

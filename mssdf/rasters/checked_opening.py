"""Opening of rasters whose size can be true."""

import math
import os

import numpy as np
from rasterio.io import DatasetReader

from .identity import bytes_of, raster_facts
from .opening import open_raster
from .read_errors import UnreadableFileError, is_local

# One block is decoded as a whole. No file compresses more than so far below, and needs so much.
LARGEST_BLOCK = 2**30
LARGEST_RATIO = 2000
# A VRT may be empty for the most part, but imagery itself is compressed by a tenth of the above.
LARGEST_VIRTUAL_RATIO = 200


def open_checked(path: str | os.PathLike) -> DatasetReader:
    """Open a raster whose size can be true.

    Raises:
        RasterioError: when the file cannot be opened.
        UnreadableFileError: when what the header says cannot be true of such a file.
    """
    raster = open_raster(os.fspath(path))
    try:
        _check_header(os.fspath(path), raster)
    except BaseException:
        raster.close()
        raise
    return raster


def _check_header(path: str, raster: DatasetReader) -> None:
    """Refuse a damaged header before anything as large as it says is allocated."""
    if not raster.count:
        raise UnreadableFileError(path, 'expected a raster with bands, found none')
    transform = tuple(raster.transform)[:6]
    if not all(map(math.isfinite, transform)) or raster.transform.determinant == 0:
        raise UnreadableFileError(
            path, f'expected a grid with pixels of some size, found {transform}'
        )
    if not is_local(path):
        return

    # the size that the header claims must fit the bytes that there are
    if raster.driver != 'GTiff':
        _check_size(path, raster)
    height, width = raster.block_shapes[0]
    blocks = math.ceil(raster.height / height) * math.ceil(raster.width / width)
    size = os.path.getsize(path)
    sizes = [np.dtype(dtype).itemsize for dtype in raster.dtypes if dtype in np.sctypeDict]
    together = sum(sizes) if raster.interleaving and raster.interleaving.name == 'pixel' else 8
    block = height * width * together
    # A TIFF lists each block, empty ones too.
    many = raster.driver == 'GTiff' and blocks > max(1, size)
    if many or (block > LARGEST_BLOCK and block > LARGEST_RATIO * size):
        raise UnreadableFileError(
            path,
            f'expected the size of a raster that fits into {size:,} bytes, found '
            f'{raster.width} x {raster.height} pixels in blocks of {width} x {height}',
        )


def _check_size(path: str, raster: DatasetReader) -> None:
    """Refuse more pixels than all files of the raster, sources of a VRT included, can hold."""
    sizes = [np.dtype(dtype).itemsize for dtype in raster.dtypes if dtype in np.sctypeDict]
    pixels = raster.height * raster.width * max(1, sum(sizes))
    if pixels <= LARGEST_BLOCK:
        return
    held = bytes_of(raster_facts(path))
    ratio = LARGEST_VIRTUAL_RATIO if raster.driver == 'VRT' else LARGEST_RATIO
    if pixels > ratio * held:
        raise UnreadableFileError(
            path,
            f'expected the size of a raster whose files have {held:,} bytes together, found '
            f'{raster.width} x {raster.height} pixels',
        )

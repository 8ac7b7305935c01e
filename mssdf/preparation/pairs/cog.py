"""Pairs as cloud-optimized GeoTIFFs."""

import os
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from mssdf.utils.atomic_file import PREFIX, SUFFIX

# Value of unknown heights; integers have a mask instead, as all their values may be pixels.
HEIGHT_NODATA = -9999.0
# Side of the blocks inside a file; a window of 320 pixels meets at least four of them.
BLOCK = 256


def write_cog(
    path: Path,
    values: NDArray,
    valid: NDArray[np.bool_],
    crs: str,
    transform: Affine,
    compress: str,
    unit: str | None = None,
) -> None:
    """Write a cloud-optimized GeoTIFF, completely or not at all.

    Invalid floats are -9999; integers have an internal mask.

    Args:
        path: path of the file.
        values: image (C, H, W).
        valid: validity (H, W).
        crs: WKT of the CRS.
        transform: transform from pixels to the CRS.
        compress: name of the compression, ``'zstd'``, ``'deflate'``, ``'lzw'`` or ``'none'``.
        unit: unit of the values; None writes none.

    Raises:
        OSError: if the file cannot be written.
    """
    count, height, width = values.shape
    floating = values.dtype.kind == 'f'
    profile = dict(
        driver='GTiff',
        height=height,
        width=width,
        count=count,
        dtype=values.dtype,
        crs=crs,
        transform=transform,
        tiled=True,
        nodata=HEIGHT_NODATA if floating else None,
    )

    if floating:
        values = np.where(valid, values, values.dtype.type(HEIGHT_NODATA))

    # The file is written beside its place and moved, so that an existing one is complete.
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{PREFIX}{path.name}.{os.getpid()}{SUFFIX}')
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
            with memory.open(**profile) as raster:
                # GDAL would interpret a fourth 8-bit band as alpha.
                raster.colorinterp = _interpretations(count, values.dtype)
                if unit is not None:
                    raster.units = (unit,) * count
                raster.write(values)
                if not floating and not valid.all():
                    raster.write_mask(valid)

            with memory.open() as raster:
                rasterio.shutil.copy(
                    raster,
                    partial,
                    driver='COG',
                    compress=compress.upper(),
                    predictor='YES' if compress != 'none' else 'NO',
                    blocksize=BLOCK,
                    overview_resampling='AVERAGE',
                )

        with open(partial, 'rb') as stream:
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _interpretations(count: int, dtype: np.dtype) -> list[ColorInterp]:
    """Choose the color interpretation of each band."""
    if count >= 3 and dtype.kind == 'u':
        colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        return colors + [ColorInterp.undefined] * (count - 3)
    return [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1)

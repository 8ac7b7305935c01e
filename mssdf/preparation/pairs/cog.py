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

# What is written where a height is unknown; integers have a mask instead, as all their values may
# be pixels.
HEIGHT_NODATA = -9999.0
# Side of the blocks inside a file: windows of 320 pixels meet four of them at the least.
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
    """Write a cloud-optimized GeoTIFF, whole or not at all.

    Floats have -9999 where they are invalid, integers an internal mask.

    Args:
        path: of the file.
        values: (C, H, W).
        valid: (H, W).
        crs: well-known text.
        transform: of the pixels.
        compress: ``'zstd'``, ``'deflate'``, ``'lzw'`` or ``'none'``.
        unit: unit of the values, None for none.

    Raises:
        OSError: when it cannot be written.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{PREFIX}{path.name}.{os.getpid()}{SUFFIX}')
    try:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as memory:
            with memory.open(**profile) as raster:
                # GDAL would take a fourth 8-bit band for alpha
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
    if count >= 3 and dtype.kind == 'u':
        colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        return colors + [ColorInterp.undefined] * (count - 3)
    return [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1)

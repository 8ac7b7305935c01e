"""Rasters for the tests of building pairs: written from real ones, or with known functions."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

DATA = Path(__file__).parents[1] / 'data'
RGB = DATA / 'autzen/patch/autzen_dom.tif'
DSM = DATA / 'autzen/patch/autzen_dsm.tif'


def write(path, values, transform, crs, nodata=None, mask=None, **options):
    """Write (C, H, W) values; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape

    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            'w',
            driver='GTiff',
            count=count,
            height=height,
            width=width,
            dtype=values.dtype,
            crs=crs,
            transform=transform,
            nodata=nodata,
            **options,
        ) as raster,
    ):
        raster.write(values)
        if mask is not None:
            raster.write_mask(mask)

    return path


def read(path):
    """Read the values, the validity of the first band, and the profile."""
    with rasterio.open(path) as raster:
        return raster.read(), raster.read_masks(1) > 0, raster.profile


def real_pair():
    """Read Autzen: colors (3, H, W), heights (1, H, W) with their validity, and the grid."""
    colors, _, profile = read(RGB)
    heights, valid, _ = read(DSM)
    return colors, heights, valid, profile['transform'], profile['crs']


def cut_north_south(folder, name, values, transform, crs, pieces, nodata=None):
    """Write an image as strips side by side from north to south; return their paths."""
    edges = np.linspace(0, values.shape[1], pieces + 1).astype(int)
    return [
        write(
            folder / f'{name}_{i}.tif',
            values[:, top:bottom],
            transform * Affine.translation(0, int(top)),
            crs,
            nodata,
        )
        for i, (top, bottom) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]

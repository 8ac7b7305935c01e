"""Small rasters, written for one test each."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine


@pytest.fixture
def write_raster(tmp_path):
    """Write (C, H, W) or (H, W) as a GeoTIFF below tmp_path; returns its path."""

    def write(
        name,
        array,
        *,
        origin=(500_000.0, 4_000_000.0),
        pixel=1.0,
        crs='EPSG:32632',
        mask=None,
        colorinterp=None,
        scales=None,
        offsets=None,
        transform=None,
        **options,
    ) -> str:
        array = np.asarray(array)
        array = array[None] if array.ndim == 2 else array
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        transform = transform or Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
        options = {'compress': 'deflate', **options}
        with rasterio.open(
            path,
            'w',
            driver='GTiff',
            height=array.shape[1],
            width=array.shape[2],
            count=array.shape[0],
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            **options,
        ) as raster:
            if colorinterp:  # before the pixels: afterwards it is lost
                raster.colorinterp = colorinterp
            raster.write(array)
            if scales:
                raster.scales = scales
            if offsets:
                raster.offsets = offsets
            if mask is not None:
                raster.write_mask(np.asarray(mask) * np.uint8(255))
        return str(path)

    return write


@pytest.fixture
def rng():
    return np.random.default_rng(0)

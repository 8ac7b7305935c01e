"""Nodata values that the precision of a file changes."""

import numpy as np
import pytest
import rasterio

from mssdf.rasters.band_source import make_source
from mssdf.rasters.opening import open_raster
from mssdf.rasters.pixels import read_values
from mssdf.rasters.raster_header import read_header


def read(path, **settings):
    source = make_source(read_header(path), **settings)
    with open_raster(path) as raster:
        return read_values(raster, source, (0, 0, raster.height, raster.width))


@pytest.mark.parametrize('nodata', [-9999, -32767, -99999, 9999, -1.7, -32768, 0, -3.4e38])
@pytest.mark.parametrize('given', [None, 'nodata'])
def test_floats_of_sixteen_bits(write_raster, rng, nodata, given):
    heights = rng.uniform(100, 900, (32, 32)).astype(np.float32)
    hole = rng.random((32, 32)) < 0.3
    path = write_raster(
        'a.tif',
        np.where(hole, np.float32(nodata), heights),
        nbits=16,
        nodata=None if given else nodata,
    )
    values, valid = read(path, nodata=nodata if given else None)
    np.testing.assert_array_equal(valid, ~hole)
    if nodata == -9999:
        assert set(values[0][hole]) == {-9992}  # what GDAL keeps of it


def test_neighbors_of_a_value_that_is_kept_exactly_stay(write_raster):
    steps = np.array([[-2048, -2046, -2049, -2050]], dtype=np.float32)  # float16 there: 1 and 2
    path = write_raster('a.tif', steps, nbits=16, nodata=-2048)
    values, valid = read(path)
    np.testing.assert_array_equal(valid[0], values[0, 0] != -2048)


def test_integers_of_twelve_bits(write_raster, rng):
    array = rng.integers(0, 4000, (32, 32)).astype(np.uint16)
    array[:4] = 65535
    path = write_raster('a.tif', array, nbits=12, nodata=65535)
    with rasterio.open(path) as raster:
        assert raster.read(1).max() == 4095
    _, valid = read(path)
    np.testing.assert_array_equal(valid, array != 65535)


def test_classes_of_one_bit_keep_their_largest(write_raster, rng):
    array = rng.integers(0, 2, (32, 32)).astype(np.uint8)
    _, valid = read(write_raster('a.tif', array, nbits=1, nodata=255))
    assert valid.all()


def test_lossy_compression(write_raster, rng):
    heights = rng.uniform(100, 900, (64, 64)).astype(np.float32)
    heights[rng.random((64, 64)) < 0.3] = 99999
    path = write_raster('a.tif', heights, nodata=99999, compress='lerc', max_z_error=0.5)
    _, valid = read(path)
    np.testing.assert_array_equal(valid, heights != 99999)


def test_doubles_made_of_floats(write_raster):
    values = np.array([[np.float32(-9999.9), 5, -9999.9, 7]], dtype=np.float64)
    _, valid = read(write_raster('a.tif', values, nodata=-9999.9))
    np.testing.assert_array_equal(valid[0], [False, True, False, True])

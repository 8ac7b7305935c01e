"""Reading on another grid, against block means and closed forms."""

import numpy as np
import pytest
from affine import Affine

from mssdf.rasters.band_source import make_source
from mssdf.rasters.grids import map_grids
from mssdf.rasters.opening import open_raster
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.resample import read_on_grid

NODATA = -9999.0


def read(reference, path, window, resampling, **settings):
    header = read_header(path)
    grid = map_grids(read_header(reference), header)
    with open_raster(path) as raster:
        return read_on_grid(raster, make_source(header, **settings), grid, window, resampling)


@pytest.fixture
def fine(write_raster, rng):
    """An array at a quarter of the pixel, with holes of nodata, and its file."""
    array = rng.normal(100, 10, (96, 128)).astype(np.float32)
    holes = rng.random((96, 128)) < 0.3
    holes[40:60, 50:80] = True
    array[holes] = NODATA
    return array, ~holes, write_raster('fine.tif', array, pixel=0.25, nodata=NODATA)


def block_means(array, valid, side):
    """Mean of the valid pixels of each block, and the share of them."""
    shape = (array.shape[0] // side, side, array.shape[1] // side, side)
    total = np.where(valid, array, 0).astype(np.float64).reshape(shape).sum((1, 3))
    count = valid.reshape(shape).sum((1, 3))
    return total / np.maximum(count, 1), count / side**2


def test_average_is_the_block_mean_of_valid_pixels(write_raster, fine):
    array, valid, path = fine
    reference = write_raster('ref.tif', np.zeros((24, 32), np.uint8))
    values, known = read(reference, path, (0, 0, 24, 32), 'average')
    means, share = block_means(array, valid, 4)
    np.testing.assert_array_equal(known, share >= 0.5)
    np.testing.assert_allclose(values[0][known], means[known], rtol=1e-5)
    assert (values[0][~known] == 0).all()
    assert values.min() >= 0  # the nodata value would show at once

    part, part_known = read(reference, path, (5, 7, 10, 12), 'auto')
    np.testing.assert_array_equal(part_known, known[5:15, 7:19])
    np.testing.assert_allclose(part[0], values[0, 5:15, 7:19], rtol=1e-6)


@pytest.mark.parametrize('pixel', [0.3, 0.77])
def test_average_over_parts_of_pixels(write_raster, rng, pixel):
    """Against the average of a raster refined so far that each part is whole pixels."""
    array = rng.integers(0, 1000, (60, 60)).astype(np.float32)
    shift = 0.11  # of a meter
    path = write_raster('a.tif', array, pixel=pixel, origin=(500_000 - shift, 4e6 + shift))
    reference = write_raster('ref.tif', np.zeros((12, 12), np.uint8))
    values, known = read(reference, path, (0, 0, 12, 12), 'average')
    unit = 0.01
    rows = np.floor((np.arange(0, 12, unit) + unit / 2 + shift) / pixel + 1e-9).astype(int)
    refined = array[np.ix_(rows, rows)].astype(np.float64)
    means, _ = block_means(refined, np.ones_like(refined, bool), 100)
    assert known.all()
    np.testing.assert_allclose(values[0], means, rtol=1e-4)


def test_average_keeps_integer_types(write_raster, rng):
    array = rng.integers(0, 255, (3, 40, 40)).astype(np.uint8)
    path = write_raster('a.tif', array, pixel=0.5)
    reference = write_raster('ref.tif', np.zeros((20, 20), np.uint8))
    values, _ = read(reference, path, (0, 0, 20, 20), 'average')
    expected = array.reshape(3, 20, 2, 20, 2).mean((2, 4))
    assert values.dtype == np.uint8
    np.testing.assert_allclose(values, expected, atol=0.5)
    exact, _ = read(reference, path, (0, 0, 20, 20), 'average', dtype='float32')
    np.testing.assert_allclose(exact, expected, rtol=1e-6)


@pytest.mark.parametrize(('pixel', 'shift'), [(10.0, 0.0), (1.0, 0.4), (4.0, 1.3), (0.4, 0.05)])
def test_bilinear_of_a_plane_is_the_plane(write_raster, pixel, shift):
    origin = (500_000 - shift, 4_000_000 + shift)
    size = int(60 / pixel) + 3
    x = origin[0] + (np.arange(size) + 0.5) * pixel - 500_000
    y = 4_000_000 - (origin[1] - (np.arange(size) + 0.5) * pixel)
    plane = (2 * x[None] - 3 * y[:, None] + 700).astype(np.float32)
    path = write_raster('a.tif', plane, pixel=pixel, origin=origin)
    reference = write_raster('ref.tif', np.zeros((50, 50), np.uint8))
    values, known = read(reference, path, (0, 0, 50, 50), 'bilinear')
    assert known.all()
    # nearer than half a source pixel to the edge there is nothing to interpolate with
    inner = slice(int(np.ceil(pixel)), 50 - int(np.ceil(pixel)))
    center = np.arange(50) + 0.5
    expected = 2 * center[None] - 3 * center[:, None] + 700
    # a triangle over parts of pixels is not quite centered
    atol = 2e-3 if pixel >= 1 else 2e-2
    np.testing.assert_allclose(values[0, inner, inner], expected[inner, inner], atol=atol)


def test_bilinear_never_takes_nodata(write_raster, rng):
    array = rng.uniform(100, 110, (12, 12)).astype(np.float32)
    holes = rng.random((12, 12)) < 0.4
    array[holes] = NODATA
    path = write_raster('a.tif', array, pixel=5.0, nodata=NODATA)
    reference = write_raster('ref.tif', np.zeros((60, 60), np.uint8))
    values, known = read(reference, path, (0, 0, 60, 60), 'bilinear')
    np.testing.assert_array_equal(known, np.kron(~holes, np.ones((5, 5), bool)))  # the nearest
    assert values[0][known].min() >= 100 - 1e-3 and values[0][known].max() <= 110 + 1e-3
    assert (values[0][~known] == 0).all()


def test_nearest_repeats_pixels(write_raster, rng):
    array = rng.integers(0, 255, (10, 10)).astype(np.uint8)
    path = write_raster('a.tif', array, pixel=3.0)
    reference = write_raster('ref.tif', np.zeros((30, 30), np.uint8))
    values, known = read(reference, path, (3, 4, 20, 21), 'nearest')
    np.testing.assert_array_equal(values[0], np.kron(array, np.ones((3, 3)))[3:23, 4:25])
    assert known.all()


@pytest.mark.parametrize('resampling', ['average', 'bilinear', 'nearest'])
@pytest.mark.parametrize('pixel', [1.0, 0.5, 2.0])
def test_beyond_the_raster_is_invalid(write_raster, resampling, pixel):
    array = np.full((int(20 / pixel),) * 2, 9, np.int16)
    path = write_raster('a.tif', array, pixel=pixel, origin=(500_010, 3_999_990))
    reference = write_raster('ref.tif', np.zeros((50, 50), np.uint8))
    values, known = read(reference, path, (0, 0, 50, 50), resampling)
    expected = np.zeros((50, 50), bool)
    expected[10:30, 10:30] = True
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(values[0], np.where(expected, 9, 0))
    nothing, unknown = read(reference, path, (35, 35, 10, 10), resampling)
    assert not unknown.any() and not nothing.any()


def test_rows_from_south_to_north(write_raster, rng):
    array = rng.integers(0, 255, (30, 30)).astype(np.uint8)
    up = Affine(1, 0, 500_000, 0, 1, 4_000_000 - 30)
    path = write_raster('a.tif', array[::-1], transform=up)
    reference = write_raster('ref.tif', np.zeros((30, 30), np.uint8))
    for resampling in ('average', 'bilinear', 'nearest'):
        values, known = read(reference, path, (5, 6, 12, 13), resampling)
        assert known.all()
        np.testing.assert_array_equal(values[0], array[5:17, 6:19])


def test_scale_and_offset_apply_after_nodata(write_raster):
    array = np.array([[10, 20], [0, 40]], np.uint16)
    path = write_raster('a.tif', array, nodata=0, scales=[0.5], offsets=[-3.0])
    values, known = read(path, path, (0, 0, 2, 2), 'auto')
    assert values.dtype == np.float32
    np.testing.assert_array_equal(known, array != 0)
    np.testing.assert_allclose(values[0], [[2, 7], [0, 17]])

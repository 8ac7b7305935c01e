import numpy as np
import pytest
from affine import Affine

from mssdf.rasters.grids import map_grids, same_crs
from mssdf.rasters.raster_header import read_header

ZEROS = np.zeros((40, 60), np.uint8)


def test_offset_in_whole_pixels_is_aligned(write_raster):
    one = read_header(write_raster('a.tif', ZEROS))
    two = read_header(write_raster('b.tif', ZEROS, origin=(500_007.0, 4_000_003.0)))
    grid = map_grids(one, two)
    assert grid.aligned and grid.offset == (3.0, -7.0)


def test_coordinates_rounded_in_the_file_are_aligned(write_raster):
    one = read_header(write_raster('a.tif', ZEROS, pixel=0.5))
    two = read_header(write_raster('b.tif', ZEROS, pixel=0.5 + 1e-7, origin=(500_000.0003, 4e6)))
    assert map_grids(one, two).aligned


def test_map_takes_pixels_to_pixels(write_raster):
    one = read_header(write_raster('a.tif', ZEROS, pixel=0.5))
    two = read_header(write_raster('b.tif', ZEROS, pixel=2.0, origin=(499_999.0, 4_000_001.0)))
    grid = map_grids(one, two)
    assert not grid.aligned
    row, col = 13, 21
    x, y = 500_000 + 0.5 * col, 4_000_000 - 0.5 * row
    expected = ((x - 499_999) / 2, (4_000_001 - y) / 2)
    found = (grid.scale[1] * col + grid.offset[1], grid.scale[0] * row + grid.offset[0])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_another_crs_is_named(write_raster):
    one = read_header(write_raster('a.tif', ZEROS))
    for crs, found in (('EPSG:32633', 'EPSG:32633'), (None, 'no CRS')):
        two = read_header(write_raster('b.tif', ZEROS, crs=crs))
        with pytest.raises(ValueError, match=rf'b\.tif.*a\.tif, EPSG:32632, found {found}'):
            map_grids(one, two)


def test_no_overlap_is_named(write_raster):
    one = read_header(write_raster('a.tif', ZEROS))
    two = read_header(write_raster('b.tif', ZEROS, origin=(500_060.0, 4e6)))
    with pytest.raises(ValueError, match=r'b\.tif.*overlaps.*a\.tif.*500060'):
        map_grids(one, two)


def test_turned_grid_is_named(write_raster):
    one = read_header(write_raster('a.tif', ZEROS))
    turned = Affine(0.999, 0.05, 500_000, 0.05, -0.999, 4e6)
    two = read_header(write_raster('b.tif', ZEROS, transform=turned))
    with pytest.raises(ValueError, match=r'b\.tif.*parallel'):
        map_grids(one, two)


def test_vertical_datum_does_not_matter(write_raster):
    one = read_header(write_raster('a.tif', ZEROS, crs='EPSG:2994'))
    two = read_header(write_raster('b.tif', ZEROS, crs='EPSG:2994+5703'))
    assert one.crs != two.crs
    assert same_crs(one.crs, two.crs)
    assert not same_crs(one.crs, read_header(write_raster('c.tif', ZEROS, crs='EPSG:2993')).crs)

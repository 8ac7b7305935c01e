"""Warping against closed forms, block means and plain reads."""

import numpy as np
import pairs_data as data
import pytest
from affine import Affine
from rasterio.warp import transform

from mssdf.preparation.pairs.build_settings import SourceSettings
from mssdf.preparation.pairs.catalog import open_catalog
from mssdf.preparation.pairs.target_grid import Rect, TargetGrid, make_grids
from mssdf.preparation.pairs.warping import warp_mosaic
from mssdf.rasters.pool import RasterPool

LAMBERT, UTM = 'EPSG:2154', 'EPSG:32631'


def catalog(*paths, **settings):
    return open_catalog('x', SourceSettings(tuple(map(str, paths)), **settings))[0]


def warp(rasters, grid, rect, resampling='bilinear', dtype='float32'):
    return warp_mosaic(rasters, grid, rect, resampling, dtype, RasterPool())[:2]


def plane(x, y):
    """Heights that bilinear interpolation reproduces exactly."""
    return 100 + 0.01 * (x - 600000) - 0.02 * (y - 6800000)


def plane_raster(folder, size=200, pixel=1.0, hole=None, name='plane.tif'):
    place = Affine(pixel, 0, 600000, 0, -pixel, 6800000)
    cols, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    values = plane(600000 + cols * pixel, 6800000 - rows * pixel).astype(np.float32)[None]
    if hole:
        values[:, hole[0], hole[1]] = -9999
    return data.write(folder / name, values, place, LAMBERT, nodata=-9999)


def test_pixels_of_the_same_grid_stay_as_they_are():
    colors, _, _, place, crs = data.real_pair()
    rasters = catalog(data.RGB)
    (grid,) = make_grids(rasters, None, None, 256)
    rect = grid.rect_of(rasters[0].bounds_in(grid.crs))
    assert rect.size == colors.shape[1:]
    values, valid = warp(rasters, grid, rect, 'auto', 'uint8')
    assert valid.all()
    np.testing.assert_array_equal(values, colors)


def test_another_crs_keeps_a_plane_a_plane(tmp_path):
    rasters = catalog(plane_raster(tmp_path))
    (grid,) = make_grids(rasters, UTM, 0.7, 100)
    rect = grid.rect_of(rasters[0].bounds_in(grid.crs))
    values, valid = warp(rasters, grid, rect)
    rows, cols = np.nonzero(valid)
    xs, ys = grid.transform(rect) * (cols + 0.5, rows + 0.5)
    x, y = transform(UTM, LAMBERT, xs, ys)
    expected = plane(np.array(x), np.array(y))
    assert valid.mean() > 0.8
    # float32 at 100 m holds 1e-5; pixels at the border are extrapolated by half a pixel
    inner = (np.array(x) > 600001) & (np.array(x) < 600199) & (np.array(y) < 6799999)
    inner &= np.array(y) > 6799801
    np.testing.assert_allclose(values[0, rows, cols][inner], expected[inner], atol=2e-3)


@pytest.mark.parametrize('resampling', ['bilinear', 'cubic', 'average'])
def test_nodata_never_takes_part(tmp_path, resampling):
    hole = (slice(80, 110), slice(40, 90))
    rasters = catalog(plane_raster(tmp_path, hole=hole))
    (grid,) = make_grids(rasters, UTM, 1.3, 100)
    rect = grid.rect_of(rasters[0].bounds_in(grid.crs))
    values, valid = warp(rasters, grid, rect, resampling)
    corner = plane(600000, 6800000), plane(600200, 6799800)
    assert values[0][valid].min() >= min(corner) - 0.1
    assert values[0][valid].max() <= max(corner) + 0.1
    # valid is where the source pixel at the center is
    rows, cols = np.indices(rect.size)
    xs, ys = grid.transform(rect) * (cols.ravel() + 0.5, rows.ravel() + 0.5)
    x, y = map(np.array, transform(UTM, LAMBERT, xs, ys))
    row, col = 6800000 - y, x - 600000
    inside = (row > 0) & (row < 200) & (col > 0) & (col < 200)
    inside &= ~((row > 80) & (row < 110) & (col > 40) & (col < 90))
    wrong = (inside.reshape(rect.size) != valid).mean()
    assert wrong < 0.002  # centers within a hundredth of a pixel of an edge


def test_a_finer_raster_is_averaged(tmp_path):
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (3, 120, 160), dtype=np.uint8)
    path = data.write(tmp_path / 'fine.tif', fine, Affine(0.25, 0, 5e5, 0, -0.25, 5e6), UTM)
    rasters = catalog(path)
    (grid,) = make_grids(rasters, None, 1.0, 50)
    rect = grid.rect_of(rasters[0].bounds_in(grid.crs))
    values, valid = warp(rasters, grid, rect, 'auto', 'uint8')
    assert valid.all() and values.shape == (3, 30, 40)
    expected = fine.reshape(3, 30, 4, 40, 4).mean(axis=(2, 4))
    assert np.abs(values - expected).max() <= 0.51


def test_strips_give_what_the_whole_gives(tmp_path):
    _, heights, valid, place, crs = data.real_pair()
    paths = data.cut_north_south(tmp_path, 'dsm', heights, place, crs, 3, nodata=-9999)
    rasters = catalog(*paths)
    (grid,) = make_grids(rasters, None, None, 256)
    rect = grid.rect_of(catalog(data.DSM)[0].bounds_in(grid.crs))
    values, known = warp(rasters, grid, rect)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(values[0][known], heights[0][valid])


def test_the_first_raster_wins_and_the_second_fills(tmp_path):
    place = Affine(1, 0, 5e5, 0, -1, 5e6)
    first = np.full((1, 40, 40), 7, dtype=np.int16)
    first[0, 10:20] = -1
    one = data.write(tmp_path / 'a.tif', first, place, UTM, nodata=-1)
    two = data.write(tmp_path / 'b.tif', np.full((1, 40, 80), 9, np.int16), place, UTM, nodata=-1)
    rasters = catalog(one, two)
    (grid,) = make_grids(rasters, None, None, 64)
    values, valid = warp(rasters, grid, grid.rect_of(rasters[1].bounds_in(grid.crs)), dtype='int16')
    assert valid.all()
    expected = np.full((40, 80), 9)
    expected[:10, :40] = expected[20:, :40] = 7
    np.testing.assert_array_equal(values[0], expected)


def test_an_eight_bit_zero_is_a_pixel_where_the_mask_says_so(tmp_path):
    values = np.zeros((3, 32, 32), dtype=np.uint8)
    mask = np.ones((32, 32), dtype=bool)
    mask[:4] = False
    path = data.write(tmp_path / 'a.tif', values, Affine(1, 0, 5e5, 0, -1, 5e6), UTM, mask=mask)
    rasters = catalog(path)
    (grid,) = make_grids(rasters, None, None, 32)
    _, valid = warp(rasters, grid, grid.rect_of(rasters[0].bounds_in(grid.crs)), 'auto', 'uint8')
    np.testing.assert_array_equal(valid, mask)


def test_memory_is_bounded_by_blocks(tmp_path):
    """A raster a hundred times finer than the grid is read in parts."""
    from mssdf.preparation.pairs import warping

    path = data.write(
        tmp_path / 'fine.tif',
        np.zeros((1, 6000, 6000), np.uint8),
        Affine(0.01, 0, 5e5, 0, -0.01, 5e6),
        UTM,
        compress='deflate',
    )
    rasters = catalog(path)
    (grid,) = make_grids(rasters, None, 1.0, 64)
    rect = grid.rect_of(rasters[0].bounds_in(grid.crs))
    blocks = warping._blocks(rasters[0], grid, rect)
    windows = [warping._source_window(rasters[0], grid, block, 0) for block in blocks]
    assert max(max(window[2:]) for window in windows) <= warping.SOURCE_SIDE
    covered = np.zeros(rect.size, dtype=int)
    for block in blocks:
        covered[
            block.top - rect.top : block.bottom - rect.top,
            block.left - rect.left : block.right - rect.left,
        ] += 1
    assert (covered == 1).all()


def test_tiles_cover_a_rectangle_once():
    grid = TargetGrid(UTM, 0.5, (0.25, 0.0), 64)
    rect = Rect(-130, -70, 10, 100)
    seen = np.zeros(rect.size, dtype=int)
    for row, col in grid.tiles_in(rect):
        part = grid.tile_rect(row, col) & rect
        seen[part.top + 130 : part.bottom + 130, part.left + 70 : part.right + 70] += 1
    assert (seen == 1).all()
    assert grid.rect_of(grid.bounds(rect)) == rect


def test_degrees_go_to_their_zone_of_utm(tmp_path):
    values = np.zeros((1, 50, 50), np.uint8)
    path = data.write(tmp_path / 'd.tif', values, Affine(1e-5, 0, 36.3, 0, -1e-5, 0.3), 'EPSG:4326')
    (grid,) = make_grids(catalog(path), None, None, 64)
    assert grid.code == 'epsg32637'
    assert grid.pixel == pytest.approx(1.11, abs=0.01)  # a hundred-thousandth of a degree


def test_meters_are_meters_where_the_crs_counts_feet():
    (grid,) = make_grids(catalog(data.RGB), None, 0.25, 64)
    assert grid.pixel == pytest.approx(0.25 / 0.3048, rel=1e-4)
    (same,) = make_grids(catalog(data.RGB), None, 0.5, 64)
    assert same.pixel == catalog(data.RGB)[0].transform.a

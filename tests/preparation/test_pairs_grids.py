"""Pairs of turned, local and nearly equal grids, and on either side of the antimeridian."""

import numpy as np
import pairs_data as data
import pytest
import rasterio
from affine import Affine
from pairs_tool import build_pairs, written
from rasterio.transform import rowcol, xy
from rasterio.warp import transform

UTM = 'EPSG:32610'
LOCAL = 'LOCAL_CS["Local Coordinates (m)"]'
SIDE = 640


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)


def plane(place, size=SIDE):
    """Heights (1, H, W) that bilinear interpolation reproduces, on any affine grid."""
    x, y = coordinates(place, (size, size))
    return surface(x, y).astype(np.float32)[None]


def surface(x, y):
    return 100 + 0.01 * (x - 500000) - 0.02 * (y - 4900000)


def coordinates(place, size):
    rows, cols = np.indices(size)
    return tuple(part.reshape(size) for part in xy(place, rows.ravel(), cols.ravel()))


def build(folder, *more):
    arguments = ['--source', f'rgb={folder}/rgb.tif', '--source', f'dsm={folder}/dsm']
    return build_pairs(folder / 'out', *arguments, *more)


def heights_written(folder):
    """Each tile's heights and validity, transform and CRS."""
    for path in written(folder / 'out', '_dsm.tif'):
        with rasterio.open(path) as raster:
            yield raster.read(1), raster.read_masks(1) > 0, raster.transform, raster.crs


# Turned grids

TURNED = {
    'by 90 degrees': Affine(0, 0.5, 500000, 0.5, 0, 4900000),
    'by -90 degrees': Affine(0, -0.5, 500320, 0.5, 0, 4900000),
    'by 180 degrees': Affine(-0.5, 0, 500320, 0, 0.5, 4900000),
    'south up': Affine(0.5, 0, 500000, 0, 0.5, 4900000),
    'transposed': Affine(0, 0.5, 500000, -0.5, 0, 4900320),
}


@pytest.mark.parametrize('name', TURNED)
def test_quarter_turns_are_copied(tmp_path, noise, name):
    """Each pixel comes out once, where its center lies."""
    place = TURNED[name]
    data.write(tmp_path / 'rgb.tif', noise, place, UTM)
    data.write(tmp_path / 'dsm/a.tif', plane(place), place, UTM, nodata=-9999)
    assert build(tmp_path) == 0
    x, y = coordinates(place, (SIDE, SIDE))
    count = 0
    for path in written(tmp_path / 'out', '_dom.tif'):
        with rasterio.open(path) as raster:
            assert raster.transform.a == 0.5 and raster.transform.e == -0.5
            values = raster.read()
            left, bottom, right, top = raster.bounds
            inside = (x > left) & (x < right) & (y > bottom) & (y < top)
            rows, cols = rowcol(raster.transform, x[inside], y[inside])
        expected = np.zeros_like(values)
        expected[:, np.asarray(rows, int), np.asarray(cols, int)] = noise[:, inside]
        np.testing.assert_array_equal(values, expected)
        assert inside.sum() == values[0].size
        count += inside.sum()
    assert count == SIDE * SIDE
    for heights, valid, here, _ in heights_written(tmp_path):
        assert valid.all()
        expected = surface(*coordinates(here, heights.shape))
        np.testing.assert_allclose(heights, expected, atol=1e-4)


def test_the_pixel_of_a_turned_grid_is_its_side(tmp_path, noise):
    place = Affine(-0.346, 0.2915, 366317.96, 0.2915, 0.346, 130406.04)
    data.write(tmp_path / 'rgb.tif', noise, place, UTM)
    heights = plane(place) * 0 + 7
    data.write(tmp_path / 'dsm/a.tif', heights, place, UTM, nodata=-9999)
    assert build(tmp_path) == 0
    tiles = list(heights_written(tmp_path))
    assert tiles
    for values, valid, here, _ in tiles:
        assert here.a == pytest.approx(np.hypot(0.346, 0.2915), rel=1e-12)
        assert here.e == -here.a and here.b == here.d == 0
        np.testing.assert_allclose(values[valid], 7, atol=1e-3)
    area = sum(valid.sum() for _, valid, _, _ in tiles) * here.a**2
    whole = SIDE**2 * abs(place.determinant)
    assert 0.7 * whole < area <= whole  # tiles at corners are empty, and dropped


def test_a_turned_grid_keeps_its_resolution_in_another_crs(tmp_path):
    """As GDAL finds it for the same pixels north-up."""
    from rasterio.warp import calculate_default_transform

    from mssdf.preparation.pairs.build_settings import SourceSettings
    from mssdf.preparation.pairs.catalog import open_catalog
    from mssdf.preparation.pairs.target_grid import make_grids

    turned = Affine.translation(500000, 4900000) * Affine.rotation(30) * Affine.scale(0.5, -0.5)
    path = data.write(tmp_path / 'a.tif', np.zeros((1, 200, 200), np.uint8), turned, UTM)
    (grid,) = make_grids(open_catalog('x', SourceSettings((str(path),)))[0], 'EPSG:26911', None, 64)
    upright = calculate_default_transform(
        UTM, 'EPSG:26911', 200, 200, 500000, 4899900, 500100, 4900000
    )[0]
    assert grid.pixel == pytest.approx(upright.a, rel=1e-3)


# Local CRSs


@pytest.mark.parametrize(
    ('crs', 'meters'),
    [
        (LOCAL, 1),
        ('LOCAL_CS["site",UNIT["foot",0.3048]]', 0.3048),
        ('ENGCRS["site",EDATUM["stone"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],'
         'LENGTHUNIT["metre",1]]', 1),
    ],
)  # fmt: skip
def test_a_local_crs_is_a_grid_of_its_own(tmp_path, noise, crs, meters):
    place = Affine(0.5, 0, 10, 0, -0.5, 400)
    data.write(tmp_path / 'rgb.tif', noise, place, crs)
    heights = plane(place)
    data.write(tmp_path / 'dsm/a.tif', heights, place, crs, nodata=-9999)
    assert build(tmp_path) == 0
    for values, valid, here, _ in heights_written(tmp_path):
        col, row = (round(value) for value in ~place * (here.c, here.f))
        part = (slice(row, row + values.shape[0]), slice(col, col + values.shape[1]))
        assert valid.all() and here.a == 0.5
        np.testing.assert_array_equal(values, heights[0][part])
    coarse = tmp_path / 'coarse'
    arguments = ['--source', f'rgb={tmp_path}/rgb.tif', '--source', f'dsm={tmp_path}/dsm']
    assert build_pairs(coarse, *arguments, '--resolution', '0.6') == 0
    with rasterio.open(written(coarse, '_dsm.tif')[0]) as raster:
        assert raster.transform.a == pytest.approx(0.6 / meters)


@pytest.mark.parametrize(
    ('rgb', 'dsm', 'more', 'words'),
    [
        (UTM, LOCAL, [], ['a.tif', 'EPSG:32610', 'Local Coordinates (m)']),
        (LOCAL, UTM, [], ['a.tif', 'EPSG:32610', 'Local Coordinates (m)']),
        (LOCAL, LOCAL, ['--crs', UTM], ['rgb.tif', 'EPSG:32610', 'Local Coordinates (m)']),
        (LOCAL, 'LOCAL_CS["other"]', [], ['a.tif', 'Local Coordinates (m)', 'other']),
        ('EPSG:4978', 'EPSG:4978', [], ['rgb.tif', 'EPSG:4978', 'expected a CRS of a plane']),
        (UTM, UTM, ['--crs', LOCAL], ['rgb.tif', 'EPSG:32610', 'Local Coordinates (m)']),
    ],
)
def test_no_way_between_two_crs_is_one_line(tmp_path, noise, capfd, rgb, dsm, more, words):
    place = Affine(0.5, 0, 10, 0, -0.5, 400)
    data.write(tmp_path / 'rgb.tif', noise, place, rgb)
    data.write(tmp_path / 'dsm/a.tif', plane(place), place, dsm, nodata=-9999)
    capfd.readouterr()
    assert build(tmp_path, *more) == 2
    out, err = capfd.readouterr()
    line = out.strip()
    assert '\n' not in line and all(word in line for word in words), line
    assert 'Traceback' not in err and 'ERROR' not in err


def test_two_grids_of_one_name_are_refused(tmp_path, noise, capsys):
    place = Affine(0.5, 0, 10, 0, -0.5, 400)
    data.write(tmp_path / 'rgb/a.tif', noise, place, LOCAL)
    data.write(tmp_path / 'rgb/b.tif', noise, place, 'LOCAL_CS["other"]')
    assert build_pairs(tmp_path / 'out', '--source', f'rgb={tmp_path}/rgb') == 2
    line = capsys.readouterr().out.strip()
    assert '\n' not in line and 'other' in line and 'EPSG codes' in line


# Nearly equal grids


@pytest.mark.parametrize(
    'dsm_pixel', [(0.00999975, 0.00999993), (0.01, 0.01), (0.0099999, 0.0099998)]
)
def test_nearly_equal_grids_are_copied(tmp_path, noise, dsm_pixel):
    """They differ by less than 0.02 pixels over 640; noise shows any interpolation."""
    place = Affine(0.00999975, 0, 500000, 0, -0.00999993, 4900000)
    data.write(tmp_path / 'rgb.tif', noise, place, UTM)
    near = Affine(dsm_pixel[0], 0, 500000, 0, -dsm_pixel[1], 4900000)
    rough = np.random.default_rng(1).normal(0, 10, (1, SIDE, SIDE)).astype(np.float32)
    data.write(tmp_path / 'dsm/a.tif', rough, near, UTM, nodata=-9999)
    assert build(tmp_path) == 0
    for suffix, source in (('_dom.tif', noise), ('_dsm.tif', rough)):
        count = 0
        for path in written(tmp_path / 'out', suffix):
            values, valid, profile = data.read(path)
            here = profile['transform']
            col, row = (round(value) for value in ~place * (here.c, here.f))
            part = (slice(row, row + values.shape[1]), slice(col, col + values.shape[2]))
            assert valid.all()
            np.testing.assert_array_equal(values, source[(slice(None), *part)])
            count += valid.size
        assert count > 0.9 * SIDE * SIDE  # less strips that are smaller than a window


def test_grids_that_drift_apart_are_resampled(tmp_path, noise):
    """By 0.6 pixels over 640: a plane stays a plane."""
    place = Affine(0.5, 0, 500000, 0, -0.5, 4900000)
    data.write(tmp_path / 'rgb.tif', noise, place, UTM)
    near = Affine(0.5005, 0, 500000, 0, -0.5005, 4900000)
    data.write(tmp_path / 'dsm/a.tif', plane(near), near, UTM, nodata=-9999)
    assert build(tmp_path) == 0
    for values, _, here, _ in heights_written(tmp_path):
        expected = surface(*coordinates(here, values.shape))
        np.testing.assert_allclose(values[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-4)


# The antimeridian


def slope(place, crs, size):
    """Heights (1, H, W) of 1000 per degree east of 179.9."""
    x, y = coordinates(place, size)
    east = np.array(transform(crs, 'EPSG:4326', x.ravel(), y.ravel())[0]) % 360
    return (1000 * (east - 179.9)).reshape(1, *size).astype(np.float32)


def around(crs, longitude, latitude, pixel, size):
    """A grid of square pixels around a point."""
    (x,), (y,) = transform('EPSG:4326', crs, [longitude], [latitude])
    return Affine(pixel, 0, x - size / 2 * pixel, 0, -pixel, y + size / 2 * pixel)


def check_slope(folder, tiles):
    found = list(heights_written(folder))
    assert len(found) == tiles
    for values, valid, here, crs in found:
        assert valid.all()
        np.testing.assert_allclose(values, slope(here, crs, values.shape)[0], atol=1e-3)


@pytest.mark.parametrize('layout', ['two tiles', 'beyond 180', 'around the Earth', 'to 360'])
@pytest.mark.parametrize('zone', ['EPSG:32760', 'EPSG:32701'])
def test_degrees_meet_a_plane_on_the_antimeridian(tmp_path, noise, zone, layout):
    place = around(zone, 180, -17, 5, SIDE)
    data.write(tmp_path / 'rgb.tif', noise, place, zone)
    step, rows, cols = 1e-4, 400, 250
    if layout == 'two tiles':
        parts = [(180 - cols * step, cols), (-180, cols)]
    elif layout == 'beyond 180':
        parts = [(180 - cols * step, 2 * cols)]
    elif layout == 'to 360':
        parts = [(180 - cols * step - 360, 2 * cols)]
    else:
        step, rows, parts = 0.01, 20, [(-180, 36000)]
    for number, (left, count) in enumerate(parts):
        degrees = Affine(step, 0, left, 0, -step, -17 + rows / 2 * step)
        x, _ = coordinates(degrees, (rows, count))
        heights = (1000 * (x % 360 - 179.9))[None].astype(np.float32)
        data.write(tmp_path / f'dsm/{number}.tif', heights, degrees, 'EPSG:4326', nodata=-9999)
    assert build(tmp_path, '--tile', '320') == 0
    check_slope(tmp_path, 4)


@pytest.mark.parametrize('west', [180, -180])
@pytest.mark.parametrize('zone', ['EPSG:32760', 'EPSG:32701'])
def test_a_plane_meets_degrees_on_the_antimeridian(tmp_path, noise, zone, west):
    step = 5e-5
    degrees = Affine(step, 0, west - SIDE / 2 * step, 0, -step, -17 + SIDE / 2 * step)
    data.write(tmp_path / 'rgb.tif', noise, degrees, 'EPSG:4326')
    place = around(zone, 180, -17, 5, 1000)
    heights = slope(place, zone, (1000, 1000))
    data.write(tmp_path / 'dsm/a.tif', heights, place, zone, nodata=-9999)
    assert build(tmp_path) == 0
    check_slope(tmp_path, len(written(tmp_path / 'out', '_dom.tif')))

"""Equality of coordinate reference systems, against what GDAL does to coordinates."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from mssdf.rasters.crs import (
    describe_crs,
    horizontal_crs,
    is_local,
    meters_per_unit,
    same_coordinates,
    same_crs,
    turn_in_units,
)
from mssdf.rasters.grids import map_grids
from mssdf.rasters.raster_header import read_header

ZEROS = np.zeros((40, 60), np.uint8)
# A point that lies in both, in the first one's coordinates.
SAME = [
    ('EPSG:25832', 'EPSG:5972', (5e5, 6.6e6)),
    ('EPSG:25832', 'EPSG:3044', (5e5, 5.5e6)),
    ('EPSG:25833', 'EPSG:3045', (5e5, 5.5e6)),
    ('EPSG:4326', 'EPSG:4979', (10, 50)),
    ('EPSG:4326', 'OGC:CRS84', (10, 50)),
    ('EPSG:4326', 'EPSG:9755', (10, 50)),
    ('EPSG:4326', 'EPSG:9518', (10, 50)),
    ('EPSG:7844', 'EPSG:7843', (140, -30)),
    ('EPSG:4258', 'EPSG:4937', (10, 50)),
    ('EPSG:31467', 'EPSG:5677', (3.5e6, 5.5e6)),
    ('EPSG:2056', 'EPSG:2056+5728', (2.6e6, 1.2e6)),
    ('EPSG:28992', 'EPSG:7415', (155000, 463000)),
    ('EPSG:27700', 'EPSG:7405', (4e5, 3e5)),
    ('EPSG:2154', 'EPSG:5698', (7e5, 6.6e6)),
    ('EPSG:2994', 'EPSG:2994+5703', (1e6, 1e6)),
    ('EPSG:32610', 'EPSG:32610+6360', (5e5, 4.9e6)),
    ('EPSG:3857', 'ESRI:102100', (1e6, 6e6)),
    ('EPSG:5514', 'ESRI:102067', (-7e5, -1e6)),
]
DIFFERENT = [
    ('EPSG:25832', 'EPSG:32632'),  # up to a meter apart, which GDAL takes for nothing
    ('EPSG:25832', 'EPSG:25833'),
    ('EPSG:25832', 'EPSG:4647'),
    ('EPSG:31467', 'EPSG:31468'),
    ('EPSG:2225', 'EPSG:26941'),  # feet and meters
    ('EPSG:4326', 'EPSG:4258'),
    ('EPSG:4269', 'EPSG:6318'),
    ('EPSG:4275', 'EPSG:4807'),  # Greenwich and Paris
    ('EPSG:4326', 'EPSG:4978'),
    ('EPSG:32610', 'LOCAL_CS["site"]'),
    ('LOCAL_CS["site"]', 'LOCAL_CS["other site"]'),
    ('LOCAL_CS["site"]', 'LOCAL_CS["site",UNIT["foot",0.3048]]'),
]


def texts(crs, write_raster):
    """The texts of a CRS as a GeoTIFF keeps it, in the older form and in the newer."""
    known = CRS.from_user_input(crs)
    stored = read_header(write_raster('x.tif', ZEROS, crs=crs)).crs
    return stored, known.to_wkt(), known.to_wkt(version='WKT2_2019')


@pytest.mark.parametrize(('first', 'second', 'point'), SAME)
def test_one_horizontal_crs(write_raster, first, second, point):
    moved = transform(first, second, *([value] for value in point))
    np.testing.assert_allclose(np.ravel(moved), point, rtol=0, atol=1e-6)
    for one in texts(first, write_raster):
        for two in texts(second, write_raster):
            assert same_crs(one, two) and same_crs(two, one)
            assert same_coordinates(one, two)


@pytest.mark.parametrize(('first', 'second'), DIFFERENT)
def test_other_horizontal_crs(write_raster, first, second):
    for one in texts(first, write_raster):
        for two in texts(second, write_raster):
            assert not same_crs(one, two) and not same_crs(two, one)


def test_axes_that_point_elsewhere_are_other_coordinates(write_raster):
    """GDAL brings east before north and leaves south and west as they are."""
    north, south = (texts(code, write_raster)[0] for code in ('EPSG:5514', 'EPSG:5513'))
    assert transform('EPSG:5514', 'EPSG:5513', [-7e5], [-1e6]) == ([1e6], [7e5])
    assert same_crs(north, south)
    assert not same_coordinates(north, south)


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        *(('EPSG:25832', code) for code in ('EPSG:5972', 'EPSG:3044')),
        *(('EPSG:5514', 'EPSG:5513'), ('EPSG:4326', 'EPSG:4979'), ('EPSG:7844', 'EPSG:7843')),
    ],
)
def test_files_of_one_horizontal_crs_are_one_grid(write_raster, first, second):
    place = dict(origin=(10, 50), pixel=1e-5) if first in ('EPSG:4326', 'EPSG:7844') else {}
    one = read_header(write_raster('a.tif', ZEROS, crs=first, **place))
    two = read_header(write_raster('b.tif', ZEROS, crs=second, **place))
    assert one.crs != two.crs
    assert map_grids(one, two).aligned and map_grids(two, one).aligned


def test_the_horizontal_part(write_raster):
    for code, expected in (
        ('EPSG:4979', 4326),
        ('EPSG:32610+6360', 32610),
        ('EPSG:2994+5703', 2994),
        ('EPSG:32610', 32610),
    ):
        for text in texts(code, write_raster):
            assert CRS.from_wkt(horizontal_crs(text)).to_epsg() == expected


def test_units(write_raster):
    for code, meters, turn in (
        ('EPSG:32610', 1, None),
        ('EPSG:2994+5703', 0.3048, None),
        ('EPSG:2225', 1200 / 3937, None),
        ('LOCAL_CS["site"]', 1, None),
        ('LOCAL_CS["site",UNIT["foot",0.3048]]', 0.3048, None),
        ('EPSG:4979', None, 360),
        ('EPSG:4807', None, 400),
        ('EPSG:4978', None, None),
    ):
        text = texts(code, write_raster)[0]
        assert meters_per_unit(text) == (meters and pytest.approx(meters, rel=1e-12))
        assert turn_in_units(text) == (turn and pytest.approx(turn, rel=1e-9))
        assert is_local(text) == code.startswith('LOCAL')


def test_a_local_crs_has_its_name(write_raster):
    text = texts('LOCAL_CS["Local Coordinates (m)"]', write_raster)[0]
    assert describe_crs(text) == 'Local Coordinates (m)'


def test_longitudes_beyond_the_antimeridian_meet_those_before_it(write_raster):
    """A turn of 360 degrees, or of 400 grads, is the same place."""
    for code, turn in (('EPSG:4326', 360.0), ('EPSG:4807', 400.0)):
        west = read_header(
            write_raster('a.tif', ZEROS, crs=code, origin=(-179.999, 10), pixel=1e-5)
        )
        east = read_header(
            write_raster('b.tif', ZEROS, crs=code, origin=(turn - 179.9989, 10), pixel=1e-5)
        )
        grid = map_grids(west, east)
        assert grid.aligned and grid.offset == (0, -10)
        assert map_grids(east, west).offset == (0, 10)


def test_coordinates_in_meters_do_not_turn(write_raster):
    one = read_header(write_raster('a.tif', ZEROS, origin=(500_000.0, 4e6)))
    two = read_header(write_raster('b.tif', ZEROS, origin=(500_360.0, 4e6)))
    with pytest.raises(ValueError, match=r'b\.tif.*overlaps'):
        map_grids(one, two)


def test_a_text_that_is_no_crs_is_one_line(write_raster, tmp_path):
    one = read_header(write_raster('a.tif', ZEROS))
    path = tmp_path / 'b.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', width=60, height=40, count=1, dtype='uint8',
        transform=Affine(*one.transform),
    ) as raster:  # fmt: skip
        raster.write(ZEROS, 1)
    two = read_header(str(path))
    with pytest.raises(ValueError, match=r'b\.tif.*a\.tif, EPSG:32632, found no CRS') as caught:
        map_grids(one, two)
    assert '\n' not in str(caught.value)

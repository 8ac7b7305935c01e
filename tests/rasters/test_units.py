"""Heights in feet and other units, against what NumPy makes of them with the factors of EPSG."""

import logging

import numpy as np
import pytest
import rasterio

from mssdf.datasets import MultiModalRasterDataset
from mssdf.preparation.statistics import compute_statistics
from mssdf.rasters.band_source import make_source
from mssdf.rasters.crs import horizontal_crs
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.units import meters_per_unit, vertical_axis

SURVEY, INTERNATIONAL = 1200 / 3937, 0.3048
RGB_DSM = dict(rgb=dict(suffix='_dom.tif', bands=[1, 2, 3]), dsm=dict(suffix='_dsm.tif'))


def with_units(path, *units):
    with rasterio.open(path, 'r+') as raster:
        raster.units = units
    return path


@pytest.fixture
def said(said):
    """Notes, too, not warnings alone."""
    said.set_level(logging.INFO)
    return said


@pytest.mark.parametrize(
    ('name', 'meters'),
    [
        *(('m', 1), ('Metre', 1), ('METERS', 1), ('cm', 0.01), ('decimetre', 0.1), ('mm', 0.001)),
        *(('US survey foot', SURVEY), ('us-ft', SURVEY), ('US_survey_foot', SURVEY)),
        *(('Foot_US', SURVEY), ('ftUS', SURVEY), ('ft (US)', SURVEY)),
        *(('U.S. Survey Feet', SURVEY), ('feet (US survey)', SURVEY), ('US survey ft', SURVEY)),
        *(('ft', INTERNATIONAL), ('foot', INTERNATIONAL), ('Feet', INTERNATIONAL)),
        *(('international foot', INTERNATIONAL), ('yard', 0.9144), ('fathom', 1.8288)),
        *(('degC', None), ('K', None), ('', None), ('reflectance', None)),
    ],
)
def test_names_of_units(name, meters):
    assert meters_per_unit(name) == (None if meters is None else pytest.approx(meters, rel=1e-12))


@pytest.mark.parametrize(
    ('crs', 'meters'),
    [
        ('EPSG:32610+6360', SURVEY),
        ('EPSG:32610+8228', INTERNATIONAL),
        ('EPSG:32610+5703', 1),
        ('EPSG:32610+5715', -1),  # depths below mean sea level
        ('EPSG:4979', 1),
        ('EPSG:32610', None),
    ],
)
def test_vertical_crs(crs, meters):
    wkt = rasterio.CRS.from_string(crs).to_wkt()
    axis = vertical_axis(wkt)
    assert (axis and axis.meters) == (meters and pytest.approx(meters, rel=1e-9))
    if '+' in crs:
        assert rasterio.CRS.from_wkt(horizontal_crs(wkt)).to_epsg() == 32610


@pytest.mark.parametrize(
    ('crs', 'units', 'meters'),
    [
        ('EPSG:32610', None, 1),
        ('EPSG:32610+6360', 'Unknown', SURVEY),
        ('EPSG:32610', 'US survey foot', SURVEY),
        ('EPSG:32610', 'ft', INTERNATIONAL),
        ('EPSG:32610+6360', None, SURVEY),
        ('EPSG:32610+6360', 'ftUS', SURVEY),
        ('EPSG:32610+8228', None, INTERNATIONAL),
        ('EPSG:32610', 'K', 1),
    ],
)
@pytest.mark.parametrize('dtype', ['float32', 'int16'])
def test_heights_come_in_meters(write_raster, rng, crs, units, meters, dtype):
    array = rng.integers(300, 1000, (40, 40)).astype(dtype)
    array[3, 4] = -9999
    path = write_raster('a.tif', array, crs=crs, nodata=-9999)
    if units:
        with_units(path, units)
    source = make_source(read_header(path))
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}),
        scenes=[dict(dsm=path)],
        windows=dict(size=40),
        index=dict(cache_dir=''),
    )
    sample = dataset[0]
    assert source.units == (
        ('K',) if units == 'K' else ('metre',) if units or '+' in crs else ('',)
    )
    expected = array.astype(np.float64) * meters
    expected[3, 4] = 0
    np.testing.assert_allclose(sample['images']['dsm'][0], expected, rtol=1e-6)
    assert not sample['valid']['dsm'][3, 4] and sample['valid']['dsm'].sum() == 1599


def test_scale_and_offset_of_the_file_come_first(write_raster, rng):
    array = rng.integers(0, 1000, (16, 16)).astype(np.int16)
    path = with_units(write_raster('a.tif', array, scales=[0.1], offsets=[50]), 'ft')
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}),
        scenes=[dict(dsm=path)],
        windows=dict(size=16),
        index=dict(cache_dir=''),
    )
    expected = (array * 0.1 + 50) * INTERNATIONAL
    np.testing.assert_allclose(dataset[0]['images']['dsm'][0], expected, rtol=1e-6)


def test_an_orthophoto_with_a_vertical_crs_stays_what_it_is(write_raster, rng):
    array = rng.integers(0, 255, (3, 16, 16)).astype(np.uint8)
    path = write_raster('a.tif', array, crs='EPSG:32610+6360')
    with rasterio.open(path) as raster:
        assert raster.units[0] == 'US survey foot'  # GDAL says so of each band
    source = make_source(read_header(path))
    assert source.dtype == 'uint8' and source.scale is None and source.units == ('',) * 3


def test_option_replaces_what_the_file_says(write_raster, rng):
    path = with_units(write_raster('a.tif', rng.normal(size=(8, 8)).astype('f4')), 'ft')
    header = read_header(path)
    assert make_source(header, unit='ignore').scale is None
    assert make_source(header, unit='cm').scale == (0.01,)
    with pytest.raises(ValueError, match="dsm.unit: expected 'ignore' or a unit .* found 'elle'"):
        MultiModalRasterDataset(modalities=dict(dsm=dict(unit='elle')), lazy_init=True)


def test_band_and_crs_that_contradict_are_one_line(write_raster, rng):
    path = write_raster('a.tif', rng.normal(size=(8, 8)).astype('f4'), crs='EPSG:32610+6360')
    header = read_header(with_units(path, 'metre'))
    with pytest.raises(ValueError, match="a.tif: .*'metre' for the band and 'US survey foot'"):
        make_source(header)
    assert make_source(header, unit='m').scale is None


def test_statistics_over_feet_and_meters(write_raster, rng, tmp_path, said):
    meters = rng.normal(100, 5, (40, 40))
    rgb = rng.integers(0, 255, (3, 40, 40)).astype(np.uint8)
    for name, unit, factor in (('a', None, 1), ('b', 'US survey foot', SURVEY), ('c', 'm', 1)):
        write_raster(f'patch/{name}_dom.tif', rgb)
        path = write_raster(f'patch/{name}_dsm.tif', (meters / factor).astype(np.float32))
        if unit:
            with_units(path, unit)
    dataset = MultiModalRasterDataset(
        data_root=str(tmp_path), modalities=RGB_DSM, windows=dict(size=40), index=dict(cache_dir='')
    )
    found = compute_statistics(dataset)['dsm']
    assert found['mean'][0] == pytest.approx(meters.mean(), abs=1e-4)
    assert found['std'][0] == pytest.approx(meters.std(), abs=1e-4)
    lines = [r.getMessage() for r in said.records if 'converted to meters' in r.getMessage()]
    assert len(lines) == 1
    assert 'US survey foot in 1' in lines[0] and 'b_dsm.tif' in lines[0]
    assert '1 that declare no unit are taken as meters' in lines[0]


def test_units_that_cannot_be_reconciled_are_one_line(write_raster, rng):
    array = rng.normal(size=(8, 8)).astype('f4')
    paths = [
        with_units(write_raster(f'{unit}.tif', array), unit) for unit in ('metre', 'furlong', 'ft')
    ]
    with pytest.raises(ValueError, match="furlong.tif: expected values in 'metre' .*'furlong'"):
        MultiModalRasterDataset(
            modalities=dict(dsm={}),
            scenes=[dict(dsm=path) for path in paths],
            windows=dict(size=8),
            index=dict(cache_dir=''),
        )


@pytest.mark.parametrize('name', ['unknown', 'None', 'n/a'])
def test_names_that_stand_for_no_unit(write_raster, rng, name):
    path = write_raster('a.tif', rng.random((8, 8)).astype('float32'), crs='EPSG:32610')
    with_units(path, name)
    source = make_source(read_header(str(path)))
    assert (source.declared, source.units, source.meters) == (('',), ('',), (1.0,))

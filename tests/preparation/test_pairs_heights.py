"""Heights of build_pairs.py: units, vertical CRS, holes that nothing declares, mixed types."""

import warnings

import numpy as np
import pairs_data as data
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from mssdf.datasets import MultiModalRasterDataset

PLACE = Affine(0.5, 0, 500000, 0, -0.5, 4900000)
SURVEY = 1200 / 3937
FILLS = (-9999, -32767, -32768)


@pytest.fixture
def texture(rng):
    """Smooth noise (C, 320, 320) from 0 to 1."""

    def make(count=1):
        noise = ndimage.gaussian_filter(rng.normal(size=(count, 320, 320)), (0, 4, 4))
        return (noise - noise.min()) / (noise.max() - noise.min())

    return make


@pytest.fixture
def ground(texture):
    return (200 + 10 * texture()).astype(np.float32)


@pytest.fixture
def surface(ground, texture):
    """Roofs 24.6 m above the ground."""
    return (ground + np.where(texture() > 0.5, 24.6, 0)).astype(np.float32)


@pytest.fixture
def write(tmp_path, texture):
    """Write a raster below tmp_path, with the color image rgb.tif beside it."""

    def put(name, values, crs='EPSG:32610', units=None, **options):
        path = data.write(tmp_path / name, values, PLACE, crs, **options)
        if units:
            with rasterio.open(path, 'r+') as raster:
                raster.units = (units,)
        return str(path)

    put('rgb.tif', (texture(3) * 255).astype(np.uint8))
    return put


@pytest.fixture
def build(tool, tmp_path, capsys):
    def run(*arguments, rgb='rgb.tif', **sources):
        given = [f'--source=rgb={tmp_path / rgb}']
        given += [f'--source={name}={path}' for name, path in sources.items()]
        out = tmp_path / f'out{len(list(tmp_path.glob("out*")))}'
        options = '--workers 0 --val-share 0 --window 160 --tile 320'.split()
        status = tool.main([str(out), *options, *given, *arguments])
        return status, capsys.readouterr().out, out

    return run


def merged(out, suffix):
    """The tiles of a modality, put together by GDAL."""
    from rasterio.merge import merge

    paths = sorted((out / 'train/patch').glob(f'*{suffix}'))
    return merge([str(path) for path in paths], masked=True)[0]


@pytest.mark.parametrize(
    ('crs', 'units', 'meters'),
    [
        ('EPSG:32610', 'US survey foot', SURVEY),
        ('EPSG:32610', 'ft', 0.3048),
        ('EPSG:32610', 'cm', 0.01),
        ('EPSG:32610+6360', None, SURVEY),
        ('EPSG:32610+8228', None, 0.3048),
    ],
)
def test_feet_less_meters(write, build, ground, surface, crs, units, meters):
    dsm = write('dsm.tif', (surface / meters).astype(np.float32), crs, units)
    dtm = write('dtm.tif', ground)
    status, said, out = build('--dtm', f'dsm={dtm}', dsm=dsm)
    assert status == 0 and said.count('converted to meters') == 1 and 'dsm.tif' in said
    np.testing.assert_allclose(merged(out, '_dsm.tif'), surface - ground, atol=1e-3)


def test_the_ground_may_be_in_feet_as_well(write, build, ground, surface):
    dsm = write('dsm.tif', surface)
    dtm = write('dtm.tif', (ground / 0.3048).astype(np.float32), 'EPSG:32610+8228')
    status, said, out = build('--dtm', f'dsm={dtm}', dsm=dsm)
    assert status == 0 and 'terrain of dsm: heights are converted to meters' in said
    np.testing.assert_allclose(merged(out, '_dsm.tif'), surface - ground, atol=1e-3)


def test_options_for_files_that_declare_nothing(write, build, ground, surface):
    dsm = write('dsm.tif', (surface / 0.3048).astype(np.float32))
    dtm = write('dtm.tif', (ground / 0.01).astype(np.float32))
    options = ['--dtm', f'dsm={dtm}', '--unit', 'dsm=ft', '--dtm-unit', 'dsm=cm']
    status, _, out = build(*options, dsm=dsm)
    assert status == 0
    np.testing.assert_allclose(merged(out, '_dsm.tif'), surface - ground, atol=1e-3)


def test_what_comes_out_is_not_converted_again(write, build, surface, texture):
    """The reference's vertical CRS counts in feet, the heights that come out in meters."""
    write('rgb2.tif', (texture(3) * 255).astype(np.uint8), 'EPSG:32610+6360')
    dsm = write('dsm.tif', (surface / SURVEY).astype(np.float32), 'EPSG:32610+6360')
    status, _, out = build(rgb='rgb2.tif', dsm=dsm)
    assert status == 0
    np.testing.assert_allclose(merged(out, '_dsm.tif'), surface, atol=1e-3)
    path = next((out / 'train/patch').glob('*_dsm.tif'))
    with rasterio.open(path) as raster:
        assert raster.units == ('metre',) and raster.crs.to_epsg() == 32610
        expected = raster.read(1)
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}),
        scenes=[dict(dsm=str(path))],
        windows=dict(size=16),
        index=dict(cache_dir=''),
    )
    window = dataset.read_window(0)['images']['dsm'][0]
    np.testing.assert_array_equal(window, expected[:16, :16])


@pytest.mark.parametrize(
    ('crs', 'units', 'words'),
    [
        ('EPSG:32610', 'degC', "expected heights in a unit of length, found 'degC'; --unit"),
        ('EPSG:32610+6360', 'metre', "'metre' for the band and 'US survey foot'"),
    ],
)
def test_units_that_cannot_be_reconciled_are_one_line(write, build, surface, crs, units, words):
    status, said, _ = build(dsm=write('dsm.tif', surface, crs, units))
    assert status == 2 and len(said.strip().splitlines()) == 1
    assert words in said and 'dsm.tif' in said


def test_datums_that_differ_are_named(write, build, ground, surface):
    dsm = write('dsm.tif', surface, 'EPSG:32610+5703')
    dtm = write('dtm.tif', ground, 'EPSG:32610+5773')
    _, said, _ = build('--dtm', f'dsm={dtm}', dsm=dsm)
    assert 'Warning: dsm: expected heights over one datum, found NAVD88 height' in said
    same = write('same.tif', ground, 'EPSG:32610+6360')
    _, said, _ = build('--dtm', f'dsm={same}', dsm=dsm)
    assert 'over one datum' not in said


@pytest.mark.parametrize('fill', FILLS)
def test_a_hole_of_the_ground(write, build, ground, surface, fill):
    holed = ground.copy()
    holed[:, 40:120, 100:200] = fill
    share = 80 * 100 / 320**2
    dsm, dtm = write('dsm.tif', surface), write('dtm.tif', holed)
    status, said, _ = build('--dtm', f'dsm={dtm}', '--nodata', f'dsm={fill}', dsm=dsm)
    assert status == 0
    expected = f'{fill} in {share:.1%} of {dtm} (--dtm-nodata dsm={fill} leaves them out)'
    assert expected in said and f'CHECK terrain of dsm: {80 * 100} pixels' in said

    status, said, out = build('--dtm', f'dsm={dtm}', '--dtm-nodata', f'dsm={fill}', dsm=dsm)
    found = merged(out, '_dsm.tif')
    assert status == 0 and 'usually mark' not in said
    np.testing.assert_array_equal(np.ma.getmaskarray(found), holed == fill)
    np.testing.assert_allclose(found[holed != fill], (surface - ground)[holed != fill], atol=1e-3)


@pytest.mark.parametrize('fill', [*FILLS, 0])
@pytest.mark.parametrize('name', ['dsm', 'canopy'])
def test_a_hole_of_the_surface(write, build, surface, fill, name):
    surface[:, :, :80] = fill
    path = write('dsm.tif', surface)
    _, said, _ = build('--dry-run', **{name: path})
    assert f'{fill} in 25.0% of {path} (--nodata {name}={fill} leaves them out)' in said
    _, said, _ = build('--dry-run', f'--nodata={name}={fill}', **{name: path})
    assert 'usually mark' not in said


def test_a_surface_of_another_zone_and_vertical_crs(write, build, tmp_path):
    """A plane in feet, in the neighboring zone of UTM, to a tenth of a pixel of the transformer."""
    from rasterio.warp import transform, transform_bounds

    west, south, east, north = transform_bounds(
        'EPSG:32610', 'EPSG:32611', 499900, 4899700, 500300, 4900100
    )
    place = Affine(0.5, 0, west, 0, -0.5, north)
    height, width = int((north - south) / 0.5), int((east - west) / 0.5)
    rows, cols = np.mgrid[:height, :width] + 0.5
    plane = ((cols * 0.5) / SURVEY).astype(np.float32)  # meters east of the western edge
    path = data.write(tmp_path / 'dsm.tif', plane[None], place, 'EPSG:32611+6360')
    status, _, out = build(dsm=str(path))
    assert status == 0
    found = merged(out, '_dsm.tif')[0]
    rows, cols = np.mgrid[:320, :320] + 0.5
    xs = transform(
        'EPSG:32610', 'EPSG:32611', 500000 + 0.5 * cols.ravel(), 4900000 - 0.5 * rows.ravel()
    )[0]
    np.testing.assert_allclose(found, np.reshape(xs, (320, 320)) - west, atol=0.05)


def test_nodata_of_ground_that_is_not_given(write, build, surface):
    status, said, _ = build('--dtm-nodata', 'dsm=0', dsm=write('dsm.tif', surface))
    assert status == 2 and '--dtm-nodata dsm: expected --dtm dsm=PLACE beside it' in said


def test_mixed_types_are_named_and_kept(tmp_path, write, build, surface, texture):
    eight = (texture(3)[:, :160] * 255).astype(np.uint8)
    sixteen = (texture(3)[:, 160:] * 50000).astype(np.uint16)
    write('rgb/a8.tif', eight)
    data.write(tmp_path / 'rgb/b16.tif', sixteen, PLACE * Affine.translation(0, 160), 'EPSG:32610')
    with warnings.catch_warnings():
        warnings.simplefilter('error', RuntimeWarning)
        status, said, out = build(rgb='rgb', dsm=write('dsm.tif', surface))
    assert status == 0
    assert 'rgb: expected files of one type, found uint8 in 1' in said and 'uint16 in 1' in said
    found = merged(out, '_dom.tif')
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, np.concatenate([eight, sixteen], axis=1))


def test_palettes_are_expanded(tmp_path, write, build, surface, rng):
    colors = np.array([[255, 0, 0], [0, 200, 10], [7, 8, 9], [90, 80, 70]])
    indices = np.repeat(np.repeat(rng.integers(0, 4, (1, 80, 80)), 4, axis=1), 4, axis=2)
    path = write('indices.tif', indices.astype(np.uint8), photometric='palette')
    with rasterio.open(path, 'r+') as raster:
        raster.write_colormap(1, {i: (*color, 255) for i, color in enumerate(colors.tolist())})
    dsm = write('dsm.tif', surface)
    status, _, out = build('--resolution', '1', rgb='indices.tif', dsm=dsm)
    expected = colors[indices[0, ::2, ::2]].transpose(2, 0, 1)
    assert status == 0
    np.testing.assert_array_equal(merged(out, '_dom.tif'), expected)

    status, said, _ = build(dsm=path)
    assert status == 2 and 'indices.tif: expected heights, found a palette of colors' in said

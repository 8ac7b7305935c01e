"""Evaluation of rasters with units, palettes, masks and mixed types, against rasterio and NumPy."""

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from mssdf.contest.finetuning.scoring import image_sums
from mssdf.datasets.transforms.load_height import LoadHeight
from mssdf.datasets.transforms.load_rasters import LoadRasters
from mssdf.datasets.transforms.two_dates import read_labels
from mssdf.evaluation.frozen.reading import read_heights, read_seen
from mssdf.evaluation.labeled_images import load_labeled_images, read_rgb
from mssdf.evaluation.saved_predictions import write_map

SURVEY = 1200 / 3937
PLACE = Affine(0.5, 0, 500000, 0, -0.5, 4900000)


@pytest.fixture
def write(tmp_path):
    def put(name, values, crs='EPSG:32610', units=None, **options):
        values = values[None] if values.ndim == 2 else values
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        count, height, width = values.shape
        size = dict(count=count, height=height, width=width)
        with rasterio.open(
            path,
            'w',
            driver='GTiff',
            dtype=values.dtype,
            crs=crs,
            transform=PLACE,
            **size,
            **options,
        ) as raster:
            if units:
                raster.units = (units,) * count
            raster.write(values)
        return path

    return put


@pytest.fixture
def feet(rng):
    return rng.uniform(0, 14000, (20, 30)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ('crs', 'units', 'meters'),
    [
        ('EPSG:32610', 'US survey foot', SURVEY),
        ('EPSG:32610+6360', None, SURVEY),
        ('EPSG:32610+8228', None, 0.3048),
    ],
)
def test_heights_of_targets_and_inputs_come_in_meters(write, feet, crs, units, meters):
    feet[0, :3] = -9999
    path = write('a.tif', feet, crs, units)
    expected = feet * meters
    expected[0, :3] = np.nan
    np.testing.assert_allclose(read_heights(path), expected, rtol=1e-6)
    target = LoadHeight().transform(dict(depth_map_path=str(path)))
    np.testing.assert_allclose(target['gt_depth_map'], expected, rtol=1e-6)
    given = LoadRasters([dict(nodata=-9999)]).transform(dict(img_path=str(path)))
    np.testing.assert_allclose(given['img'][..., 0], expected, rtol=1e-6)


def test_what_the_user_says_comes_first(write, feet):
    path = str(write('a.tif', feet, units='ft'))
    target = LoadHeight(scale=0.5, maximum=1e4).transform(dict(depth_map_path=path))
    np.testing.assert_allclose(target['gt_depth_map'], feet * 0.5)
    given = LoadRasters([dict(unit='ignore')]).transform(dict(img_path=path))
    np.testing.assert_array_equal(given['img'][..., 0], feet)
    with pytest.raises(ValueError, match="sources.unit: expected 'ignore' or a unit of length"):
        LoadRasters([dict(unit='elle')])


def test_heights_that_are_none(write, feet):
    with pytest.raises(ValueError, match="a.tif: expected heights in a unit .* found 'degC'"):
        read_heights(write('a.tif', feet, units='degC'))


def test_scores_of_heights_compare_meters(write, feet, tmp_path):
    predicted = (feet * SURVEY + 2).astype(np.float32)
    truth = write('truth/a.tif', feet, 'EPSG:32610+6360')
    (tmp_path / 'out').mkdir()
    write_map(tmp_path / 'out/a', predicted, str(truth))
    with rasterio.open(tmp_path / 'out/a.tif') as raster:  # meters, not said to be feet
        assert raster.units == (None,) and raster.crs.to_epsg() == 32610
    _, sums = image_sums('heights', tmp_path / 'out', {'a': truth})
    assert sums[0, 0] == feet.size
    assert sums[0, 3] / sums[0, 0] == pytest.approx(4, rel=1e-3)


def test_holes_of_an_input_are_named_once(write, feet, said):
    feet[:10] = -32767
    load = LoadRasters()
    for name in 'ab':
        path = str(write(f'{name}.tif', feet))
        load.transform(dict(img_path=path))
    lines = [r.getMessage() for r in said.records if 'usually mark' in r.getMessage()]
    assert len(lines) == 1 and '-32767 in 50.0% of' in lines[0] and 'a.tif' in lines[0]


@pytest.fixture
def palette(write, rng):
    colors = np.array([[255, 0, 0], [0, 200, 10], [7, 8, 9], [90, 80, 70]], np.uint8)
    indices = rng.integers(0, 4, (20, 30)).astype(np.uint8)
    path = write('classes/x/p.tif', indices, photometric='palette')
    with rasterio.open(path, 'r+') as raster:
        raster.write_colormap(1, {i: (*color, 255) for i, color in enumerate(colors.tolist())})
    return path, indices, colors


def test_palettes_are_colors_in_images_and_indices_in_labels(palette):
    path, indices, colors = palette
    np.testing.assert_array_equal(read_rgb(path), colors[indices])
    given = LoadRasters().transform(dict(img_path=str(path)))
    np.testing.assert_array_equal(given['img'], colors[indices])
    np.testing.assert_array_equal(read_labels(str(path)), indices)


@pytest.mark.parametrize('count', [1, 3])
def test_seen_where_no_band_is_masked(write, rng, tmp_path, monkeypatch, count):
    write('a.tif', rng.integers(1, 255, (count, 20, 30)).astype(np.uint8))
    masks = (rng.random((count, 20, 30)) < 0.7).astype(np.uint8) * 255
    write('masks.tif', masks)
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename>'
        '<SourceBand>{}</SourceBand></SimpleSource>'
    )
    bands = ''.join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{source.format("a.tif", band)}<MaskBand>'
        f'<VRTRasterBand dataType="Byte">{source.format("masks.tif", band)}</VRTRasterBand>'
        '</MaskBand></VRTRasterBand>'
        for band in range(1, count + 1)
    )
    path = tmp_path / 'a.vrt'
    path.write_text(f'<VRTDataset rasterXSize="30" rasterYSize="20">{bands}</VRTDataset>')
    path = path.rename(tmp_path / 'vrt.tif')  # read_seen asks rasters by their names
    monkeypatch.setenv('MSSDF_ALLOW', 'vrt')
    expected = (masks > 0).all(axis=0)
    np.testing.assert_array_equal(read_seen(Path(path), (20, 30)), expected)


def test_images_of_two_types_are_named(write, rng, tmp_path, said):
    for number, (name, dtype) in enumerate((('x', 'uint8'), ('x', 'uint16'), ('y', 'uint8'))):
        write(f'set/{name}/{number}.tif', rng.integers(0, 255, (3, 8, 8)).astype(dtype))
    load_labeled_images(tmp_path / 'set', 8)
    (line,) = [r.getMessage() for r in said.records if r.levelno == logging.WARNING]
    assert 'expected files of one type, found uint8 in 2' in line and 'uint16 in 1' in line

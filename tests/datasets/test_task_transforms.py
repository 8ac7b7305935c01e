"""Transforms of the tasks, against rasterio and NumPy on real rasters."""

import numpy as np
import pytest
import rasterio

from mssdf.datasets.transforms import (
    DropBands,
    LoadChange,
    LoadRasters,
    LoadSemanticChange,
    NormalizeBands,
    RandomSwapDates,
)


@pytest.fixture
def rgbn(data_root):
    return str(data_root / 'urban_trees/chico_2020_18.tif')


def write(path, values, **profile):
    count, height, width = values.shape
    profile = dict(driver='GTiff', count=count, height=height, width=width) | profile
    with rasterio.open(path, 'w', dtype=values.dtype, **profile) as raster:
        raster.write(values)
    return str(path)


def test_bands_as_rasterio_reads_them(rgbn):
    image = LoadRasters([dict(bands=[4, 1])], keep_dtype=True)(dict(img_path=rgbn))
    with rasterio.open(rgbn) as raster:
        expected = raster.read([4, 1]).transpose(1, 2, 0)
    assert image['img'].dtype == np.uint8 and (image['img'] == expected).all()
    assert image['img_shape'] == image['ori_shape'] == (256, 256)


def test_nodata_becomes_nan(data_root):
    path = str(data_root / 'ign_lidarhd/dsm.tif')
    image = LoadRasters()(dict(img_path=path))['img']
    with rasterio.open(path) as raster:
        values, valid = raster.read(1), raster.read_masks(1) != 0
    assert (np.isnan(image[..., 0]) == ~valid).all() and not valid.all()
    assert (image[valid][:, 0] == values[valid]).all()


def test_files_beside_each_other(data_root):
    sources = [
        dict(bands=[1, 2, 3]),
        dict(suffix=('dom.tif', 'dsm.tif'), bands=[1]),
    ]
    path = str(data_root / 'autzen/patch/autzen_dom.tif')
    image = LoadRasters(sources)(dict(img_path=path))['img']
    with rasterio.open(path.replace('dom', 'dsm')) as raster:
        heights, valid = raster.read(1), raster.read_masks(1) != 0
    assert image.shape[2] == 4 and (image[..., 3][valid] == heights[valid]).all()


def test_missing_modality_may_be_nodata(rgbn):
    beside = dict(suffix=('.tif', '_dsm.tif'), bands=[1])
    with pytest.raises(FileNotFoundError, match='_dsm.tif: expected a file, found none'):
        LoadRasters([{}, beside])(dict(img_path=rgbn))
    image = LoadRasters([{}, dict(beside, missing='nodata')])(dict(img_path=rgbn))['img']
    assert image.shape[2] == 5 and np.isnan(image[..., 4]).all()


def test_sizes_must_agree(rgbn, tmp_path):
    other = write(tmp_path / 'other.tif', np.zeros((1, 8, 8), np.uint8))
    load = LoadRasters([{}, dict(key='img_path2')])
    with pytest.raises(
        ValueError, match='other.tif: expected 256 x 256 pixels as in .*found 8 x 8'
    ):
        load(dict(img_path=rgbn, img_path2=other))


def test_lacking_band(rgbn):
    with pytest.raises(ValueError, match=r'expected the bands \[5\], found a file of 4'):
        LoadRasters([dict(bands=[5])])(dict(img_path=rgbn))


def test_not_an_image(tmp_path):
    path = tmp_path / 'broken.tif'
    path.write_bytes(b'no raster')
    with pytest.raises(OSError, match='broken.tif: expected an image, found'):
        LoadRasters()(dict(img_path=str(path)))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(band=[1]), r"^sources: expected the keys .* found \['band'\]"),
        (dict(missing='maybe'), r"^sources\.missing: expected .* found 'maybe'"),
        (dict(missing='nodata'), r'^sources\.bands: expected numbers .* found none'),
    ],
)
def test_wrong_sources(wrong, message):
    with pytest.raises(ValueError, match=message):
        LoadRasters([wrong])


def test_normalization_as_numpy():
    rng = np.random.default_rng(0)
    image = rng.normal(5, 3, (6, 7, 3)).astype(np.float32)
    image[0, 0], image[1, 2, 2] = np.nan, np.nan
    mean, std = [1.0, 2.0, 0.0], [2.0, 3.0, 4.0]
    out = NormalizeBands(mean, std, relative_to_median=[2])(dict(img=image.copy()))['img']
    expected = image.copy()
    expected[..., 2] -= np.nanmedian(image[..., 2])
    expected = np.nan_to_num((expected - mean) / std)
    assert out.dtype == np.float32 and np.allclose(out, expected, atol=1e-6)


def test_normalization_keeps_nodata_apart_from_zeros():
    image = np.zeros((4, 4, 2), np.float32)
    image[0, 0, 0], image[1, 1, 1] = np.nan, np.inf
    kept = NormalizeBands([0, 0], [1, 2], [0], keep_nodata=True)(dict(img=image.copy()))['img']
    assert np.isnan(kept).sum() == 2 and np.isnan(kept[0, 0, 0]) and np.isnan(kept[1, 1, 1])
    filled = NormalizeBands([0, 0], [1, 2], [0])(dict(img=image.copy()))['img']
    np.testing.assert_array_equal(np.nan_to_num(kept), filled)


def test_dropped_bands_are_zero_after_normalization():
    image = np.ones((4, 4, 2), np.float32)
    results = NormalizeBands([0, 0], [1, 1])(DropBands([1])(dict(img=image)))
    assert results['img'][..., 0].all() and not results['img'][..., 1].any()


def test_wrong_number_of_bands():
    with pytest.raises(ValueError, match='x.tif: expected 2 bands .*found an image of shape'):
        NormalizeBands([0, 0], [1, 1])(dict(img=np.zeros((4, 4, 3)), img_path='x.tif'))


@pytest.fixture
def dates(tmp_path):
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 7, (2, 1, 8, 8)).astype(np.uint8)
    first[0, 0, 0], second[0, 0, 1] = 255, 255
    return dict(
        seg_map_path=write(tmp_path / 'first.png', first, driver='PNG'),
        seg_map_path2=write(tmp_path / 'second.png', second, driver='PNG'),
    ), (first[0], second[0])


def test_change_follows_from_the_land_covers(dates):
    paths, (first, second) = dates
    results = LoadSemanticChange()(dict(paths))
    changed = np.where((first == 255) | (second == 255), 255, (first > 0) | (second > 0))
    assert (results['gt_seg_map'] == changed).all()
    assert (results['gt_first'] == first).all() and (results['gt_second'] == second).all()
    assert results['seg_fields'] == ['gt_seg_map', 'gt_first', 'gt_second']


def test_unknown_label(dates):
    paths, _ = dates
    with pytest.raises(ValueError, match=r'first.png: expected labels 0 to 5 and 255, found \[6\]'):
        LoadSemanticChange(num_classes=5)(dict(paths))


def test_swapping_dates_twice_changes_nothing(dates):
    paths, _ = dates
    results = LoadSemanticChange()(dict(paths))
    results['img'] = np.random.default_rng(1).random((8, 8, 6))
    swap = RandomSwapDates(prob=1.0)
    once = swap(dict(results))
    assert (once['img'][..., :3] == results['img'][..., 3:]).all()
    assert (once['gt_first'] == results['gt_second']).all()
    assert (once['gt_seg_map'] == results['gt_seg_map']).all()
    assert (swap(dict(once))['img'] == results['img']).all()


def test_change_as_published(tmp_path):
    values = np.zeros((1, 4, 4), np.uint8)
    values[0, :2] = 255
    values[0, 3, 3] = 7
    path = write(tmp_path / 'label.png', values, driver='PNG')
    labels = LoadChange(unknown=7)(dict(seg_map_path=path))
    expected = [[1] * 4, [1] * 4, [0] * 4, [0, 0, 0, 255]]
    assert labels['gt_seg_map'].tolist() == expected and labels['seg_fields'] == ['gt_seg_map']
    with pytest.raises(ValueError, match=r'label.png: expected the values \[0, 255\].*found \[7\]'):
        LoadChange()(dict(seg_map_path=path))
    with pytest.raises(ValueError, match=r'changed=1.*found \[7, 255\]'):
        LoadChange(changed=1)(dict(seg_map_path=path))

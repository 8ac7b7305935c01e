"""Validity as GDAL's masks say, and never as overviews do."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from mssdf.datasets import MultiModalRasterDataset
from mssdf.datasets.transforms.load_rasters import read_image

BAND = """<VRTRasterBand dataType="Byte" band="{band}">
<SimpleSource><SourceFilename relativeToVRT="1">{source}</SourceFilename>
<SourceBand>{band}</SourceBand></SimpleSource>{mask}</VRTRasterBand>"""
MASK = """<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>
<SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>{band}</SourceBand>
</SimpleSource></VRTRasterBand></MaskBand>"""


def write_vrt(path, size, bands):
    with open(path, 'w') as stream:
        stream.write(
            f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}"><SRS>EPSG:32632</SRS>'
            '<GeoTransform>500000,1,0,4000000,0,-1</GeoTransform>'
            + ''.join(bands)
            + '</VRTDataset>'
        )
    return str(path)


@pytest.mark.parametrize('masked', [(1, 2, 3), (2,), (1, 3)])
def test_a_mask_per_band_of_a_vrt(write_raster, rng, tmp_path, masked):
    write_raster('a.tif', rng.integers(1, 255, (3, 40, 60)).astype(np.uint8))
    # a mask of its own for each band
    masks = (rng.random((3, 40, 60)) < 0.7).astype(np.uint8) * 255
    write_raster('masks.tif', masks)
    bands = [
        BAND.format(
            band=band,
            source='a.tif',
            mask=MASK.format(source='masks.tif', band=band) if band in masked else '',
        )
        for band in (1, 2, 3)
    ]
    path = write_vrt(tmp_path / 'a.vrt', (40, 60), bands)
    with rasterio.open(path) as raster:
        expected = (raster.read_masks() > 0).all(axis=0)
    assert 0.3 < expected.mean() < 0.8
    np.testing.assert_array_equal(read_image(path)[1], expected)
    dataset = MultiModalRasterDataset(
        modalities=dict(rgb={}),
        scenes=[dict(rgb=path)],
        windows=dict(size=40, max_invalid_per_window=0.9),
        index=dict(cache_dir=''),
    )
    np.testing.assert_array_equal(dataset.read_window(0)['valid']['rgb'], expected[:, :40])


def test_only_the_bands_asked_for_count(write_raster, rng, tmp_path):
    write_raster('a.tif', rng.integers(1, 255, (2, 20, 20)).astype(np.uint8))
    write_raster('masks.tif', np.zeros((1, 20, 20), np.uint8))
    bands = [
        BAND.format(band=1, source='a.tif', mask=''),
        BAND.format(band=2, source='a.tif', mask=MASK.format(source='masks.tif', band=1)),
    ]
    path = write_vrt(tmp_path / 'a.vrt', (20, 20), bands)
    assert read_image(path, [1])[1].all()
    assert not read_image(path, [2])[1].any()


def windows_of(path, **options):
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}),
        scenes=[dict(dsm=path)],
        windows=dict(size=64),
        index=dict(cache_dir=''),
        **options,
    )
    return [dataset.get_data_info(i)['window'] for i in range(len(dataset))]


def build(path, method=Resampling.average):
    with rasterio.open(path, 'r+') as raster:
        raster.build_overviews([2, 4, 8, 16], method)


def half_holes(rng):
    """Heights, the left half with 70 % of holes and the right one with 30 %."""
    heights = rng.normal(100, 5, (512, 512)).astype(np.float32)
    share = np.where(np.arange(512) < 256, 0.7, 0.3)
    return np.where(rng.random((512, 512)) < share, np.float32(-9999), heights)


@pytest.mark.parametrize('through_vrt', [False, True])
def test_windows_are_those_without_overviews(write_raster, rng, tmp_path, through_vrt):
    heights = half_holes(rng)
    path = write_raster('a.tif', heights, nodata=-9999, tiled=True)
    build(path)
    with rasterio.open(path) as raster:  # the trap: most of a coarse read is valid
        assert (raster.read(1, out_shape=(32, 32)) != -9999).mean() > 0.95
    if through_vrt:
        source = BAND.format(band=1, source='a.tif', mask='<NoDataValue>-9999</NoDataValue>')
        path = write_vrt(tmp_path / 'a.vrt', (512, 512), [source.replace('Byte', 'Float32')])
    shares = (heights != -9999).reshape(8, 64, 8, 64).mean(axis=(1, 3))
    expected = [(int(r) * 64, int(c) * 64, 64, 64) for r, c in np.argwhere(shares >= 0.5)]
    assert len(expected) == 32
    assert windows_of(path) == expected


def test_overviews_older_than_the_data(write_raster, rng):
    path = write_raster('a.tif', np.full((512, 512), -9999, np.float32), nodata=-9999)
    build(path, Resampling.nearest)
    with rasterio.open(path, 'r+') as raster:
        raster.write(rng.normal(100, 5, (512, 512)).astype(np.float32), 1)
    assert len(windows_of(path)) == 64


@pytest.mark.parametrize('internal', [True, False])
def test_overviews_of_masks(write_raster, rng, internal):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        mask = rng.random((512, 512)) < np.where(np.arange(512) < 256, 0.3, 0.7)
        path = write_raster('a.tif', np.full((512, 512), 7, np.float32), mask=mask, tiled=True)
        build(path)
    shares = mask.reshape(8, 64, 8, 64).mean(axis=(1, 3))
    expected = [(int(r) * 64, int(c) * 64, 64, 64) for r, c in np.argwhere(shares >= 0.5)]
    assert windows_of(path) == expected and len(expected) == 32

"""Images of indices and a palette, against their colors looked up by NumPy."""

import numpy as np
import pytest
import rasterio

from mssdf.datasets import MultiModalRasterDataset
from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.rasters.band_source import make_source
from mssdf.rasters.raster_header import read_header

COLORS = np.array([[255, 0, 0, 255], [0, 200, 10, 255], [7, 8, 9, 255], [90, 80, 70, 255]])


@pytest.fixture
def palette(write_raster, rng):
    """An image of four colors: its path and its indices."""

    def write(name='a.tif', dtype='uint8', colors=COLORS, **options):
        indices = rng.integers(0, 4, (40, 60)).astype(dtype)
        path = write_raster(name, indices, photometric='palette', **options)
        with rasterio.open(path, 'r+') as raster:
            raster.write_colormap(1, dict(enumerate(map(tuple, colors.tolist()))))
        return path, indices

    return write


@pytest.mark.parametrize('bands', [None, [1, 2, 3], [3, 1]])
@pytest.mark.parametrize('dtype', ['uint8', 'uint16'])
def test_colors_not_indices(palette, bands, dtype):
    path, indices = palette(dtype=dtype)
    dataset = MultiModalRasterDataset(
        modalities=dict(rgb=dict(bands=bands)),
        scenes=[dict(rgb=path)],
        windows=dict(size=40),
        index=dict(cache_dir=''),
    )
    order = [band - 1 for band in bands or [1, 2, 3]]
    image = dataset.read_window(0)['images']['rgb']
    np.testing.assert_array_equal(image, COLORS[indices[:, :40]][..., order].transpose(2, 0, 1))
    assert image.dtype == np.uint8


def test_averages_are_those_of_the_colors(palette, write_raster):
    path, indices = palette()
    coarse = write_raster('dsm.tif', np.ones((20, 30), np.float32), pixel=2.0)
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}, rgb={}),
        scenes=[dict(dsm=coarse, rgb=path)],
        windows=dict(size=20),
        index=dict(cache_dir=''),
    )
    colors = COLORS[indices[:, :40], :3].reshape(20, 2, 20, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(
        dataset.read_window(0)['images']['rgb'], colors.transpose(2, 0, 1), atol=0.5
    )


def test_nodata_counts_for_the_index_and_transparent_colors_are_invalid(palette):
    colors = COLORS.copy()
    path, indices = palette(nodata=2)
    np.testing.assert_array_equal(read_image(path)[1], indices != 2)

    colors[1, 3] = 0  # TIFF keeps no transparency of colors, PNG does
    path, indices = palette('b.tif', colors=colors)
    png = path.replace('b.tif', 'b.png')
    with rasterio.open(
        png, 'w', driver='PNG', width=60, height=40, count=1, dtype='uint8'
    ) as raster:
        raster.write(indices, 1)
        raster.write_colormap(1, dict(enumerate(map(tuple, colors.tolist()))))
    values, valid = read_image(png)
    np.testing.assert_array_equal(valid, indices != 1)
    np.testing.assert_array_equal(values[valid], colors[indices, :3][valid])


def test_indices_are_no_measurements(palette):
    path, _ = palette()
    with pytest.raises(ValueError, match=r'a.tif: expected some of the bands 1, 2, 3, .*\[1\]'):
        make_source(read_header(path), [1])


def test_shades_of_gray_are_one_band(palette):
    gray = np.repeat(np.array([[10], [60], [5], [200]]), 4, axis=1)
    gray[:, 3] = 255
    # the colors that the file does not name are black
    path, indices = palette(colors=gray)
    np.testing.assert_array_equal(read_image(path, [1])[0][..., 0], gray[indices, 0])


def test_a_palette_beside_other_bands_is_refused_by_name(write_raster, rng):
    from rasterio.enums import ColorInterp

    path = write_raster(
        'a.tif',
        rng.integers(0, 4, (2, 8, 8)).astype(np.uint8),
        colorinterp=[ColorInterp.palette, ColorInterp.gray],
    )
    with pytest.raises(OSError, match='a.tif: expected a palette of colors in a file of one band'):
        read_header(path)

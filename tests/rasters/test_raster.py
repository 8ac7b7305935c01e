import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from mssdf.rasters.band_source import make_source
from mssdf.rasters.opening import open_raster
from mssdf.rasters.pixels import read_validity, read_values
from mssdf.rasters.raster_header import RasterHeader, read_header

RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def read(path, bands=None, window=None, **settings):
    header = read_header(path)
    source = make_source(header, bands, **settings)
    with open_raster(path) as raster:
        window = window or (0, 0, header.height, header.width)
        values, valid = read_values(raster, source, window)
        np.testing.assert_array_equal(valid, read_validity(raster, source, window))
    return values, valid


@pytest.mark.parametrize(
    'layout',
    [
        dict(tiled=False),
        dict(tiled=True, blockxsize=16, blockysize=16),
        dict(tiled=False, blockysize=7, compress='zstd'),
        dict(interleave='pixel', compress='lzw'),
    ],
)
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_window_equals_part_of_array(write_raster, rng, layout, dtype):
    array = rng.integers(0, 200, (3, 50, 70)).astype(dtype)
    path = write_raster('a.tif', array, **layout)
    values, valid = read(path, [3, 1], window=(11, 23, 20, 30))
    np.testing.assert_array_equal(values, array[[2, 0], 11:31, 23:53])
    assert values.dtype == dtype and valid.all()


def test_nodata_nan_and_infinity_are_invalid(write_raster, rng):
    array = rng.normal(size=(40, 30)).astype(np.float32)
    array[3, 4], array[5, 6], array[7, 8], array[9, 1] = -9999, np.nan, np.inf, -np.inf
    _, valid = read(write_raster('a.tif', array, nodata=-9999))
    expected = np.ones((40, 30), bool)
    expected[[3, 5, 7, 9], [4, 6, 8, 1]] = False
    np.testing.assert_array_equal(valid, expected)


def test_nodata_that_the_type_rounds_still_matches(write_raster):
    array = np.zeros((4, 4), np.float32)
    array[1, 2] = np.float32(-3.4e38)
    _, valid = read(write_raster('a.tif', array, nodata=-3.4e38))
    assert not valid[1, 2] and valid.sum() == 15


def test_nan_as_nodata(write_raster):
    array = np.zeros((4, 4), np.float32)
    array[0, 3] = np.nan
    _, valid = read(write_raster('a.tif', array, nodata=np.nan))
    assert not valid[0, 3] and valid.sum() == 15


def test_nodata_of_bytes_needs_all_bands_of_words_any(write_raster):
    array = np.full((2, 3, 3), 7)
    array[0, 0, 0] = 0
    array[:, 1, 1] = 0
    paths = {d: write_raster(f'{d}.tif', array.astype(d), nodata=0) for d in ('uint8', 'uint16')}
    in_all, in_any = np.ones((3, 3), bool), np.ones((3, 3), bool)
    in_all[1, 1] = False
    in_any[[0, 1], [0, 1]] = False
    np.testing.assert_array_equal(read(paths['uint8'])[1], in_all)
    np.testing.assert_array_equal(read(paths['uint16'])[1], in_any)
    np.testing.assert_array_equal(read(paths['uint8'], nodata_rule='any')[1], in_any)
    np.testing.assert_array_equal(read(paths['uint16'], nodata_rule='all')[1], in_all)


def test_nodata_given_or_ignored(write_raster):
    array = np.arange(9, dtype=np.uint8).reshape(3, 3)
    path = write_raster('a.tif', array, nodata=3)
    np.testing.assert_array_equal(read(path)[1], array != 3)
    np.testing.assert_array_equal(read(path, nodata=5)[1], array != 5)
    assert read(path, nodata='ignore')[1].all()
    assert read(path, nodata=-9999)[1].all()  # no byte can hold it


def test_alpha_masks_unless_it_is_asked_for(write_raster, rng):
    array = rng.integers(1, 255, (4, 20, 20)).astype(np.uint8)
    array[3, :5] = 0
    path = write_raster('a.tif', array, colorinterp=RGBA, photometric='rgb')
    values, valid = read(path, [1, 2, 3])
    np.testing.assert_array_equal(valid, array[3] != 0)
    np.testing.assert_array_equal(values, array[:3])
    values, valid = read(path, [4])  # near infrared that is tagged as alpha
    np.testing.assert_array_equal(values, array[3:])
    assert valid.all()
    assert read(path, [1, 2, 3], data_bands=[4])[1].all()  # another modality has it as data
    assert read(path, [1, 2, 3], mask='none')[1].all()
    assert read(path)[0].shape[0] == 3  # by default, all bands but alpha


@pytest.mark.parametrize('internal', [True, False])
def test_mask_of_the_file(write_raster, rng, internal):
    array = rng.integers(0, 255, (3, 32, 32)).astype(np.uint8)
    mask = rng.random((32, 32)) < 0.5
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = write_raster('a.tif', array, mask=mask)
    values, valid = read(path, [1, 2], window=(4, 8, 10, 12))
    np.testing.assert_array_equal(valid, mask[4:14, 8:20])
    np.testing.assert_array_equal(values, array[:2, 4:14, 8:20])
    assert read(path, mask='none')[1].all()


def test_types_handed_out(write_raster):
    for dtype, kept in dict(
        uint8='uint8',
        uint16='uint16',
        int16='int16',
        float32='float32',
        int32='float32',
        float64='float32',
    ).items():
        header = read_header(write_raster(f'{dtype}.tif', np.zeros((4, 4), dtype)))
        assert make_source(header).dtype == kept
        assert make_source(header, dtype='float32').dtype == 'float32'
    scaled = read_header(write_raster('s.tif', np.zeros((4, 4), np.uint16), scales=[0.1]))
    assert make_source(scaled).dtype == 'float32'


def test_header_survives_json(write_raster, tmp_path):
    import json

    header = read_header(write_raster('a.tif', np.zeros((2, 4, 5), np.float32), nodata=-9999))
    assert RasterHeader.from_dict(json.loads(json.dumps(header.to_dict()))) == header


def test_wrong_bands_are_named(write_raster):
    path = write_raster('a.tif', np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r'a\.tif.*\[1, 3\].*2 band'):
        make_source(read_header(path), [1, 3])

"""Rasters that points place, rasters that nothing places, and those that a turned grid places."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pairs_tool import build_pairs
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from mssdf.datasets import MultiModalRasterDataset
from mssdf.rasters.raster_header import read_header

PLACE = Affine(0.5, 0, 500000, 0, -0.5, 4900000)
SIDE = 320
CORNERS = [(0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE)]


def write(path, *, bands=1, dtype='uint8', size=SIDE, points=None, **profile):
    """Write noise; ``points`` is a transform to give as GCPs, or ``'rpc'``."""
    profile = dict(driver='GTiff', width=size, height=size, count=bands, dtype=dtype, **profile)
    values = np.random.default_rng(0).integers(1, 250, (bands, size, size)).astype(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', **profile) as raster:
        raster.write(values)
        if isinstance(points, Affine):
            raster.gcps = (
                [GroundControlPoint(row, col, *(points * (col, row)), 0.0) for row, col in CORNERS],
                'EPSG:32610',
            )
        elif points == 'rpc':
            raster.rpcs = rational_polynomials()
        elif points == 'arrays':
            raster.update_tags(ns='GEOLOCATION', X_DATASET='lon.tif', Y_DATASET='lat.tif')
    return path


def rational_polynomials():
    one, line, sample = ([0.0] * 20 for _ in range(3))
    one[0], line[2], sample[1] = 1.0, -1.0, 1.0
    half = SIDE / 2
    return RPC(
        *(0.0, 500.0, 44.2, 0.001, one, line, half, half),
        *(-123.0, 0.001, one, sample, half, half, 1.0, 1.0),
    )


def pair(folder, rgb, dsm):
    write(folder / 'patch/a_dom.tif', bands=3, **rgb)
    write(folder / 'patch/a_dsm.tif', dtype='float32', **dsm)


def dataset(folder, **modalities):
    return MultiModalRasterDataset(
        data_root=str(folder),
        modalities=modalities or dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
        windows=dict(size=160),
        pipeline=[],
        index=dict(cache_dir=''),
    )


GRID = dict(crs='EPSG:32610', transform=PLACE)
GCPS = dict(points=PLACE)
MOVED = dict(points=Affine(1, 0, 500100, 0, -1, 4900000))


@pytest.mark.parametrize(
    ('rgb', 'dsm', 'file', 'words'),
    [
        (GCPS, MOVED, 'a_dom.tif', 'GCPs alone; rectify it, for instance with gdalwarp -tps'),
        (GRID, MOVED, 'a_dsm.tif', 'GCPs alone'),
        (dict(points='rpc'), dict(points='rpc'), 'a_dom.tif', 'RPCs alone.*gdalwarp -rpc'),
        (dict(), dict(points='rpc'), 'a_dsm.tif', 'RPCs alone'),
        (dict(points='arrays'), dict(), 'a_dom.tif', 'geolocation arrays alone.*gdalwarp -geoloc'),
        (dict(crs='EPSG:4326', points='rpc'), GRID, 'a_dom.tif', 'RPCs alone'),
    ],
)
def test_points_alone_are_refused(tmp_path, capsys, rgb, dsm, file, words):
    pair(tmp_path, rgb, dsm)
    with pytest.raises(ValueError, match=rf'{file}: expected a grid.*found {words}') as caught:
        dataset(tmp_path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('layout', 'words'),
    [
        (GCPS, 'found GCPs alone; rectify it, for instance with gdalwarp'),
        (dict(points='rpc'), 'found RPCs alone; rectify it, for instance with gdalwarp -rpc'),
        (dict(crs='EPSG:32610'), 'expected a grid (a geotransform), found none'),
        (dict(), 'expected a CRS, found none'),
    ],
)
def test_pairs_are_built_of_grids_alone(tmp_path, capsys, layout, words):
    rgb = write(tmp_path / 'rgb.tif', bands=3, **layout)
    dsm = write(tmp_path / 'dsm.tif', dtype='float32', **GRID)
    assert build_pairs(tmp_path / 'out', '--source', f'rgb={rgb}', '--source', f'dsm={dsm}') == 2
    line = capsys.readouterr().out.strip()
    assert '\n' not in line and 'rgb.tif' in line and words in line


def test_the_tool_for_statistics_says_it_in_one_line(tmp_path, monkeypatch):
    pair(tmp_path, GCPS, MOVED)
    tool = Path(__file__).parents[2] / 'tools/dataset_tools/compute_statistics.py'
    options = [f'--data-root={tmp_path}', '--modality=rgb=_dom.tif', '--modality=dsm=_dsm.tif']
    monkeypatch.setattr('sys.argv', [str(tool), *options, f'--out={tmp_path}/statistics.json'])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(tool), run_name='__main__')
    line = str(caught.value.code)
    assert '\n' not in line and 'a_dom.tif' in line and 'gdalwarp' in line


def test_points_beside_a_grid_do_not_matter(tmp_path):
    """As orthophotos of satellites have them."""
    pair(tmp_path, dict(GRID, points='rpc'), GRID)
    assert len(dataset(tmp_path)) == 4


def test_one_file_of_points_has_its_own_grid(tmp_path):
    write(tmp_path / 'patch/a_dom.tif', bands=4, points=PLACE)
    path = str(tmp_path / 'patch/a_dom.tif')
    data = MultiModalRasterDataset(
        modalities=dict(rgb=dict(bands=[1, 2, 3]), nir=dict(bands=[4])),
        scenes=[dict(name='a', rgb=path, nir=path)],
        windows=dict(size=160),
        pipeline=[],
        index=dict(cache_dir=''),
    )
    with rasterio.open(path) as raster:
        expected = raster.read()[:, :160, :160]
    read = data.read_window(0)['images']
    np.testing.assert_array_equal(np.concatenate([read['rgb'], read['nir']]), expected)


def test_files_without_a_place_match_by_their_size(tmp_path):
    pair(tmp_path / 'same', dict(), dict())
    assert len(dataset(tmp_path / 'same')) == 4
    pair(tmp_path / 'other', dict(), dict(size=160))
    with pytest.raises(ValueError, match=r'a_dsm\.tif: expected 320 x 320 .* found 160 x 160'):
        dataset(tmp_path / 'other')


def test_a_rotation_alone_is_a_grid(tmp_path):
    turned = Affine(0.6, 0.8, 0, 0.8, -0.6, 0)
    pair(tmp_path, dict(transform=turned), dict(transform=turned))
    assert read_header(str(tmp_path / 'patch/a_dom.tif')).has_transform
    assert len(dataset(tmp_path)) == 4
    pair(tmp_path, dict(transform=turned), dict())
    with pytest.raises(ValueError, match=r'a_dsm\.tif: expected a grid parallel'):
        dataset(tmp_path)

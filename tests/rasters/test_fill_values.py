"""Holes that nothing declares, named with the share that NumPy counts."""

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mssdf.datasets import MultiModalRasterDataset
from mssdf.rasters.band_source import make_source
from mssdf.rasters.fill_values import SIDE, find_fills
from mssdf.rasters.raster_header import read_header


def fills_of(path, **settings):
    return find_fills(make_source(read_header(path), **settings))


@pytest.mark.parametrize('fill', [-9999, -32767, -32768, -99999])
@pytest.mark.parametrize('dtype', ['float32', 'int32', 'float64'])
def test_shares_of_usual_values(write_raster, rng, fill, dtype):
    heights = rng.uniform(0, 3000, (300, 500)).astype(dtype)
    hole = rng.random(heights.shape) < 0.2
    heights[hole] = fill
    path = write_raster('a.tif', heights)
    assert fills_of(path) == {fill: hole.mean()}
    assert fills_of(path, nodata=fill) == {}


def test_two_values_side_by_side(write_raster, rng):
    heights = rng.uniform(0, 3000, (300, 500)).astype(np.int16)
    heights[:10], heights[10:14] = -32768, -32767
    assert fills_of(write_raster('a.tif', heights)) == {-32768: 10 / 300, -32767: 4 / 300}


def test_holes_of_a_file_with_a_scale_are_those_stored(write_raster, rng):
    heights = rng.integers(0, 3000, (300, 500)).astype(np.int16)
    heights[:30] = -9999
    path = write_raster('a.tif', heights, scales=[0.1], offsets=[100])
    assert fills_of(path) == {-9999: 0.1}


@pytest.mark.parametrize('edge', [np.s_[:40], np.s_[-40:], np.s_[:, :50], np.s_[:, -50:]])
def test_zeros_that_fill_an_edge(write_raster, rng, edge):
    heights = rng.uniform(150, 300, (400, 500)).astype(np.float32)
    heights[edge] = 0
    assert fills_of(write_raster('a.tif', heights)) == {0: 0.1}


def test_zeros_that_are_heights(write_raster, rng):
    inside = rng.uniform(150, 300, (400, 500)).astype(np.float32)
    inside[100:200, 100:200] = 0  # a hole or a lake: nothing tells
    coast = np.abs(rng.normal(0, 0.5, (400, 500))).astype(np.float32)
    coast[:100] = 0  # the sea
    for heights in (inside, coast):
        assert fills_of(write_raster('a.tif', heights)) == {}


def test_ordinary_values_of_an_index(write_raster, rng):
    index = rng.integers(-10000, 10001, (500, 500)).astype(np.int16)
    assert fills_of(write_raster('a.tif', index)) == {}


def test_a_large_raster_is_looked_at_all_over(write_raster, rng):
    heights = np.full((2100, 2100), 100, np.float32)
    heights[1700:, 1700:] = -9999
    share = fills_of(write_raster('a.tif', heights, tiled=True))[-9999]
    assert share == pytest.approx((400 / 2100) ** 2, rel=0.3)


def test_the_dataset_names_them_at_every_start(write_raster, rng, tmp_path, said):
    for name in 'ab':
        rgb = rng.integers(0, 255, (3, 64, 64)).astype(np.uint8)
        heights = rng.uniform(100, 300, (64, 64)).astype(np.float32)
        if name == 'b':
            heights[:32] = -32767
        write_raster(f'patch/{name}_dom.tif', rgb)
        write_raster(f'patch/{name}_dsm.tif', heights)
    modalities = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif'))

    def lines(**settings):
        said.clear()
        MMLogger.get_current_instance().handlers[0].filters.clear()
        dataset = MultiModalRasterDataset(
            data_root=str(tmp_path),
            modalities={**modalities, 'dsm': {**modalities['dsm'], **settings}},
            windows=dict(size=32),
        )
        for index in range(len(dataset)):
            dataset[index]
        return [r.getMessage() for r in said.records if 'usually mark' in r.getMessage()]

    for _ in range(2):  # the second time from the index
        (line,) = lines()
        assert 'modalities.dsm' in line
        assert f'-32767 in 50.0% of {tmp_path}/patch/b_dsm.tif (nodata=-32767 leaves' in line
    assert lines(nodata=-32767) == []


def test_a_window_shows_what_the_start_has_missed(write_raster, said):
    heights = np.full((2400, 2400), 100, np.float32)
    starts = np.linspace(0, 2400 - SIDE, 8).astype(int)
    gap = slice(int(starts[0]) + SIDE, int(starts[1]))
    assert gap.stop - gap.start > 32
    heights[gap, gap] = -9999
    path = write_raster('a.tif', heights, tiled=True)
    assert fills_of(path) == {}
    dataset = MultiModalRasterDataset(
        modalities=dict(dsm={}),
        scenes=[dict(dsm=path)],
        windows=dict(size=480),
        index=dict(cache_dir=''),
    )
    for _ in range(2):
        dataset[0]
    lines = [r.getMessage() for r in said.records if 'usually mark' in r.getMessage()]
    assert len(lines) == 1
    side = gap.stop - gap.start
    assert f'-9999 in {side**2 / 480**2:.1%} of a window of {path} (nodata=-9999' in lines[0]

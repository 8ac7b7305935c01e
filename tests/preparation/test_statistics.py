"""Statistics, against NumPy on the same pixels."""

import json
import runpy

import numpy as np
import pytest
import rasterio

from mssdf.datasets import MultiModalRasterDataset
from mssdf.preparation import statistics
from mssdf.preparation.pixel_statistics import FineCounts, PixelStatistics
from mssdf.preparation.statistics import PERCENTILES, compute_statistics, write_statistics


def assert_equals_numpy(found, values):
    """``values``: one array of valid pixels per band."""
    for band, pixels in enumerate(values):
        pixels = pixels.astype(np.float64)
        np.testing.assert_allclose(found['mean'][band], pixels.mean(), rtol=1e-9, atol=1e-7)
        np.testing.assert_allclose(found['std'][band], pixels.std(), rtol=1e-8)
        assert (found['min'][band], found['max'][band]) == (pixels.min(), pixels.max())
        percentiles = [found['percentiles'][f'{p:g}'][band] for p in PERCENTILES]
        np.testing.assert_allclose(percentiles, np.percentile(pixels, PERCENTILES), rtol=1e-12)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_stream_equals_numpy(rng, dtype):
    values = rng.normal(100, 40, (2, 5000)).round(3)
    values = np.clip(values, 0, 250) if dtype == 'uint8' else values * 10 - 700
    values = (np.abs(values) if dtype == 'uint16' else values).astype(dtype)
    parts = np.split(values, [1, 40, 2000], axis=1)
    total, other = PixelStatistics(2, dtype), PixelStatistics(2, dtype)
    for i, part in enumerate(parts):
        (total if i % 2 else other).update(part)
    total.merge(other)
    fine = None
    if dtype == 'float32':
        fine = FineCounts(total.wanted_bins(PERCENTILES))
        again = FineCounts(fine.bins)
        fine.update(parts[0])
        for part in parts[1:]:
            again.update(part)
        fine.merge(again)
    found = dict(
        mean=total.mean,
        std=total.std,
        min=total.low,
        max=total.high,
        percentiles={
            f'{p:g}': row
            for p, row in zip(PERCENTILES, total.percentiles(PERCENTILES, fine), strict=True)
        },
    )
    assert_equals_numpy(found, values)


def test_large_mean_beside_a_small_deviation(rng):
    """The textbook formula E[x²] - E[x]² fails here."""
    values = (np.float32(8192) + rng.normal(0, 0.01, (1, 100_000))).astype(np.float32)
    total = PixelStatistics(1, 'float32')
    for part in np.split(values, 50, axis=1):
        total.update(part)
    np.testing.assert_allclose(total.std, values.astype(np.float64).std(), rtol=1e-9)


def test_real_rasters_equal_numpy(data_root):
    patch = data_root / 'autzen' / 'patch'
    with rasterio.open(patch / 'autzen_dom.tif') as raster:
        rgb = raster.read()
    with rasterio.open(patch / 'autzen_dsm.tif') as raster:
        dsm = raster.read(1)
    dataset = MultiModalRasterDataset(
        data_root=str(data_root / 'autzen'),
        index=dict(cache_dir=''),
        windows=dict(size=320),
        modalities=dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
    )
    found = compute_statistics(dataset, relative=['dsm'], workers=2)
    valid = dsm != -9999
    assert_equals_numpy(found['rgb'], rgb.reshape(3, -1))
    assert_equals_numpy(found['dsm'], [dsm[valid]])
    assert found['rgb']['valid_share'] == 1
    assert found['dsm']['valid_share'] == pytest.approx(valid.mean(), abs=1e-12)
    assert (found['rgb']['dtype'], found['dsm']['dtype']) == ('uint8', 'float32')

    relative = []
    for index in range(len(dataset)):
        row, col, height, width = dataset.get_data_info(index)['window']
        part = np.s_[row : row + height, col : col + width]
        if valid[part].mean() >= 0.5:
            heights = dsm[part][valid[part]]
            relative.append(heights - np.median(heights))
    assert_equals_numpy(found['dsm']['relative'], [np.concatenate(relative)])


def test_scaled_bands_and_several_files(write_raster, rng):
    arrays = [rng.integers(0, 4000, (2, 30, 30)).astype(np.uint16) for _ in range(3)]
    scenes = [
        dict(ms=write_raster(f'{i}.tif', a, nodata=0, scales=[0.01, 0.02], offsets=[1, 0]))
        for i, a in enumerate(arrays)
    ]
    dataset = MultiModalRasterDataset(
        scenes=scenes, modalities=dict(ms=None), windows=dict(size=30), index=dict(cache_dir='')
    )
    found = compute_statistics(dataset)['ms']
    every = np.concatenate([a.reshape(2, -1) for a in arrays], axis=1)
    every = every[:, (every != 0).all(axis=0)]
    scaled = every * np.float32([[0.01], [0.02]]) + np.float32([[1], [0]])
    assert_equals_numpy(found, scaled.astype(np.float32))
    assert found['valid_share'] == every.shape[1] / 2700


def test_interrupted_and_taken_up_again(write_raster, rng, tmp_path, monkeypatch):
    scenes = [
        dict(x=write_raster(f'{i}.tif', rng.normal(size=(1, 20, 20)).astype(np.float32)))
        for i in range(6)
    ]
    dataset = MultiModalRasterDataset(
        scenes=scenes, modalities=dict(x=None), windows=dict(size=20), index=dict(cache_dir='')
    )
    expected = compute_statistics(dataset, relative=['x'])
    measure, done = statistics._measure, []
    partial = tmp_path / 'partial.npz'

    def stop_at(count):
        def stopping(*args):
            if len(done) == count:
                raise KeyboardInterrupt
            done.append(args[0])
            return measure(*args)

        return stopping

    for count in (4, 17):  # once in each pass: 6 files and 6 scenes make 12 parts a pass
        monkeypatch.setattr(statistics, '_measure', stop_at(count))
        with pytest.raises(KeyboardInterrupt):
            compute_statistics(dataset, relative=['x'], partial=partial)
        assert partial.exists()
    monkeypatch.setattr(statistics, '_measure', stop_at(-1))
    found = compute_statistics(dataset, relative=['x'], partial=partial)
    assert len(done) == 24  # nothing twice
    assert not partial.exists()
    assert json.dumps(found) == json.dumps(expected)


def test_wrong_requests_are_named(write_raster):
    path = write_raster('a.tif', np.zeros((1, 20, 20), np.uint8))
    dataset = MultiModalRasterDataset(
        scenes=[dict(x=path)],
        modalities=dict(x=None),
        windows=dict(size=20),
        index=dict(cache_dir=''),
    )
    with pytest.raises(KeyError, match='dsm'):
        compute_statistics(dataset, relative=['dsm'])
    with pytest.raises(ValueError, match='101'):
        compute_statistics(dataset, percentiles=[101])


def test_tool_by_options_and_by_config(data_root, project_root, tmp_path, monkeypatch, capsys):
    tool = project_root / 'tools' / 'dataset_tools' / 'compute_statistics.py'
    monkeypatch.chdir(tmp_path)

    def run(*args):
        monkeypatch.setattr('sys.argv', [str(tool), '--workers', '1', *map(str, args)])
        runpy.run_path(str(tool), run_name='__main__')
        return capsys.readouterr().out

    config = tmp_path / 'config.py'
    config.write_text(
        'train_dataloader = dict(dataset=dict(type="mssdf.MultiModalRasterDataset",\n'
        f'    data_root={str(data_root)!r}, windows=dict(size=200), index=dict(cache_dir=""),\n'
        '    scenes=[dict(rgb="ign_lidarhd/rgbn.tif", dsm="ign_lidarhd/dsm.tif")],\n'
        '    modalities=dict(rgb=dict(bands=[1, 2, 3]), dsm=dict()), pipeline=[dict(type="X")]))\n'
        'model = dict(data_preprocessor=dict(\n'
        '    modalities=dict(rgb=dict(), dsm=dict(relative_to_median=True))))\n'
    )
    assert 'dsm, relative' in run(config, '--out', 'a.json')
    by_config = json.loads((tmp_path / 'a.json').read_text())
    assert 'relative' in by_config['dsm'] and 'relative' not in by_config['rgb']
    assert 0.5 < by_config['dsm']['valid_share'] < 0.8
    index = tmp_path / 'index.csv'
    index.write_text('rgb,dsm\nign_lidarhd/rgbn.tif,ign_lidarhd/dsm.tif\n')
    run(
        '--data-root',
        data_root,
        '--scenes',
        index,
        '--modality',
        'rgb=:1,2,3',
        '--modality',
        'dsm=',
        '--relative',
        'dsm',
        '--window-size',
        200,
        '--out',
        'b.json',
    )
    assert json.loads((tmp_path / 'b.json').read_text()) == by_config


def test_write_leaves_one_file(tmp_path):
    write_statistics(tmp_path / 'deep' / 's.json', dict(a=1))
    assert [p.name for p in (tmp_path / 'deep').iterdir()] == ['s.json']

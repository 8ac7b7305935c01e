"""The dataset, against whole files read with rasterio."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from option_groups import merged
from rasterio.enums import ColorInterp
from torch.utils.data import DataLoader

from mssdf.datasets import (
    MultiModalRasterDataset,
    ResumableSampler,
    SampleIndex,
    multimodal_collate,
)
from mssdf.rasters import scene_index, usable_windows
from mssdf.rasters.failures import UnreadableDataError

PACK = [dict(type='mssdf.PackMultiModalInputs')]
RGB_DSM = dict(rgb=dict(suffix='_dom.tif', bands=[1, 2, 3]), dsm=dict(suffix='_dsm.tif', bands=[1]))
AUGMENT = [
    dict(type='mssdf.MultiModalRandomResizedCrop', size=48, scale=(0.3, 1.0)),
    dict(type='mssdf.MultiModalRandomFlip'),
    dict(type='mssdf.MultiModalRandomRotate90'),
    dict(type='mssdf.MultiModalColorJitter'),
    dict(type='mssdf.ModalityDropout', prob=0.2),
    *PACK,
]


def make(**options):
    settings = dict(modalities=RGB_DSM, pipeline=PACK, index=dict(cache_dir=''))
    return MultiModalRasterDataset(**{**settings, **options})


def whole(path):
    with rasterio.open(path) as raster:
        return raster.read()


def pair(write_raster, rng, name, size=(70, 90), **options):
    """A scene of the HR-Pairs layout."""
    rgb = rng.integers(1, 255, (3, *size)).astype(np.uint8)
    dsm = rng.normal(100, 5, size).astype(np.float32)
    write_raster(f'patch/{name}_dom.tif', rgb, **options)
    write_raster(f'patch/{name}_dsm.tif', dsm, nodata=-9999, **options)
    return rgb, dsm


def same(one, two):
    return (
        all(
            torch.equal(one[part][m], two[part][m])
            for part in ('inputs', 'valid')
            for m in one[part]
        )
        and one['data_samples'].metainfo == two['data_samples'].metainfo
    )


def test_windows_equal_the_files(data_root):
    patch = data_root / 'autzen' / 'patch'
    rgb, dsm = whole(patch / 'autzen_dom.tif'), whole(patch / 'autzen_dsm.tif')
    dataset = DATASETS.build(
        dict(
            type='mssdf.MultiModalRasterDataset',
            data_root=str(data_root / 'autzen'),
            modalities=RGB_DSM,
            pipeline=PACK,
            index=dict(cache_dir=''),
            windows=dict(size=320),
        )
    )
    covered = np.zeros(rgb.shape[1:], bool)
    for index in range(len(dataset)):
        sample = dataset[SampleIndex(index, 0)]
        row, col, height, width = sample['data_samples'].window
        part = np.s_[:, row : row + height, col : col + width]
        covered[part[1:]] = True
        np.testing.assert_array_equal(sample['inputs']['rgb'].numpy(), rgb[part])
        valid = dsm[part] != -9999
        if valid.mean() < 0.5:
            assert not sample['valid']['dsm'].any()
            continue
        np.testing.assert_array_equal(sample['valid']['dsm'].numpy(), valid)
        np.testing.assert_array_equal(
            sample['inputs']['dsm'].numpy(), np.where(valid, dsm[part], 0)
        )
    assert covered.all()
    assert sample['inputs']['rgb'].dtype == torch.uint8
    assert sample['inputs']['dsm'].dtype == torch.float32
    assert sample['valid']['dsm'].shape == (1, 320, 320)
    assert dataset.metainfo['modalities'] == ('rgb', 'dsm')


def test_windows_mostly_invalid_are_dropped_as_counted_by_numpy(data_root):
    """IGN's raster is a wedge, 65 % valid."""
    path = data_root / 'ign_lidarhd' / 'dsm.tif'
    valid = whole(path)[0] != -9999
    dataset = make(
        scenes=[dict(dsm=str(path))],
        modalities=dict(dsm=dict(bands=[1])),
        windows=dict(size=64, stride=20),
    )
    height, width = valid.shape
    starts = [sorted({*range(0, size - 63, 20), size - 64}) for size in (height, width)]
    expected = [
        (r, c, 64, 64)
        for r in starts[0]
        for c in starts[1]
        if valid[r : r + 64, c : c + 64].mean() >= 0.5
    ]
    found = [dataset.get_data_info(i)['window'] for i in range(len(dataset))]
    assert found == expected
    assert 0.3 < len(found) / (len(starts[0]) * len(starts[1])) < 0.95


@pytest.mark.parametrize('tiled', [dict(), dict(tiled=True, blockxsize=64, blockysize=64)])
def test_close_calls_are_counted_exactly(write_raster, rng, tiled):
    """Speckles of nodata, about half of every window."""
    array = rng.normal(size=(250, 330)).astype(np.float32)
    array[rng.random(array.shape) < 0.5] = -9999
    valid = array != -9999
    dataset = make(
        scenes=[dict(x=write_raster('a.tif', array, nodata=-9999, **tiled))],
        modalities=dict(x=None),
        windows=dict(size=96, stride=17),
    )
    expected = [
        (r, c, 96, 96)
        for r in sorted({*range(0, 155, 17), 154})
        for c in sorted({*range(0, 235, 17), 234})
        if valid[r : r + 96, c : c + 96].mean() >= 0.5
    ]
    assert [dataset.get_data_info(i)['window'] for i in range(len(dataset))] == expected


def test_same_size_but_another_time_is_another_file(tmp_path, write_raster, rng):
    array = rng.normal(size=(64, 64)).astype(np.float32)
    path = Path(write_raster('a.tif', array, nodata=-9999, compress=None))
    options = dict(
        scenes=[dict(x=str(path))],
        modalities=dict(x=None),
        windows=dict(size=32),
        index=dict(cache_dir=str(tmp_path / 'cache')),
    )
    assert len(make(**options)) == 4
    size = path.stat().st_size
    array[:, :32] = -9999
    write_raster('a.tif', array, nodata=-9999, compress=None)
    os.utime(path, ns=(1, 1))
    assert path.stat().st_size == size
    assert len(make(**options)) == 2


def test_two_settings_keep_an_index_each(tmp_path, write_raster, rng, monkeypatch):
    pair(write_raster, rng, 'a')
    options = dict(data_root=str(tmp_path), index=dict(cache_dir=str(tmp_path / 'cache')))
    sizes = [len(make(**options, windows=dict(size=size))) for size in (32, 48)]
    monkeypatch.setattr(scene_index, 'read_header', None)  # not called
    assert [len(make(**options, windows=dict(size=size))) for size in (32, 48)] == sizes


def test_index_is_reused_until_a_file_changes(tmp_path, write_raster, rng, monkeypatch):
    _, dsm = pair(write_raster, rng, 'a')
    options = dict(
        data_root=str(tmp_path),
        windows=dict(size=32),
        index=dict(cache_dir=str(tmp_path / 'cache')),
        modalities=dict(dsm=RGB_DSM['dsm']),
    )
    before = make(**options)

    def refuse(*_args, **_kwargs):
        raise AssertionError('pixels were read')

    with monkeypatch.context() as patch:
        patch.setattr(scene_index, 'read_header', refuse)
        for name in ('read_validity', 'validity_on_grid'):
            patch.setattr(usable_windows, name, refuse)
        again = make(**options)
        assert [again.get_data_info(i) for i in range(len(again))] == [
            before.get_data_info(i) for i in range(len(before))
        ]
        assert same(again[SampleIndex(2, 0)], before[SampleIndex(2, 0)])
        with pytest.raises(AssertionError, match='pixels were read'):
            make(
                **merged(options, dict(windows=dict(max_invalid_per_window=0.3)))
            )  # another question, another answer

    dsm[:, :40] = -9999
    write_raster('patch/a_dsm.tif', dsm, nodata=-9999)
    os.utime(tmp_path / 'patch' / 'a_dsm.tif', ns=(1, 1))
    changed = make(**options)
    assert len(changed) < len(before)


def test_interrupted_index_keeps_what_is_done(tmp_path, write_raster, rng, monkeypatch):
    for number in range(6):
        pair(write_raster, rng, f's{number}', size=(32, 32))
    options = dict(
        data_root=str(tmp_path),
        windows=dict(size=32),
        index=dict(cache_dir=str(tmp_path / 'cache')),
    )
    index, done = scene_index._index_scene, []

    def interrupted(scene, *args):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(scene.name)
        return index(scene, *args)

    one_thread = ThreadPoolExecutor(1)  # one scene after the other
    monkeypatch.setattr(scene_index, 'reader_threads', lambda: one_thread)
    monkeypatch.setattr(scene_index, '_index_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(**options)
    again = []
    monkeypatch.setattr(
        scene_index, '_index_scene', lambda scene, *a: again.append(scene.name) or index(scene, *a)
    )
    assert len(make(**options)) == 6
    assert len(again) <= 4 and set(done[:2]).isdisjoint(again)


def test_damaged_cache_is_rebuilt(tmp_path, write_raster, rng):
    pair(write_raster, rng, 'a')
    options = dict(
        data_root=str(tmp_path),
        windows=dict(size=32),
        index=dict(cache_dir=str(tmp_path / 'cache')),
    )
    size = len(make(**options))
    (cache,) = (tmp_path / 'cache').iterdir()
    cache.write_text(cache.read_text()[:100])
    assert len(make(**options)) == size
    assert cache.read_text().endswith('}')


def test_missing_modalities(tmp_path, write_raster, rng):
    rgb, _ = pair(write_raster, rng, 'a')
    pair(write_raster, rng, 'b')
    (tmp_path / 'patch' / 'a_dsm.tif').unlink()
    (tmp_path / 'patch' / 'b_dom.tif').unlink()
    dataset = make(data_root=str(tmp_path), windows=dict(size=32, judge_by='reference'))
    found = {}
    for index in range(len(dataset)):
        sample = dataset[SampleIndex(index, 0)]
        assert list(sample['inputs']) == ['rgb', 'dsm']
        present = tuple(m for m, v in sample['valid'].items() if v.any())
        assert sample['data_samples'].modalities == present
        missing = 'dsm' if present == ('rgb',) else 'rgb'
        assert not sample['inputs'][missing].any()
        found[sample['data_samples'].scene] = present
    assert found == dict(a=('rgb',), b=('dsm',))
    batch = multimodal_collate([dataset[SampleIndex(i, 0)] for i in range(len(dataset))])
    assert batch['inputs']['dsm'].shape == (len(dataset), 1, 32, 32)


def test_modality_mostly_empty_counts_as_missing(tmp_path, write_raster, rng):
    _, dsm = pair(write_raster, rng, 'a', size=(32, 96))
    dsm[:, 32:52] = -9999  # 62 % of the second window
    dsm[:, 64:74] = -9999  # 31 % of the third
    write_raster('patch/a_dsm.tif', dsm, nodata=-9999)
    dataset = make(data_root=str(tmp_path), windows=dict(size=32))
    assert [dataset[SampleIndex(i, 0)]['data_samples'].modalities for i in range(3)] == [
        ('rgb', 'dsm'),
        ('rgb',),
        ('rgb', 'dsm'),
    ]
    by_dsm = make(data_root=str(tmp_path), windows=dict(size=32, reference='dsm'))
    assert [by_dsm.get_data_info(i)['window'][1] for i in range(len(by_dsm))] == [0, 64]
    either = make(data_root=str(tmp_path), windows=dict(size=32, reference='dsm', judge_by='any'))
    assert len(either) == 3
    assert either[SampleIndex(1, 0)]['data_samples'].modalities == ('rgb',)


def test_modalities_in_one_file_and_infrared_tagged_as_alpha(write_raster, rng):
    array = rng.integers(0, 255, (4, 40, 40)).astype(np.uint8)
    array[3, :10] = 0
    tags = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    path = write_raster('a.tif', array, colorinterp=tags, photometric='rgb')
    dataset = make(
        scenes=[dict(rgb=path, nir=dict(path=path, bands=[4]))],
        modalities=dict(rgb=dict(bands=[1, 2, 3]), nir=None),
        windows=dict(size=40),
    )
    sample = dataset[SampleIndex(0, 0)]
    assert sample['valid']['rgb'].all() and sample['valid']['nir'].all()
    np.testing.assert_array_equal(sample['inputs']['rgb'].numpy(), array[:3])
    np.testing.assert_array_equal(sample['inputs']['nir'].numpy(), array[3:])
    alone = make(
        scenes=[dict(rgb=path)], modalities=dict(rgb=dict(bands=[1, 2, 3])), windows=dict(size=40)
    )
    np.testing.assert_array_equal(
        alone[SampleIndex(0, 0)]['valid']['rgb'][0].numpy(), array[3] != 0
    )


def test_real_rasters_of_three_resolutions(data_root):
    """IDTReeS: RGB at 0.1 m, canopy heights at 1 m."""
    root = data_root / 'idtrees'
    (rgb_path, *_) = sorted(root.glob('rgb_*.tif'))
    chm_path = root / rgb_path.name.replace('rgb_', 'chm_')
    chm = whole(chm_path)[0]
    dataset = make(
        scenes=[dict(rgb=str(rgb_path), dsm=str(chm_path))],
        windows=dict(size=100),
        modalities=dict(rgb=dict(bands=[1, 2, 3]), dsm=dict(resampling='nearest')),
    )
    assert len(dataset) == 4
    sample = dataset[SampleIndex(3, 0)]
    known = chm > -1e38
    expected = np.kron(np.where(known, chm, 0), np.ones((10, 10), np.float32))[100:, 100:]
    np.testing.assert_array_equal(sample['inputs']['dsm'][0].numpy(), expected)

    coarse = make(  # the other way round: colors averaged to the heights' grid
        scenes=[dict(rgb=str(rgb_path), dsm=str(chm_path))],
        windows=dict(size=20, reference='dsm'),
        modalities=dict(rgb=dict(bands=[1, 2, 3]), dsm=dict()),
    )
    rgb = whole(rgb_path)
    means = rgb.reshape(3, 20, 10, 20, 10).mean((2, 4))
    found = coarse[SampleIndex(0, 0)]['inputs']['rgb'].numpy()
    np.testing.assert_allclose(found, means, atol=0.501)


def test_sixteen_bits_and_mixed_types(write_raster, rng):
    one = rng.integers(0, 60_000, (2, 20, 20)).astype(np.uint16)
    two = rng.integers(0, 255, (2, 20, 20)).astype(np.uint8)
    scenes = [dict(ms=write_raster('a.tif', one)), dict(ms=write_raster('b.tif', two))]
    dataset = make(scenes=scenes, modalities=dict(ms=None), windows=dict(size=20))
    for index, array in enumerate((one, two)):
        image = dataset[SampleIndex(index, 0)]['inputs']['ms']
        assert image.dtype == torch.int32
        np.testing.assert_array_equal(image.numpy(), array)
    signed = rng.integers(-300, 300, (1, 20, 20)).astype(np.int16)
    dem = make(
        scenes=[dict(dem=write_raster('c.tif', signed))],
        modalities=dict(dem=None),
        windows=dict(size=20),
    )
    image = dem[SampleIndex(0, 0)]['inputs']['dem']
    assert image.dtype == torch.int16
    np.testing.assert_array_equal(image.numpy(), signed)


def test_differing_band_counts_are_named(write_raster):
    scenes = [dict(ms=write_raster(f'{n}.tif', np.zeros((n, 20, 20), np.int16))) for n in (3, 4)]
    with pytest.raises(ValueError, match=r"4\.tif: expected 3 band.*'ms'.*3\.tif, found 4"):
        make(scenes=scenes, modalities=dict(ms=None), windows=dict(size=20))


def test_another_crs_stops_at_the_start(tmp_path, write_raster, rng):
    pair(write_raster, rng, 'a')
    write_raster('patch/a_dsm.tif', np.zeros((70, 90), np.float32), crs='EPSG:3857')
    with pytest.raises(ValueError, match=r'a_dsm\.tif.*a_dom\.tif, EPSG:32632, found EPSG:3857'):
        make(data_root=str(tmp_path), windows=dict(size=32))


def test_data_root_by_the_variable(tmp_path, write_raster, rng, monkeypatch):
    pair(write_raster, rng, 'a')
    monkeypatch.setenv('MSSDF_DATA', str(tmp_path))
    assert len(make(windows=dict(size=32))) == len(
        make(windows=dict(size=32), data_root=str(tmp_path))
    )
    monkeypatch.setenv('MSSDF_DATA', str(tmp_path / 'nowhere'))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        make(windows=dict(size=32))
    lazy = make(windows=dict(size=32), lazy_init=True)
    assert lazy.metainfo['modalities'] == ('rgb', 'dsm')


def test_raster_smaller_than_the_window_is_padded(write_raster, rng):
    array = rng.integers(1, 255, (1, 30, 40)).astype(np.uint8)
    path = write_raster('a.tif', array)
    dataset = make(scenes=[dict(x=path)], modalities=dict(x=None), windows=dict(size=42))
    sample = dataset[SampleIndex(0, 0)]
    np.testing.assert_array_equal(sample['inputs']['x'][:, :30, :40].numpy(), array)
    assert sample['valid']['x'].sum() == 30 * 40
    with pytest.raises(ValueError, match=r'found none in 1 scene.*a\.tif'):
        make(scenes=[dict(x=path)], modalities=dict(x=None), windows=dict(size=60))


def test_random_windows_follow_area_and_avoid_nodata(write_raster, rng):
    small = rng.normal(0, 1, (64, 64)).astype(np.float32)
    large = rng.normal(0, 1, (128, 192)).astype(np.float32)
    large[:, 96:] = -9999
    scenes = [
        dict(name='small', x=write_raster('s.tif', small, nodata=-9999)),
        dict(name='large', x=write_raster('l.tif', large, nodata=-9999)),
    ]
    dataset = make(
        scenes=scenes, modalities=dict(x=None), windows=dict(size=16, mode='random', per_epoch=700)
    )
    assert len(dataset) == 700
    drawn = [dataset[SampleIndex(i, 0)] for i in range(700)]
    files = dict(small=small, large=large)
    places = set()
    for sample in drawn:
        meta = sample['data_samples']
        row, col, height, width = meta.window
        part = files[meta.scene][row : row + height, col : col + width]
        assert part.shape == (16, 16) and (part != -9999).mean() >= 0.5
        np.testing.assert_array_equal(
            sample['inputs']['x'][0].numpy(), np.where(part == -9999, 0, part)
        )
        places.add((meta.scene, row, col))
    share = np.mean([s['data_samples'].scene == 'large' for s in drawn])
    expected = 128 * 192 / (128 * 192 + 64 * 64)
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 700)
    assert len(places) > 600
    assert not same(drawn[0], dataset[SampleIndex(0, 1)])  # positions are drawn in each epoch


@pytest.mark.parametrize('windows', [dict(mode='grid'), dict(mode='random', per_epoch=20)])
def test_same_samples_whatever_the_workers_and_after_a_restart(
    tmp_path, write_raster, rng, windows
):
    for name in 'ab':
        pair(write_raster, rng, name, size=(120, 150))
    options = dict(data_root=str(tmp_path), windows=dict(windows, size=48), pipeline=AUGMENT)

    def epoch(workers, start=0, number=3):
        dataset = make(**options)
        sampler = ResumableSampler(dataset, seed=5)
        sampler.set_epoch(number)
        sampler.set_start(start)
        loader = DataLoader(
            dataset,
            batch_size=4,
            sampler=sampler,
            num_workers=workers,
            collate_fn=multimodal_collate,
        )
        return list(loader)

    batches = epoch(0)
    for other, skipped in ((epoch(1), 0), (epoch(2), 0), (epoch(2, start=8), 2)):
        assert len(other) == len(batches) - skipped
        for one, two in zip(batches[skipped:], other, strict=True):
            for part in ('inputs', 'valid'):
                for modality in one[part]:
                    assert torch.equal(one[part][modality], two[part][modality])
            assert [s.metainfo for s in one['data_samples']] == [
                s.metainfo for s in two['data_samples']
            ]
    another = epoch(0, number=4)
    assert not torch.equal(another[0]['inputs']['dsm'], batches[0]['inputs']['dsm'])


def test_same_index_in_another_epoch_or_seed_differs(tmp_path, write_raster, rng):
    pair(write_raster, rng, 'a')
    options = dict(data_root=str(tmp_path), windows=dict(size=48), pipeline=AUGMENT[:1] + PACK)
    dataset = make(**options)
    one = dataset[SampleIndex(0, 0)]
    assert same(one, dataset[SampleIndex(0, 0)])
    assert not same(one, dataset[SampleIndex(0, 1)])
    assert not same(one, make(**options, seed=1)[SampleIndex(0, 0)])


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.fixture
def log(caplog):
    """What MMEngine's logger says, which does not pass it on to the root logger."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_unreadable_file_is_named_once_and_drawn_again(tmp_path, write_raster, rng, log):
    for number in range(25):
        pair(write_raster, rng, f's{number:02d}', size=(32, 32))
    dataset = make(data_root=str(tmp_path), windows=dict(size=32))
    bad = tmp_path / 'patch' / 's07_dom.tif'
    truncate(bad, 0.3)  # after indexing
    first = [dataset[SampleIndex(i, 0)] for i in range(25)]
    again = [dataset[SampleIndex(i, 0)] for i in range(25)]
    assert first[7]['data_samples'].scene != 's07'
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    named = [r for r in log.records if str(bad) in r.getMessage()]
    assert len(named) == 1 and named[0].levelno == logging.WARNING


def test_unreadable_file_is_named_once_among_workers(tmp_path, write_raster, rng):
    for number in range(24):
        pair(write_raster, rng, f's{number:02d}', size=(32, 32))
    dataset = make(data_root=str(tmp_path), windows=dict(size=32))
    bad = tmp_path / 'patch' / 's07_dom.tif'
    truncate(bad, 0.3)
    indices = [SampleIndex(7, epoch) for epoch in range(8)]
    loader = DataLoader(
        dataset, batch_size=1, sampler=indices, num_workers=2, collate_fn=multimodal_collate
    )
    logger = MMLogger.get_current_instance()
    handler = logging.FileHandler(tmp_path / 'log.txt')
    logger.addHandler(handler)
    try:
        assert all(b['data_samples'][0].scene != 's07' for b in loader)
    finally:
        logger.removeHandler(handler)
    assert (tmp_path / 'log.txt').read_text().count(f'{bad} cannot be read') == 1


def test_too_many_unreadable_files_stop(tmp_path, write_raster, rng):
    for number in range(10):
        pair(write_raster, rng, f's{number}', size=(32, 32))
    dataset = make(
        data_root=str(tmp_path), windows=dict(size=32), reading=dict(max_failed_share=0.07)
    )
    for number in (3, 8):
        truncate(tmp_path / 'patch' / f's{number}_dsm.tif', 0.3)
    dataset[SampleIndex(3, 0)]  # 1 of 20 is allowed
    with pytest.raises(UnreadableDataError, match=r'2 of 20 files.*10\.0%.*7\.0%.*s3_dsm.*s8_dsm'):
        dataset[SampleIndex(8, 0)]


def test_reads_of_one_bad_file_count_too(tmp_path, write_raster, rng):
    """One file of many, but with a good part of all windows."""
    pair(write_raster, rng, 'big', size=(200, 200))
    for number in range(30):
        pair(write_raster, rng, f's{number}', size=(20, 20))
    dataset = make(data_root=str(tmp_path), windows=dict(size=20))
    truncate(tmp_path / 'patch' / 'big_dom.tif', 0.1)
    with pytest.raises(UnreadableDataError, match='reads failed.*big_dom'):
        for index in range(len(dataset)):
            dataset[SampleIndex(index, 0)]


def test_unreadable_at_the_start(tmp_path, write_raster, rng, log):
    for number in range(20):
        pair(write_raster, rng, f's{number}', size=(32, 32))
    (tmp_path / 'patch' / 's4_dom.tif').write_bytes(b'no raster')
    dataset = make(data_root=str(tmp_path), windows=dict(size=32))
    assert len(dataset) == 19
    assert sum('s4_dom.tif cannot be read' in r.getMessage() for r in log.records) == 1
    with pytest.raises(UnreadableDataError, match=r's4_dom\.tif'):
        make(data_root=str(tmp_path), windows=dict(size=32), reading=dict(max_failed_share=0.0))
    listed = [dict(rgb=f'patch/s{n}_dom.tif', dsm=f'patch/x{n}_dsm.tif') for n in range(3)]
    with pytest.raises(UnreadableDataError, match=r'x0_dsm\.tif'):
        make(data_root=str(tmp_path), windows=dict(size=32), scenes=listed)


def test_open_files_are_bounded(tmp_path, write_raster, rng):
    for number in range(6):
        pair(write_raster, rng, f's{number}', size=(32, 32))
    dataset = make(data_root=str(tmp_path), windows=dict(size=32), reading=dict(max_open_files=3))
    for index in range(len(dataset)):
        dataset[SampleIndex(index, 0)]
        assert len(dataset._reader.pool) <= 3
    held = [
        os.readlink(f'/proc/self/fd/{fd}')
        for fd in os.listdir('/proc/self/fd')
        if os.path.islink(f'/proc/self/fd/{fd}')
    ]
    assert sum(path.startswith(str(tmp_path)) for path in held) <= 3


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(modalities={}), ValueError, 'modalities'),
        (dict(reference='ms'), ValueError, "reference.*'ms'"),
        (dict(windows=dict(max_invalid_per_window=1.5)), ValueError, 'max_invalid'),
        (dict(windows=dict(judge_by='none')), ValueError, 'judge_by'),
        (dict(reading=dict(max_open_files=0)), ValueError, 'max_open_files'),
    ],
)
def test_wrong_options_are_named(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)

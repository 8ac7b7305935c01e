"""Windows from shards against the same windows from the rasters."""

import logging
import multiprocessing
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from mssdf.datasets import MultiModalRasterDataset, SampleIndex, ShardDataset, multimodal_collate
from mssdf.datasets.shards import decode_sample
from mssdf.rasters import failures
from mssdf.rasters.failures import UnreadableDataError
from mssdf.registry import DATASETS

pytest.importorskip('litdata')

SIZE = 64
PIPELINE = [
    dict(type='mssdf.MultiModalRandomResizedCrop', size=48, scale=(0.3, 1.0)),
    dict(type='mssdf.MultiModalRandomFlip'),
    dict(type='mssdf.MultiModalRandomRotate90'),
    dict(type='mssdf.MultiModalColorJitter'),
    dict(type='mssdf.ModalityDropout', prob=0.2),
    dict(type='mssdf.PackMultiModalInputs'),
]
MODALITIES = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif'))


def config(root, **changes):
    """A config of rasters."""
    return dict(
        type='mssdf.MultiModalRasterDataset',
        data_root=str(root),
        modalities=MODALITIES,
        windows=dict(size=SIZE, max_invalid_per_window=0.4, judge_by='any'),
        index=dict(cache_dir=''),
        seed=11,
        pipeline=PIPELINE,
        **changes,
    )


@pytest.fixture(scope='module')
def rasters(data_root):
    return DATASETS.build(config(data_root / 'autzen'))


@pytest.fixture(scope='module')
def root(rasters, write_shards, tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_shards(rasters, root / 'shards', per_shard=7)
    return root


@pytest.fixture
def shards(root):
    """The one line that changes is the type."""
    return DATASETS.build(dict(config(root), type='mssdf.ShardDataset'))


def assert_same(one, other):
    assert list(one['inputs']) == list(other['inputs'])
    for part in ('inputs', 'valid'):
        for modality, tensor in one[part].items():
            assert tensor.dtype == other[part][modality].dtype
            assert torch.equal(tensor, other[part][modality]), modality
    for a, b in zip(one['data_samples'], other['data_samples'], strict=True):
        assert a.metainfo == b.metainfo


def batch(dataset, indices, epoch=3):
    return multimodal_collate([dataset[SampleIndex(i, epoch)] for i in indices])


def test_the_batches_of_pre_training_are_the_same(rasters, shards):
    assert len(shards) == len(rasters) > 20
    assert shards.metainfo == rasters.metainfo
    order = np.random.default_rng(0).permutation(len(shards))[:24].tolist()
    for epoch in (0, 5):
        assert_same(batch(shards, order, epoch), batch(rasters, order, epoch))
    assert not torch.equal(
        batch(shards, [0], 0)['inputs']['rgb'], batch(shards, [0], 1)['inputs']['rgb']
    )


def test_images_lie_as_those_of_rasters_and_may_be_written_to(rasters, shards):
    for index in range(0, len(shards), 5):
        one, other = shards.read_window(index), rasters.read_window(index)
        assert list(one['images']) == list(other['images']) and one['files'] == other['files']
        for m in other['images']:
            np.testing.assert_array_equal(one['images'][m], other['images'][m])
            np.testing.assert_array_equal(one['valid'][m], other['valid'][m])
            assert one['images'][m].strides == other['images'][m].strides
            one['images'][m][:] = 1
            one['valid'][m][:] = False
    np.testing.assert_array_equal(
        shards.read_window(0)['images']['rgb'], rasters.read_window(0)['images']['rgb']
    )


def test_where_a_window_lies(data_root, shards):
    """The stored transform leads back to the pixels."""
    import rasterio

    for index in (0, 9, len(shards) - 1):
        found = shards.read_window(index)
        with rasterio.open(data_root / 'autzen/patch/autzen_dsm.tif') as raster:
            assert raster.crs == rasterio.CRS.from_user_input(found['crs'])
            x, y = rasterio.Affine(*found['transform']) @ (0.5, 0.5)
            assert raster.index(x, y) == found['window'][:2]
            (value,) = next(raster.sample([(x, y)]))
        if found['valid']['dsm'][0, 0]:
            assert found['images']['dsm'][0, 0, 0] == value


@pytest.mark.parametrize(
    ('context', 'read_before'), [('fork', False), ('fork', True), ('spawn', True)]
)
def test_workers(shards, rasters, context, read_before):
    if read_before:  # what the parent has open must not be used by its children
        shards[SampleIndex(0, 0)]
    order = [SampleIndex(i, 1) for i in range(16)]
    loader = DataLoader(
        shards,
        batch_size=4,
        sampler=order,
        num_workers=2,
        collate_fn=multimodal_collate,
        multiprocessing_context=multiprocessing.get_context(context),
    )
    for number, found in enumerate(loader):
        assert_same(found, batch(rasters, range(4 * number, 4 * number + 4), 1))


def test_a_batch_is_announced_window_by_window(root, shards, monkeypatch):
    """The system is told of exactly the bytes that hold each window of a batch."""
    told, advise = [], os.posix_fadvise

    def record(descriptor, first, length, advice):
        path = os.readlink(f'/proc/self/fd/{descriptor}')
        told.append((path, first, length, advice))
        advise(descriptor, first, length, advice)

    monkeypatch.setattr(os, 'posix_fadvise', record)
    order = [SampleIndex(i, 0) for i in (20, 0, 7, 743)]
    found = shards.__getitems__(order)
    monkeypatch.undo()
    assert [path.rpartition('/')[2] for path, *_ in told] == [
        '000014.bin',
        '000000.bin',
        '000007.bin',
        '000742.bin',
    ]
    for (path, first, length, advice), index, sample in zip(told, order, found, strict=True):
        assert advice == os.POSIX_FADV_WILLNEED
        with open(path, 'rb') as file:
            file.seek(first + 4)
            window = decode_sample(file.read(length - 4))['window']
        assert window == sample['data_samples'].metainfo['window']
        assert torch.equal(sample['inputs']['rgb'], shards[index]['inputs']['rgb'])


def test_pickled(shards):
    before = shards[SampleIndex(4, 0)]
    after = pickle.loads(pickle.dumps(shards))[SampleIndex(4, 0)]
    assert torch.equal(before['inputs']['rgb'], after['inputs']['rgb'])


def test_bands_types_and_missing_modalities(root, rasters):
    chosen = ShardDataset(
        data_root=root,
        modalities=dict(dsm=dict(), rgb=dict(bands=[3, 1], dtype='float32')),
    )
    assert chosen.num_bands == dict(dsm=1, rgb=2)
    for index in (0, 8):
        found, whole = chosen.read_window(index), rasters.read_window(index)
        assert list(found['images']) == ['dsm', 'rgb']
        assert found['images']['rgb'].dtype == np.float32
        np.testing.assert_array_equal(found['images']['rgb'], whole['images']['rgb'][[2, 0]])


def test_a_window_without_a_modality(rasters, write_shards, tmp_path):
    both = [i for i in range(len(rasters)) if rasters.read_window(i)['valid']['dsm'].any()]

    class NoDsm:
        modalities, num_bands, dtypes = rasters.modalities, rasters.num_bands, rasters.dtypes

        def __len__(self):
            return 6

        def read_window(self, index):
            read = rasters.read_window(both[index])
            if index % 2:
                read['valid'] = dict(read['valid'], dsm=np.zeros((SIZE, SIZE), dtype=bool))
            return read

    write_shards(NoDsm(), tmp_path / 'shards', per_shard=3)
    dataset = ShardDataset(data_root=tmp_path, modalities=MODALITIES)
    for index in range(6):
        found = dataset.read_window(index)
        assert found['images']['dsm'].shape == (1, SIZE, SIZE)
        assert found['valid']['dsm'].any() == (index % 2 == 0)
        assert found['images']['dsm'].any() == (index % 2 == 0)
    only = ShardDataset(data_root=tmp_path, modalities=dict(dsm={}))
    assert only.read_window(1) is None
    only.pipeline.transforms.clear()
    assert only[SampleIndex(1, 0)]['valid']['dsm'].any()  # another window in its place


def test_what_was_decided_is_accepted_and_the_rest_refused(root, caplog):
    with caplog.at_level(logging.INFO):
        DATASETS.build(
            dict(
                config(root),
                type='mssdf.ShardDataset',
                windows=dict(mode='random', per_epoch=9, reference='rgb'),
            )
        )
    for change, error, message in (
        (
            dict(windows=dict(size=SIZE + 1)),
            ValueError,
            'windows.size: expected 64 × 64 as in .*found 65',
        ),
        (dict(modalities=dict(ms={})), ValueError, r"modalities\.ms: .*\['rgb', 'dsm'\]"),
        (dict(modalities=dict(rgb=dict(bands=[4]))), ValueError, r'rgb\.bands: .*1 to 3'),
        (
            dict(modalities=dict(rgb=dict(band=[1]))),
            KeyError,
            r'modalities\.rgb: expected some.*found \[.band.\]',
        ),
        (dict(modalities={}), ValueError, 'at least one'),
        (dict(widnow=3), TypeError, 'widnow'),
        (dict(reading=dict(max_failed_share=2)), ValueError, 'max_failed_share'),
        (dict(folder='patch'), FileNotFoundError, 'patch/mssdf_shards.json: expected an index'),
        (dict(data_root='http://localhost/data'), ValueError, 's3://'),
    ):
        with pytest.raises(error, match=message):
            ShardDataset(**{**dict(data_root=root, modalities=MODALITIES), **change})


@pytest.mark.parametrize('name', ['rgb', 'rgb-dsm', 'rgb-ms-dsm'])
def test_the_shipped_configs_switch_by_their_type(project_root, name):
    shipped = Config.fromfile(project_root / f'configs/_base_/datasets/hr-pairs_{name}_320.py')
    dataset = dict(shipped.train_dataloader.dataset, type='mssdf.ShardDataset', lazy_init=True)
    built = DATASETS.build(dataset)
    assert (built.window_size, list(built.modalities)) == (320, list(dataset['modalities']))


def test_without_litdata(root, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'litdata', None)
    with pytest.raises(ImportError, match=r'pip install "mssdf\[preparation\]"'):
        ShardDataset(data_root=root, modalities=MODALITIES)


def damaged(root, tmp_path, change):
    """A copy of the shards, the second of which is changed."""
    import shutil

    copy = shutil.copytree(root, tmp_path / 'copy')
    path = copy / 'shards' / '000007.bin'
    change(path)
    return copy, path


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    for place in range(100, len(content), 10_000):
        content[place] ^= 255
    path.write_bytes(content)


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def remove(path):
    path.unlink()


@pytest.mark.parametrize('change', [cut, flip, zero, remove])
def test_a_broken_shard_is_named_and_replaced(root, tmp_path, change, monkeypatch):
    said = []
    monkeypatch.setattr(failures, 'print_log', lambda text, **_: said.append(text))
    copy, path = damaged(root, tmp_path, change)
    dataset = ShardDataset(
        data_root=copy,
        modalities=MODALITIES,
        reading=dict(max_failed_share=1.0),
        pipeline=PIPELINE,
        seed=11,
    )
    whole = ShardDataset(data_root=root, modalities=MODALITIES, pipeline=PIPELINE, seed=11)
    found = [dataset[SampleIndex(i, 0)] for i in range(21)]
    for index in [*range(7), *range(14, 21)]:
        assert torch.equal(
            found[index]['inputs']['rgb'], whole[SampleIndex(index, 0)]['inputs']['rgb']
        )
    assert dataset._failures.failed == [str(path)]
    assert len(said) == 1
    for index in range(7, 14):  # the same replacement whoever draws it
        again = ShardDataset(
            data_root=copy,
            modalities=MODALITIES,
            reading=dict(max_failed_share=1.0),
            pipeline=PIPELINE,
            seed=11,
        )[SampleIndex(index, 0)]
        assert torch.equal(found[index]['inputs']['rgb'], again['inputs']['rgb'])
        assert torch.isfinite(found[index]['inputs']['dsm']).all()
    assert said[0].startswith(f'{path} cannot be read and its windows are drawn again: ')


def test_too_many_broken_shards_stop_it(root, tmp_path):
    copy, path = damaged(root, tmp_path, cut)
    dataset = ShardDataset(
        data_root=copy,
        modalities=MODALITIES,
        pipeline=PIPELINE,
        reading=dict(max_failed_share=0.009),
    )
    shards = len(dataset.chunk_sizes)
    assert shards == 107
    with pytest.raises(UnreadableDataError, match=rf'1 of {shards} files.*{path.name}'):
        dataset[SampleIndex(7, 0)]


def test_chunk_sizes(shards):
    sizes = shards.chunk_sizes
    assert sizes.sum() == len(shards) and set(sizes[:-1]) == {7}
    with pytest.raises(IndexError, match='expected an index below'):
        shards[SampleIndex(len(shards), 0)]


def test_raster_keys_are_still_the_raster_datasets(data_root):
    with pytest.raises(TypeError, match='storage_options'):
        MultiModalRasterDataset(data_root=data_root, modalities=MODALITIES, storage_options={})

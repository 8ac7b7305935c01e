"""Keys of former versions say the same as the groups that they went into."""

import numpy as np
import pytest
from mmengine.config import Config

from mssdf.cli.config_check import check_config
from mssdf.datasets import MultiModalRasterDataset, ShardDataset
from mssdf.errors import UsageError
from mssdf.models.data_preprocessors import MaskingDataPreprocessor

MODALITIES = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif'))
OLD = dict(
    window_size=96,
    max_invalid=0.3,
    judge_by='any',
    reference='dsm',
    max_failed_share=0.2,
    read_attempts=4,
    retry_seconds=0.1,
    max_open_files=5,
    folder='other',
    cache_dir='',
)


def test_a_dataset_of_rasters_takes_them_and_names_each(said):
    by_name = MultiModalRasterDataset(modalities=MODALITIES, lazy_init=True, **OLD)
    windows, reading, index = by_name.windows, by_name.reading, by_name.index
    assert (windows.size, windows.max_invalid_per_window) == (96, 0.3)
    assert (windows.judge_by, windows.reference) == ('any', 'dsm')
    assert (reading.attempts, reading.retry_seconds, reading.max_open_files) == (4, 0.1, 5)
    assert (reading.max_failed_share, index.folder, index.cache_dir) == (0.2, 'other', '')
    for key, place in MultiModalRasterDataset.MOVED_KEYS.items():
        assert any(f'{key}: this key is {place} now' in line for line in said.messages)


def test_an_old_key_of_one_s_own_holds_over_the_group_of_its_base():
    dataset = MultiModalRasterDataset(
        modalities=MODALITIES,
        windows=dict(size=320, mode='random', per_epoch=7),
        window_size=64,
        lazy_init=True,
    )
    assert (dataset.windows.size, dataset.windows.per_epoch) == (64, 7)


def test_a_dataset_of_shards_takes_those_of_rasters_too():
    options = dict(OLD, folder='shards', storage_threads=3, storage_options=dict(a=1))
    dataset = ShardDataset(modalities=MODALITIES, lazy_init=True, **options)
    assert (dataset.window_size, dataset.index.folder) == (96, 'shards')
    assert (dataset.reading.max_open_files, dataset.reading.storage_threads) == (5, 3)
    assert dataset.reading.storage_options == dict(a=1)


def test_the_data_preprocessor_takes_its_own():
    options = dict(modalities=dict(rgb=dict(mean=[0.0], std=[1.0])))
    assert MaskingDataPreprocessor(**options, max_invalid=0.2).max_invalid_per_patch == 0.2
    assert MaskingDataPreprocessor(**options).max_invalid_per_patch == 0.5


def test_a_config_with_old_keys_passes_and_slips_are_still_found(project_root):
    path = project_root / 'configs/pretrain/mssdf_vit-t-p16_quick-start.py'
    config = Config.fromfile(path)
    config.train_dataloader.dataset.window_size = 64
    config.model.data_preprocessor.max_invalid = 0.4
    check_config(config)
    config.train_dataloader.dataset.widnows = dict(size=64)
    with pytest.raises(UsageError, match='dataset.widnows: expected windows, found a key'):
        check_config(config)


def test_groups_refuse_keys_that_do_not_exist():
    for group in ('windows', 'reading', 'index'):
        for kind in (MultiModalRasterDataset, ShardDataset):
            with pytest.raises(ValueError, match=rf"{group}: expected some of .* found \['siz'\]"):
                kind(modalities=MODALITIES, lazy_init=True, **{group: dict(siz=3)})


def test_windows_are_the_same_by_either_spelling(data_root):
    root = data_root / 'autzen'
    old = MultiModalRasterDataset(
        data_root=root, modalities=MODALITIES, window_size=160, max_invalid=0.4, cache_dir=''
    )
    new = MultiModalRasterDataset(
        data_root=root,
        modalities=MODALITIES,
        windows=dict(size=160, max_invalid_per_window=0.4),
        index=dict(cache_dir=''),
    )
    assert len(old) == len(new) > 10
    for one, other in ((old.read_window(i), new.read_window(i)) for i in (0, len(new) - 1)):
        for name in MODALITIES:
            np.testing.assert_array_equal(one['images'][name], other['images'][name])

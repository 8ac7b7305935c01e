"""A resumed run with random augmentation ends where one that never stopped does, bit for bit."""

import json
import shutil

import pytest
import torch

from .detectors import NARROW

pytest.importorskip('mmseg')

# augmentation, dropout and stochastic depth as shipped; checkpoints within epochs
COMMON = {
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 2,
    'default_hooks.checkpoint.max_keep_ckpts': -1,
    'default_hooks.logger.interval': 1,
    'default_hooks.task_panel': None,
    'default_hooks.data_check.num_samples': 0,
    'model.backbone.drop_path_rate': 0.3,
    'val_cfg': None,
    'val_dataloader': None,
    'val_evaluator': None,
}
ITERATIONS = {'train_cfg.max_iters': 4, 'train_dataloader.dataset.pipeline.2.scale': '(64,64)'}
FAMILIES = {
    'segmentation': (
        'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam',
        'potsdam',
        ITERATIONS,
    ),
    'workers': (
        'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam',
        'potsdam',
        ITERATIONS | {'train_dataloader.num_workers': 2},
    ),
    'classification': (
        'classification/mssdf_vit-t-p16_4xb64-adamw-100e_ucm',
        'ucm',
        {'train_cfg.max_epochs': 1, 'train_dataloader.dataset.indices': 8},
    ),
    # mmdet's batches, of images of alike shapes
    'detection': (
        'detection/mssdf_vit-t-p16-faster-rcnn_4xb4-adamw-12e_nwpu-vhr10',
        'nwpu-vhr10',
        NARROW
        | {
            'train_dataloader.dataset.indices': 8,
            'train_dataloader.dataset.pipeline.2.scale': '(128,128)',
        },
    ),
}


def losses(folder):
    """Loss of each iteration."""
    (path,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line['step']: line['loss'] for line in lines if 'loss' in line}


@pytest.mark.parametrize(
    'family',
    [
        pytest.param(name, marks=pytest.mark.detection if name == 'detection' else ())
        for name in FAMILIES
    ],
)
def test_the_same_weights_and_losses(family, trial, tmp_path):
    if family == 'detection':
        pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)
    config, example, options = FAMILIES[family]
    run = trial(config, example, **(COMMON | options))
    assert run.train() == 0
    whole = tmp_path / 'whole'
    (tmp_path / 'train').rename(whole)
    assert run.train('--resume', str(whole / 'iter_2.pth')) == 0
    resumed = tmp_path / 'train'

    one, other = losses(whole), losses(resumed)
    assert sorted(one) == [1, 2, 3, 4] and sorted(other) == [3, 4]
    assert [one[step] for step in other] == list(other.values())
    first, second = (
        torch.load(folder / 'iter_4.pth', weights_only=False)['state_dict']
        for folder in (whole, resumed)
    )
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    shutil.rmtree(whole)

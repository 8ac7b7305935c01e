"""Batches that segmentation cannot take, as a user meets them."""

import shutil

import cv2
import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope

from .conftest import PROJECT, tool

pytest.importorskip('mmseg')

CONFIG = 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam'


def test_a_batch_of_one(trial, capsys):
    run = trial(CONFIG, 'potsdam', **{'train_cfg.max_iters': 2})
    assert run.train(**{'train_dataloader.batch_size': 1}) == 2
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith('train.py: train_dataloader.batch_size: expected 2 or more')
    assert 'model.decode_head.psp_modules.0' in line
    assert not list(run.folder.rglob('*.pth'))


@pytest.mark.parametrize('name', ['train', 'test'])
def test_images_of_several_sizes(trial, capsys, name, tmp_path):
    run = trial(CONFIG, 'potsdam', **{'train_cfg.max_iters': 2})
    root = tmp_path / 'data'
    shutil.copytree(run.data_root, root)
    run.data_root = root
    for folder in ('img_dir/val', 'ann_dir/val'):
        path = sorted((root / folder).glob('*.png'))[1]
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:128])
    if name == 'train':
        code = run.train(**{'val_dataloader.batch_size': 2})
    else:
        config = Config.fromfile(PROJECT / f'configs/{CONFIG}.py')
        config.model.backbone.pop('init_cfg')
        with DefaultScope.overwrite_default_scope('mmseg'):
            model = MODELS.build(config.model)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
        code = tool('test').main(
            [
                f'{CONFIG}.py',
                str(tmp_path / 'w.pth'),
                *('--work-dir', str(tmp_path / 'test')),
                *run.arguments(**{'test_dataloader.batch_size': 2}),
            ]
        )
    assert code == 2
    line = capsys.readouterr().out.strip().splitlines()[-1]
    loader = 'val' if name == 'train' else 'test'
    assert line.startswith(f'{name}.py: {loader}_dataloader.batch_size: expected 1')
    assert '512 x 512' in line and '256 x 512' in line  # as the pipeline resizes them

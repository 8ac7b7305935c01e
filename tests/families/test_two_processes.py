"""Families on two processes, as ``tools/dist_train.sh`` starts them (gloo, without a GPU)."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from .conftest import PROJECT

pytest.importorskip('mmseg')

EPOCH = {
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    'train_dataloader.dataset.indices': 8,
}
ITERATIONS = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}
CROP = {'train_dataloader.dataset.pipeline.2.crop_size': '(64,64)'}
SCALE = {'train_dataloader.dataset.pipeline.2.scale': '(64,64)'}
SEGMENTATION = 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k'
CHANGE = 'change_detection/mssdf_vit-t-p16'
FAMILIES = {  # config, example, options, a score of its validation
    'classification': (
        'classification/mssdf_vit-t-p16_4xb64-adamw-100e_ucm',
        'ucm',
        EPOCH,
        'accuracy/top1',
    ),
    'segmentation': (
        f'{SEGMENTATION}_potsdam',
        'potsdam',
        ITERATIONS | SCALE,
        'full-6-classes/mIoU',
    ),
    'segmentation-frozen': (
        f'{SEGMENTATION}_potsdam',
        'potsdam',
        ITERATIONS | SCALE,
        'full-6-classes/mIoU',
    ),
    'segmentation-with-heights': (
        f'{SEGMENTATION}_vaihingen-dsm',
        'vaihingen',
        ITERATIONS,
        'full-6-classes/mIoU',
    ),
    'height': (
        'height_estimation/mssdf_vit-t-p16-vpd_4xb8-adamw-30e_us3d',
        'us3d',
        EPOCH | CROP,
        'RMSE',
    ),
    'change': (
        f'{CHANGE}-siamese-upernet_1xb16-adamw-40k_levir-cd',
        'levir-cd',
        ITERATIONS | CROP,
        'F1',
    ),
    'semantic-change': (
        f'{CHANGE}-semantic-change_1xb8-adamw-40k_second',
        'second',
        ITERATIONS,
        'SeK',
    ),
}


def run_on_two(trial, timeout: int = 240) -> str:
    """Train on two processes; what they said."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PYTHONPATH=os.pathsep.join([str(PROJECT), os.environ.get('PYTHONPATH', '')]),
        PORT=str(port),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
    )
    command = [
        PROJECT / 'tools/dist_train.sh',
        trial.config,
        '2',
        *trial.variants,
        '--work-dir',
        trial.folder / 'train',
        '--checkpoint',
        trial.checkpoint,
        *trial.arguments(),
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


def validated(run) -> dict[str, float]:
    """The scores of the last validation, from the run's ``scalars.json``."""
    (path,) = run.folder.glob('train/*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return next(row for row in reversed(rows) if 'loss' not in row)


def check(trial, family: str) -> dict[str, float]:
    """Train and validate, and look at what came out; returns the scores."""
    config, data, options, _ = FAMILIES[family]
    frozen = family.endswith('frozen')
    run = trial(config, data, *(['frozen'] if frozen else []), **options)
    run_on_two(run)
    assert 'Distributed training: True' in run.log and 'GPU number: 2' in run.log
    weights = (run.folder / 'train/last_checkpoint').read_text().strip()
    state = torch.load(weights, weights_only=False)
    assert state['meta']['iter'] in (2, 4)
    assert all(v.isfinite().all() for v in state['state_dict'].values() if v.is_floating_point())
    start = torch.load(run.checkpoint, weights_only=True)['state_dict']
    name = 'backbone.layers.0.attn.qkv.weight'
    assert torch.equal(state['state_dict'][name], start[name]) == frozen
    return validated(run)


@pytest.mark.slow
def test_segmentation_trains_and_validates(trial):
    """The one with the most that needs several processes; tests/long has the others."""
    scores = check(trial, 'segmentation')
    config, data, options, name = FAMILIES['segmentation']
    # one process that tests the same images with the same weights finds the same, but for rounding
    alone = trial(config, data, **options).test()
    shared = [key for key, value in alone.items() if isinstance(value, float) and key in scores]
    assert name in shared and len(shared) > 4
    for key in shared:
        assert scores[key] == pytest.approx(alone[key], abs=0.05), key

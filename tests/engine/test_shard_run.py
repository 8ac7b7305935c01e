"""tools/train.py on shards, stopped inside an epoch and resumed: the same weights."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from mssdf.registry import DATASETS

pytest.importorskip('litdata')


def train(project_root, config_file, work_dir, *arguments):
    ran = subprocess.run(
        [
            sys.executable,
            str(project_root / 'tools' / 'train.py'),
            str(config_file),
            '--work-dir',
            str(work_dir),
            *arguments,
        ],
        env={**os.environ, 'PYTHONPATH': str(project_root), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-1000:] + ran.stderr[-3000:]
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_training_on_shards_goes_on_inside_an_epoch(
    make_config, project_root, write_shards, tmp_path
):
    config = make_config(tmp_path)
    dataset = config.train_dataloader.dataset
    dataset.windows.size = 128
    rasters = DATASETS.build(dict(dataset, windows=dict(size=128)))
    write_shards(rasters, tmp_path / 'data' / 'shards', per_shard=9)
    dataset.update(type='mssdf.ShardDataset', data_root=str(tmp_path / 'data'))
    config.train_dataloader.update(
        batch_size=16,
        num_workers=1,
        sampler=dict(type='mssdf.ShardSampler', streams=4, buffer=2),
    )
    config.train_cfg.max_epochs = 2
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    file = tmp_path / 'shards.py'
    config.dump(file)

    each = len(rasters) // 4 * 4 // 16
    assert each >= 3
    said = train(project_root, file, tmp_path / 'whole')
    assert f'{len(rasters)} windows in' in said
    for stopped in (1, each + 1):
        resumed = tmp_path / f'resumed{stopped}'
        resumed.mkdir()
        shutil.copy(tmp_path / 'whole' / f'iter_{stopped}.pth', resumed)
        train(project_root, file, resumed, '--resume')
        one, other = (
            torch.load(folder / f'iter_{2 * each}.pth', weights_only=False)['state_dict']
            for folder in (tmp_path / 'whole', resumed)
        )
        assert list(one) == list(other)
        assert all(torch.equal(one[key], other[key]) for key in one)
    start = torch.load(tmp_path / 'whole' / 'iter_1.pth', weights_only=False)['state_dict']
    assert any(not torch.equal(start[key], one[key]) for key in one)

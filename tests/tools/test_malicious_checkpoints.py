"""A pickle that would run code is refused wherever a checkpoint is taken, and runs nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = 'configs/pretrain/mssdf_vit-t-p16_quick-start.py'
AID = 'configs/classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid.py'


class Command:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


@pytest.fixture
def malicious(tmp_path):
    """A checkpoint in all but one of its entries, and the file that shows that code has run."""
    marker = tmp_path / 'ran'
    path = tmp_path / 'epoch_1.pth'
    state = dict(
        state_dict={'backbone.cls_token': torch.zeros(1, 1, 192)},
        meta=dict(iter=1, epoch=1, seed=0, extra=Command(marker)),
    )
    torch.save(state, path)
    return path, marker


COMMANDS = {
    'train --resume': ['tools/train.py', PRETRAIN, '--resume', '{file}', '--work-dir', '{out}'],
    'train, load_from': [
        'tools/train.py',
        PRETRAIN,
        '--work-dir',
        '{out}',
        '--cfg-options',
        'load_from={file}',
    ],
    'train --checkpoint': ['tools/train.py', AID, '--checkpoint', '{file}', '--work-dir', '{out}'],
    'train, teacher': [
        'tools/train.py',
        PRETRAIN,
        '--work-dir',
        '{out}',
        '--cfg-options',
        'model.teacher.checkpoint={file}',
    ],
    'test': ['tools/test.py', AID, '{file}', '--work-dir', '{out}'],
    'publish': ['tools/model_tools/publish_model.py', '{file}', '{out}/x.pth'],
    'convert': ['tools/model_tools/convert_official.py', '{file}', '{out}/x.pth'],
    'shard': ['tools/model_tools/convert_sharded.py', '{file}', '{out}/x'],
    'kNN': ['tools/analysis_tools/eval_knn.py', '{file}', '--images', 'tests/data/eurosat_rgb'],
}


@pytest.mark.parametrize('entry', COMMANDS)
def test_refused_and_not_run(entry, malicious, tmp_path):
    path, marker = malicious
    torch.load(path, weights_only=False)
    assert marker.exists()  # it would
    marker.unlink()
    command = [part.format(file=path, out=tmp_path / 'out') for part in COMMANDS[entry]]
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env=environment,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert not marker.exists()
    assert 'Traceback' not in said, said
    assert str(path) in said

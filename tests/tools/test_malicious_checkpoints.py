"""A pickle that would run code is refused wherever a checkpoint is taken, and runs nothing."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = 'configs/pretrain/mssdf_vit-t-p16_quick-start.py'
CLASSES = """
_base_ = ['{root}/configs/classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid.py']
images = dict(_delete_=True, type='mmpretrain.CustomDataset', data_prefix='', with_label=True,
    data_root='{root}/tests/data/eurosat_rgb', pipeline=[
        dict(type='mmpretrain.LoadImageFromFile'), dict(type='mmpretrain.PackInputs')])
model = dict(head=dict(num_classes=10))
train_dataloader = dict(dataset=images)
val_dataloader = dict(dataset=images)
test_dataloader = dict(dataset=images)
"""


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
    'train --checkpoint': [
        'tools/train.py',
        '{classes}',
        '--checkpoint',
        '{file}',
        '--work-dir',
        '{out}',
    ],
    'train, teacher': [
        'tools/train.py',
        PRETRAIN,
        '--work-dir',
        '{out}',
        '--cfg-options',
        'model.teacher.checkpoint={file}',
    ],
    'test': ['tools/test.py', '{classes}', '{file}', '--work-dir', '{out}'],
    'publish': ['tools/model_tools/publish_model.py', '{file}', '{out}/x.pth'],
    'convert': ['tools/model_tools/convert_official.py', '{file}', '{out}/x.pth'],
    'shard': ['tools/model_tools/convert_sharded.py', '{file}', '{out}/x'],
    'kNN': ['tools/analysis_tools/eval_knn.py', '{file}', '--images', 'tests/data/eurosat_rgb'],
}


def load_tool(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def would_run(path, marker):
    torch.load(path, weights_only=False)
    assert marker.exists()
    marker.unlink()


@pytest.mark.parametrize('entry', COMMANDS)
def test_refused_and_not_run(entry, malicious, tmp_path, monkeypatch, capfd):
    path, marker = malicious
    would_run(path, marker)
    classes = tmp_path / 'classes.py'
    classes.write_text(CLASSES.format(root=ROOT))
    tool, *arguments = (
        part.format(file=path, out=tmp_path / 'out', classes=classes) for part in COMMANDS[entry]
    )
    monkeypatch.setenv('MSSDF_CHECKPOINT', '')  # so that it is taken back afterwards
    monkeypatch.delenv('MSSDF_CHECKPOINT')
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('logging.raiseExceptions', False)  # streams that pytest has closed
    monkeypatch.setattr('mmengine.model.BaseModel.train_step', None)
    assert load_tool(tool).main(arguments) not in (0, None)  # an exception would be a traceback
    captured = capfd.readouterr()
    assert not marker.exists()
    assert 'expected tensors, found code that loading would run' in captured.out + captured.err
    assert str(path) in captured.out + captured.err


def test_as_a_command(malicious, tmp_path):
    path, marker = malicious
    command = [sys.executable, 'tools/train.py', PRETRAIN, '--resume', path, '--work-dir', tmp_path]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert not marker.exists()
    assert 'Traceback' not in done.stdout + done.stderr
    assert str(path) in done.stdout

"""Forty and more wrong configs: each stops before training, with one line that names the key."""

# ruff: noqa: E501

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mssdf.cli.config_check import check_config
from mssdf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = 'pretrain/mssdf_vit-t-p16_quick-start.py'
AID = 'classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid.py'
POTSDAM = 'segmentation/mssdf_vit-t-p16-upernet_4xb4-adamw-80k_potsdam.py'

# config, what is changed in it, words that the line must have
WRONG = {
    # misspelled keys
    'top level': (
        PRETRAIN,
        'train_dataloder = dict(batch_size=4)',
        ['train_dataloder', 'train_dataloader'],
    ),
    'top level 2': (
        PRETRAIN,
        'optim_wraper = dict(clip_grad=None)',
        ['optim_wraper', 'optim_wrapper'],
    ),
    'loader': (
        PRETRAIN,
        'train_dataloader = dict(num_worker=2)',
        ['train_dataloader.num_worker', 'num_workers'],
    ),
    'dataset': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(windowsize=64))',
        ['train_dataloader.dataset.windowsize', 'windows'],
    ),
    'group of the dataset': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(windows=dict(sise=64)))',
        ['train_dataloader', 'windows', "'sise'", "'size'"],
    ),
    'reading': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(reading=dict(attempts=0)))',
        ['train_dataloader', 'reading.attempts', '1 to 10', '0'],
    ),
    'modality': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(modalities=dict(rgb=dict(sufix='_dom.tif'))))",
        ['modalities.rgb', 'sufix', 'suffix'],
    ),
    'transform': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='mssdf.MultiModalRandomFlip', probability=1)]))",
        ['pipeline[0].probability', 'prob'],
    ),
    'preprocessor': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(maskratio=0.5))',
        ['model.data_preprocessor.maskratio', 'mask_ratio'],
    ),
    'model': (PRETRAIN, 'model = dict(loses=dict(rec=1.0))', ['model.loses', 'losses']),
    'loss': (PRETRAIN, 'model = dict(losses=dict(recc=1.0))', ['losses', 'recc', 'rec']),
    'schedule': (
        PRETRAIN,
        'default_hooks = dict(schedules=dict(losses=dict(pixels=(0, 10))))',
        ['default_hooks.schedules.losses.pixels', 'losses.pix', 'teacher.momentum'],
    ),
    'schedule that falls': (
        PRETRAIN,
        'default_hooks = dict(schedules=dict(losses=dict(pix=(10, 0))))',
        ['default_hooks.schedules.losses.pix', 'begin <= until', '10 and 0'],
    ),
    'ramps of earlier versions': (
        PRETRAIN,
        'model = dict(ramps=dict(rec=(0, 10)))',
        ['model.ramps', 'default_hooks.schedules.losses.rec=(0, 10)'],
    ),
    'hook of earlier versions': (
        PRETRAIN,
        "default_hooks = dict(progress=dict(type='mssdf.ProgressHook'))",
        ['ProgressHook', 'mssdf.ScheduleHook'],
    ),
    'hook': (
        PRETRAIN,
        'default_hooks = dict(logger=dict(intervall=3))',
        ['default_hooks.logger.intervall', 'interval'],
    ),
    'optimizer': (
        PRETRAIN,
        'optim_wrapper = dict(optimizer=dict(weightdecay=0.1))',
        ['optim_wrapper.optimizer.weightdecay', 'weight_decay'],
    ),
    'loop': (PRETRAIN, 'train_cfg = dict(max_epoch=3)', ['max_epoch']),
    'sampler': (
        PRETRAIN,
        'train_dataloader = dict(sampler=dict(shufle=True))',
        ['train_dataloader.sampler.shufle', 'shuffle'],
    ),
    # types that do not exist
    'dataset type': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(type='mssdf.MultiModalRasterDatasett'))",
        [
            'train_dataloader.dataset.type',
            'MultiModalRasterDatasett',
            'mssdf.MultiModalRasterDataset',
        ],
    ),
    'model type': (
        PRETRAIN,
        "model = dict(type='mssdf.MSDF')",
        ['model.type', 'mssdf.MSDF', 'MSSDF'],
    ),
    'hook type': (
        PRETRAIN,
        "default_hooks = dict(knn=dict(type='mssdf.KNNHok'))",
        ['default_hooks.knn.type', 'KNNHok', 'KNNHook'],
    ),
    'hook by its former name': (
        PRETRAIN,
        "default_hooks = dict(check=dict(type='mssdf.WholeCheckpointHook'))",
        [
            'default_hooks.check.type',
            "'mssdf.WholeCheckpointHook'; it is called mssdf.StrictCheckpointHook now",
        ],
    ),
    'optimizer type': (
        PRETRAIN,
        "optim_wrapper = dict(optimizer=dict(type='AdamWW'))",
        ['optim_wrapper.optimizer.type', 'AdamWW', 'AdamW'],
    ),
    'transform type': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='mssdf.RandomFlipp')]))",
        ['pipeline[0].type', 'mssdf.RandomFlipp'],
    ),
    # values
    'mask ratio above 1': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(mask_ratio=1.5))',
        ['model.data_preprocessor.mask_ratio', '1.5'],
    ),
    'mask ratio negative': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(mask_ratio=-0.1))',
        ['model.data_preprocessor.mask_ratio', '-0.1'],
    ),
    'mask ratio no number': (
        PRETRAIN,
        "model = dict(data_preprocessor=dict(mask_ratio='half'))",
        ['mask_ratio', 'half'],
    ),
    'quantiles out of order': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(quantiles=(0.8, 0.2)))',
        ['quantiles', '0.8'],
    ),
    'patch size': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(patch_size=24))',
        ['patch_size', 'multiple', '24'],
    ),
    'image size not divided': (
        PRETRAIN,
        'model = dict(backbone=dict(img_size=120))',
        ['img_size', '120', '16'],
    ),
    'negative weight': (PRETRAIN, 'model = dict(losses=dict(rec=-1.0))', ['rec', '-1']),
    'unknown target': (
        PRETRAIN,
        "model = dict(data_preprocessor=dict(cross_modal=dict(target='sar')))",
        ['target', 'sar'],
    ),
    'unknown primary': (PRETRAIN, "model = dict(primary='nir')", ['primary', 'nir']),
    'unknown reference': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(reference='lidar'))",
        ['reference', 'lidar'],
    ),
    'pairwise features': (
        PRETRAIN,
        "model = dict(pairwise=dict(features='decoder'))",
        ['pairwise.features', 'decoder'],
    ),
    'unknown arch': (
        PRETRAIN,
        "model = dict(backbone=dict(arch='giant-plus'))",
        ['arch', 'giant-plus'],
    ),
    'decoder widths differ': (
        PRETRAIN,
        'model = dict(modality_decoder=dict(embed_dims=96))',
        ['embed_dims', '96', '192'],
    ),
    'heads do not divide': (
        PRETRAIN,
        'model = dict(fusion_decoder=dict(num_heads=5))',
        ['num_heads', '5', '192'],
    ),
    'bands against means': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(modalities=dict(rgb=dict(bands=[1, 2]))))',
        ['rgb', '2', '3'],
    ),
    'band not in the file': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(modalities=dict(rgb=dict(bands=[1, 2, 7]))))',
        ['7', '3 band'],
    ),
    'band zero': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(modalities=dict(rgb=dict(bands=[0, 1, 2]))))',
        ['modalities.rgb.bands', '0'],
    ),
    'std against mean': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(modalities=dict(rgb=dict(std=[50.0, 50.0]))))',
        ['rgb', 'std', '2'],
    ),
    'std zero': (
        PRETRAIN,
        'model = dict(data_preprocessor=dict(modalities=dict(dsm=dict(std=[0.0]))))',
        ['dsm', 'std', '0'],
    ),
    'modality without settings': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(modalities=dict(sar=dict(suffix='_dsm2.tif'))))",
        ['sar'],
    ),
    'max invalid': (
        PRETRAIN,
        'train_dataloader = dict(dataset=dict(windows=dict(max_invalid_per_window=1.5)))',
        ['windows.max_invalid_per_window', '1.5'],
    ),
    'judge': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(windows=dict(judge_by='all')))",
        ['windows.judge_by', 'all'],
    ),
    'window mode': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(windows=dict(mode='spiral')))",
        ['mode', 'spiral'],
    ),
    'crop size': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='mssdf.MultiModalRandomResizedCrop', size=120), dict(type='mssdf.PackMultiModalInputs')]))",
        ['120', '16'],
    ),
    'batch larger than an epoch': (
        PRETRAIN,
        'train_dataloader = dict(batch_size=4096)',
        ['train_dataloader.batch_size', 'at most', '4096'],
    ),
    'batch of nothing': (
        PRETRAIN,
        'train_dataloader = dict(batch_size=0)',
        ['train_dataloader.batch_size', '0'],
    ),
    'no data': (
        PRETRAIN,
        "train_dataloader = dict(dataset=dict(data_root='/nowhere'))",
        ['/nowhere', 'data_root'],
    ),
    'no images for kNN': (
        PRETRAIN,
        "default_hooks = dict(knn=dict(images='/nowhere'))",
        ['/nowhere'],
    ),
    'teacher momentum': (
        PRETRAIN,
        'default_hooks = dict(schedules=dict(teacher=dict(momentum=dict(start=1.5))))',
        ['schedules.teacher.momentum.start', '1.5'],
    ),
    'teacher momentum of earlier versions': (
        PRETRAIN,
        'default_hooks = dict(teacher=dict(start=0.9))',
        ['default_hooks.teacher.start', 'default_hooks.schedules.teacher.momentum.start', '0.9'],
    ),
    'no epochs': (PRETRAIN, 'train_cfg = dict(max_epochs=0)', ['max_epochs', '0']),
    'no model': (PRETRAIN, 'model = None', ['model']),
    'checkpoint between accumulated steps': (
        PRETRAIN,
        'optim_wrapper = dict(accumulative_counts=3)\ndefault_hooks = dict(checkpoint=dict(by_epoch=False, interval=10))',
        ['interval', '3', '10'],
    ),
    # downstream
    'no checkpoint given': (AID, '', ['--checkpoint']),
    'head key': (
        POTSDAM,
        'model = dict(decode_head=dict(num_clases=5))',
        ['model.decode_head.num_clases'],
    ),
    'no such data': (
        POTSDAM,
        "train_dataloader = dict(dataset=dict(data_root='/nowhere'))",
        ['/nowhere'],
    ),
}


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def train():
    return load_tool('train')


def write(folder, base, change):
    path = folder / 'wrong.py'
    bases = [ROOT / 'configs' / base]
    if base == POTSDAM:
        bases.append(ROOT / 'configs/_base_/with/scratch.py')
    path.write_text(f'_base_ = {[str(each) for each in bases]}\n{change}\n')
    return path


def begin(*_, **__):
    raise AssertionError('training began')


@pytest.mark.parametrize('case', WRONG)
def test_a_wrong_config_stops_before_training(case, train, tmp_path, monkeypatch, capfd):
    base, change, words = WRONG[case]
    if base == POTSDAM:
        pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmengine.model.BaseModel.train_step', begin)
    monkeypatch.setattr('logging.raiseExceptions', False)  # streams that pytest has closed
    for name in ('MSSDF_DATA', 'MSSDF_CHECKPOINT', 'MSSDF_DEBUG'):
        monkeypatch.delenv(name, raising=False)
    status = train.main([str(write(tmp_path, base, change)), '--work-dir', str(tmp_path / 'run')])
    captured = capfd.readouterr()
    line = captured.out.strip().splitlines()[-1]
    assert status == 2
    assert line.startswith('train.py: ')
    assert all(word in line for word in words), line
    assert 'Traceback' not in captured.out + captured.err
    assert not list((tmp_path / 'run').glob('*.pth'))


def test_there_are_forty():
    assert len(WRONG) >= 40


def test_as_a_command(tmp_path):
    """The status and the line that a shell sees; with MSSDF_DEBUG the traceback as well."""
    path = write(tmp_path, PRETRAIN, 'model = dict(data_preprocessor=dict(mask_ratio=1.5))')
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(path), '--work-dir', str(tmp_path)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    quiet = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert quiet.returncode == 2
    assert 'Traceback' not in quiet.stdout + quiet.stderr
    assert 'model.data_preprocessor.mask_ratio' in quiet.stdout.strip().splitlines()[-1]
    environment['MSSDF_DEBUG'] = '1'
    loud = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert loud.returncode not in (0, 2) and 'Traceback' in loud.stderr


def test_variables_of_a_user_are_left_alone():
    check_config(dict(train_pipeline=[], num_classes=3, my_learning_rate=1e-3, data_root='x'))
    with pytest.raises(UsageError, match='val_dataloder'):
        check_config(dict(val_dataloder=dict()))

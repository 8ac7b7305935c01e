"""Resuming from a checkpoint that keeps a program, which MMEngine's runners would run."""

import shutil

import pytest
import torch
from ranks import Ranks, equal_config, sharded

from mssdf.checkpoints.sharded_checkpoint import REST, split_checkpoint, write_rest, write_tensors
from mssdf.engine.fsdp_strategy import FSDPStrategy
from mssdf.engine.resume import SCHEME, load_training_state, read_meta


@pytest.fixture(scope='module')
def trained(make_config, build_runner, tmp_path_factory):
    """A checkpoint of the tiny pre-training after three epochs."""
    folder = tmp_path_factory.mktemp('trained')
    build_runner(make_config(folder)).train()
    return folder / 'run/iter_18.pth'


def put_program(path, marker):
    """Keep a program as ``meta.config`` that leaves a file."""
    content = torch.load(path, weights_only=False)
    content['meta']['config'] = f'from pathlib import Path\nPath({str(marker)!r}).touch()\n'
    torch.save(content, path)


def test_the_plain_runner_does_not_run_it(trained, make_config, build_runner, tmp_path):
    marker, path = tmp_path / 'ran', tmp_path / 'iter_18.pth'
    path.write_bytes(trained.read_bytes())
    put_program(path, marker)
    for scheme in ('', SCHEME):
        config = make_config(tmp_path)
        config.update(load_from=f'{scheme}{path}', resume=True)
        build_runner(config).train()
        assert marker.exists() == (scheme == '')  # as MMEngine's own reader lets it
        marker.unlink(missing_ok=True)


@pytest.fixture(scope='module')
def one(make_config, tmp_path_factory):
    """Checkpoints after 4 and 6 steps of one process."""
    folder = tmp_path_factory.mktemp('one')
    return Ranks(folder).train('one', short(make_config, folder)).work_dir


def short(make_config, folder):
    config = equal_config(make_config(folder))
    config.train_cfg.max_epochs = 1
    return config


def make_sharded(path):
    """Turn a full checkpoint into a sharded one."""
    tensors, rest = split_checkpoint(torch.load(path, weights_only=False))
    path.unlink()
    path.mkdir()
    write_tensors(tensors, path)
    write_rest(rest, list(tensors), path)


@pytest.mark.parametrize('kind', ['sharded', 'full'])
def test_no_reader_hands_it_to_a_runner(kind, tmp_path):
    path = tmp_path / 'iter_4.pth'
    meta = dict(iter=4, epoch=0, config='import this')
    torch.save(dict(meta=meta, state_dict=dict(weight=torch.ones(2, 3), bias=torch.ones(2))), path)
    if kind == 'sharded':
        make_sharded(path)
    strategy = FSDPStrategy()
    strategy.model = torch.nn.Linear(3, 2)
    read = [
        load_training_state(f'{SCHEME}{path}')['meta'],
        read_meta(path),
        strategy.load_checkpoint(f'{SCHEME}{path}')['meta'],
    ]
    assert read == [dict(iter=4, epoch=0)] * 3
    assert torch.equal(strategy.model.weight, torch.ones(2, 3))


@pytest.mark.parametrize('kind', ['sharded', 'full', 'alone'])
def test_the_flexible_runner_does_not_run_it(kind, one, make_config, tmp_path):
    """Under FSDP, from either kind of checkpoint, and under MMEngine's own strategy."""
    saved, marker = tmp_path / 'iter_4.pth', tmp_path / 'ran'
    shutil.copy(one / 'iter_4.pth', saved)
    if kind == 'sharded':
        make_sharded(saved)
    put_program(saved / REST if kind == 'sharded' else saved, marker)

    config = sharded(short(make_config, tmp_path), 'full')
    if kind == 'alone':
        config.strategy = dict(type='SingleDeviceStrategy')
    resumed = Ranks(tmp_path).train('resumed', config, 1 if kind == 'alone' else 2, saved)
    assert len(resumed.steps()) == 2
    assert not marker.exists()

"""Checkpoints of another architecture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mssdf.checkpoints.strict_load import CheckpointError
from mssdf.engine import StrictCheckpointHook
from mssdf.engine.resume import SCHEME, WEIGHTS_SCHEME

TRAIN = Path(__file__).resolve().parents[2] / 'tools/train.py'


@pytest.fixture(scope='module')
def trained(make_config, build_runner, tmp_path_factory):
    """A checkpoint of the tiny pre-training after three epochs."""
    folder = tmp_path_factory.mktemp('trained')
    build_runner(make_config(folder)).train()
    return folder / 'run/iter_18.pth'


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize('resume', [False, True], ids=['load_from', 'resume'])
@pytest.mark.parametrize(
    ('change', 'named'),
    [
        (dict(embed_dims=96), 'mismatched: .*backbone.cls_token'),
        (dict(num_layers=3), 'missing: .*backbone.layers.2'),
        (dict(num_layers=1), 'unexpected: .*backbone.layers.1'),
    ],
    ids=['wider', 'deeper', 'shallower'],
)
def test_another_architecture_loads_nothing(
    trained, make_config, build_runner, tmp_path, resume, change, named
):
    config = make_config(tmp_path)
    config.model.backbone.arch.update(change)
    config.update(
        load_from=(SCHEME if resume else WEIGHTS_SCHEME) + str(trained),
        resume=resume,
        custom_hooks=[*config.custom_hooks, dict(type='mssdf.StrictCheckpointHook')],
    )
    runner = build_runner(config)
    runner.model.init_weights = lambda: None  # training would change them before it loads
    before = copy_of(runner.model)
    with pytest.raises(CheckpointError, match=f'^[^\n]*{named}.*nothing was loaded'):
        runner.train()
    after = copy_of(runner.model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert runner.iter == 0


def test_the_same_architecture_is_loaded_whole(trained, make_config, build_runner, tmp_path):
    config = make_config(tmp_path)
    config.load_from = WEIGHTS_SCHEME + str(trained)
    runner = build_runner(config)
    runner.register_hook(StrictCheckpointHook())
    runner.load_or_resume()
    weights = torch.load(trained, weights_only=False)['state_dict']
    loaded = copy_of(runner.model)
    assert list(weights) == list(loaded)
    assert all(torch.equal(weights[name], loaded[name]) for name in weights)


@pytest.mark.parametrize('option', ['--resume', 'load_from'])
def test_the_command_says_so_in_one_error(trained, tiny_config, tmp_path, option):
    tiny_config.model.backbone.arch.num_layers = 3
    config = tmp_path / 'deeper.py'
    tiny_config.dump(config)
    arguments = ['--resume', trained]
    if option == 'load_from':
        arguments = ['--cfg-options', f'load_from={trained}']
    done = subprocess.run(
        [sys.executable, TRAIN, config, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(TRAIN.parents[1])),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'Traceback' not in done.stdout + done.stderr
    assert (
        'train.py: the checkpoint: expected every weight of the model and no other, found '
        in done.stdout
    )
    assert not list(tmp_path.rglob('iter_*.pth'))

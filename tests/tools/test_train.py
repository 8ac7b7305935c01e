import importlib.util
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mssdf.checkpoints.strict_load import CheckpointError
from mssdf.cli import configs

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train = load(TOOLS / 'train.py')


@pytest.fixture
def config_file(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv('MSSDF_DATA', raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'settings.py'
    path.write_text(
        """
inner = dict(type='Inner', data_root='data/a', data_prefix='x')
train_dataloader = dict(
    batch_size=4, dataset=dict(type='Repeat', dataset=dict(type='Concat', datasets=[
        inner, dict(type='Other', data_root='data/b'), dict(type='NoRoot')])))
val_dataloader = dict(dataset=dict(type='Inner', data_root='data/c'))
model = dict(type='Model', data_root='not a dataset')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.1))
auto_scale_lr = dict(base_batch_size=256, enable=False)
"""
    )
    return path


def loaded(config_file, *arguments) -> Config:
    return train.load_config(train.parse_args([str(config_file), *arguments]))


def roots(config) -> list[str]:
    found = config.train_dataloader.dataset.dataset.datasets
    return [found[0].data_root, found[1].data_root, config.val_dataloader.dataset.data_root]


def test_defaults(config_file):
    config = loaded(config_file)
    assert config.work_dir == os.path.join('work_dirs', 'settings')
    assert config.launcher == 'none'
    assert roots(config) == ['data/a', 'data/b', 'data/c']
    assert not config.auto_scale_lr.enable
    assert 'randomness' not in config


def test_options(config_file):
    config = loaded(
        config_file,
        '--work-dir',
        'here',
        '--seed',
        '7',
        '--auto-scale-lr',
        '--cfg-options',
        'optim_wrapper.optimizer.lr=0.5',
        'new.key=[1,2]',
    )
    assert (config.work_dir, config.randomness.seed) == ('here', 7)
    assert config.auto_scale_lr.enable
    assert config.optim_wrapper.optimizer.lr == 0.5
    assert config.new.key == [1, 2]


def test_data_root_of_every_dataset_and_nothing_else(config_file, monkeypatch):
    config = loaded(config_file, '--data-root', '/d')
    assert roots(config) == ['/d'] * 3
    assert config.model.data_root == 'not a dataset'
    assert 'data_root' not in config.train_dataloader.dataset.dataset.datasets[2]
    monkeypatch.setenv('MSSDF_DATA', '/env')
    assert roots(loaded(config_file)) == ['/env'] * 3
    assert roots(loaded(config_file, '--data-root', '/d')) == ['/d'] * 3
    option = 'val_dataloader.dataset.data_root=/o'
    assert roots(loaded(config_file, '--cfg-options', option)) == ['/env', '/env', '/o']


def test_data_root_without_a_place_for_it(config_file):
    config_file.write_text("train_dataloader = dict(dataset=dict(type='X'))")
    with pytest.raises(train.UsageError, match='expected a dataset with the key data_root'):
        loaded(config_file, '--data-root', '/d')


def test_shipped_data_from_any_folder(config_file, tmp_path, monkeypatch):
    project = tmp_path / 'project'
    (project / 'data' / 'a').mkdir(parents=True)
    (project / 'data' / 'b').mkdir()
    (tmp_path / 'data' / 'b').mkdir(parents=True)  # here as well: that one counts
    monkeypatch.setattr(configs, 'ROOT', project)
    with config_file.open('a') as file:
        file.write("custom_hooks = [dict(type='KNNHook', images='data/a'), dict(type='Other')]")
    config = loaded(config_file)
    assert roots(config) == [str(project / 'data' / 'a'), 'data/b', 'data/c']
    assert config.custom_hooks[0].images == str(project / 'data' / 'a')


def test_amp(config_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(train.UsageError, match='expected a GPU'):
        loaded(config_file, '--amp')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    wrapper = loaded(config_file, '--amp').optim_wrapper
    assert (wrapper.type, wrapper.dtype, wrapper.loss_scale) == (
        'AmpOptimWrapper',
        'float16',
        'dynamic',
    )
    wrapper = loaded(config_file, '--amp', 'bfloat16').optim_wrapper
    assert wrapper.dtype == 'bfloat16' and 'loss_scale' not in wrapper
    with pytest.raises(train.UsageError, match='found Special'):
        loaded(config_file, '--amp', '--cfg-options', 'optim_wrapper.type=Special')


def test_config_from_any_folder(config_file, tmp_path, monkeypatch):
    monkeypatch.setattr(configs, 'ROOT', tmp_path)
    (tmp_path / 'configs' / 'pretrain').mkdir(parents=True)
    inside = tmp_path / 'configs' / 'pretrain' / 'one.py'
    inside.touch()
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ('pretrain/one.py', 'configs/pretrain/one.py', str(inside)):
        assert configs.find_config(name) == inside


def test_wrong_configs_are_one_line(config_file, capsys):
    assert train.main(['gone.py']) == 2
    config_file.write_text('a = 1 +')
    assert train.main([str(config_file)]) == 2
    config_file.write_text("_base_ = './missing.py'")
    assert train.main([str(config_file)]) == 2
    config_file.write_text('a = 1')
    assert train.main([str(config_file), '--cfg-options', 'a.b=1']) == 2
    assert train.main([str(config_file), '--auto-scale-lr']) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith('train.py: ') for line in lines)
    assert 'gone.py: expected a config, found none' in lines[0]
    assert 'settings.py: expected a config, found' in lines[1]
    assert 'missing.py' in lines[2]
    assert '--cfg-options' in lines[3]
    assert 'base_batch_size' in lines[4]


def resumable(seed: int) -> dict:
    """The parts of a checkpoint of training that are read before the runner is built."""
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    return dict(meta=dict(seed=seed, epoch=1, iter=2), message_hub=hub)


def test_resume_takes_checkpoint_and_seed(config_file, tmp_path, capsys):
    config = loaded(config_file)
    train.set_up_resume(config, 'auto')
    assert not config.resume and 'load_from' not in config
    assert (
        'Nothing to resume in work_dirs/settings: starting from the beginning'
        in capsys.readouterr().out
    )

    path = tmp_path / 'work_dirs' / 'settings' / 'epoch_1.pth'
    path.parent.mkdir(parents=True)
    torch.save(resumable(seed=11), path)
    for wanted in ('auto', str(path)):
        config = loaded(config_file)
        train.set_up_resume(config, wanted)
        assert config.resume and config.randomness.seed == 11
        assert Path(config.load_from.removeprefix('mssdf-state:')).resolve() == path
    config = loaded(config_file, '--seed', '3')
    train.set_up_resume(config, 'auto')
    assert config.randomness.seed == 11
    assert 'keeps its seed 11, not 3' in capsys.readouterr().out


def test_resume_from_a_wrong_path(config_file, tmp_path):
    config = loaded(config_file)
    with pytest.raises(train.UsageError, match='expected a checkpoint, found none'):
        train.set_up_resume(config, 'gone.pth')
    (tmp_path / 'torn.pth').write_bytes(b'PK')
    with pytest.raises(train.UsageError, match='cut off or damaged'):
        train.set_up_resume(config, 'torn.pth')


def test_processes_without_a_gpu(monkeypatch):
    begun = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(
        torch.distributed,
        'init_process_group',
        lambda backend, timeout: begun.append((backend, timeout)),
    )
    dist_cfg = dict(backend='nccl', timeout=90)
    config = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dist_cfg, a=1)))
    train.set_up_cpu_processes(config)
    assert begun == [('gloo', timedelta(seconds=90))]
    assert config.env_cfg == dict(dist_cfg=dict(backend='gloo'), a=1)
    assert config.model_wrapper_cfg.device_ids is None
    with pytest.raises(train.UsageError, match='expected GPUs'):
        train.set_up_cpu_processes(Config(dict(launcher='mpi')))
    train.set_up_cpu_processes(Config(dict(launcher='none')))
    assert len(begun) == 1


def test_resume_command():
    assert re.fullmatch(
        r"python\S* tools/train.py 'a config.py' --resume",
        train.resume_command(['tools/train.py', 'a config.py']),
    )
    assert train.resume_command(['t', 'c', '--resume']).count('--resume') == 1
    assert 'same command' in train.resume_command(['t', 'c', '--launcher', 'pytorch'], 'pytorch')


def fake_command(folder: Path, name: str) -> dict:
    """Environment in which a command only prints its arguments, one a line."""
    path = folder / name
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    return dict(os.environ, PATH=f'{folder}:{os.environ["PATH"]}')


def test_dist_train_hands_everything_on(tmp_path):
    env = dict(fake_command(tmp_path, 'python'), NNODES='2', NODE_RANK='1', PORT='1234')
    env.pop('PYTHON', None)
    run = subprocess.run(
        [TOOLS / 'dist_train.sh', 'c d.py', '4', '--cfg-options', 'a=1 2'],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    said = run.stdout.splitlines()
    assert Path(said[0]).resolve() == TOOLS / 'torchrun.py'
    for option in ('--nnodes=2', '--node_rank=1', '--nproc_per_node=4', '--master_port=1234'):
        assert option in said
    assert Path(said[-6]).resolve() == TOOLS / 'train.py'
    assert said[-5:] == ['--launcher', 'pytorch', 'c d.py', '--cfg-options', 'a=1 2']


def test_dist_test_hands_everything_on(tmp_path):
    env = fake_command(tmp_path, 'python')
    env.pop('PYTHON', None)
    run = subprocess.run(
        [TOOLS / 'dist_test.sh', 'c.py', 'w.pth', '2', '--tta'],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    said = run.stdout.splitlines()
    assert '--nproc_per_node=2' in said and Path(said[-6]).resolve() == TOOLS / 'test.py'
    assert said[-5:] == ['--launcher', 'pytorch', 'c.py', 'w.pth', '--tta']


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_say_how_they_are_used(script):
    run = subprocess.run([TOOLS / script], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and 'usage' in run.stderr


def test_runs_from_the_command_line_alone(tmp_path):
    run = subprocess.run(
        [sys.executable, TOOLS / 'train.py', 'gone.py'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout.startswith('train.py: gone.py: expected a config, found none')


def test_checkpoint_reaches_the_model(config_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MSSDF_CHECKPOINT', '')  # so that it is taken back afterwards
    monkeypatch.delenv('MSSDF_CHECKPOINT')
    plain = config_file.read_text()
    weights = tmp_path / 'weights.pth'
    weights.touch()
    assert train.main([str(config_file), '--checkpoint', str(weights)]) == 2
    assert 'expected a config that starts from one, found settings.py' in capsys.readouterr().out
    monkeypatch.delenv('MSSDF_CHECKPOINT')
    config_file.write_text(
        plain
        + "\nmodel = dict(backbone=dict(init_cfg=dict(type='mssdf.StrictPretrained',"
        + " checkpoint='{{$MSSDF_CHECKPOINT:not-given}}')))"
    )
    assert train.main([str(config_file)]) == 2
    assert 'found none (--checkpoint FILE' in capsys.readouterr().out
    assert train.main([str(config_file), '--checkpoint', 'gone.pth']) == 2
    assert '--checkpoint: expected a file, found none at gone.pth' in capsys.readouterr().out
    config = loaded(config_file, '--checkpoint', 'weights.pth')
    assert config.model.backbone.init_cfg.checkpoint == str(weights)
    configs.require_checkpoint(config)


START = dict(type='mssdf.StrictPretrained', checkpoint='not-given')


def test_a_resumed_run_needs_no_pretraining_checkpoint(config_file, tmp_path, monkeypatch):
    with config_file.open('a') as file:
        file.write(f'model = dict(backbone=dict(init_cfg={START}), head=dict(init_cfg=None))')
    torch.save(resumable(seed=1), tmp_path / 'iter_1.pth')
    seen = []
    monkeypatch.setattr(train, 'check_config', lambda config: None)  # its types are invented
    monkeypatch.setattr(train, 'train', seen.append)
    assert train.main([str(config_file)]) == 2 and not seen
    assert train.main([str(config_file), '--resume', str(tmp_path / 'iter_1.pth')]) == 0
    assert seen[0].model.backbone.init_cfg is None


def test_a_checkpoint_that_does_not_fit_is_no_traceback(config_file, monkeypatch, capsys):
    def fail(config):
        raise CheckpointError('a.pth: torn')

    monkeypatch.setattr(train, 'check_config', lambda config: None)  # its types are invented
    monkeypatch.setattr(train, 'train', fail)
    assert train.main([str(config_file)]) == 2
    assert capsys.readouterr().out == 'train.py: a.pth: torn\n'


def test_a_library_that_is_not_installed_is_told_by_its_extra(config_file, capsys, monkeypatch):
    config_file.write_text("_base_ = 'mmseg::_base_/datasets/potsdam.py'")
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda package: False)
    assert train.main([str(config_file)]) == 2
    assert "expected mmseg, found none: pip install 'mssdf[segmentation]'" in (
        capsys.readouterr().out
    )


def test_a_config_of_mixed_precision_trains_in_float32_without_a_gpu(monkeypatch, capsys):
    from mmengine import Config

    from mssdf.cli.precision import drop_amp_without_gpu

    wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale='dynamic', optimizer={})
    config = Config(dict(optim_wrapper=dict(wrapper)))
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    drop_amp_without_gpu(config)
    assert config.optim_wrapper == wrapper
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    drop_amp_without_gpu(config)
    assert config.optim_wrapper == dict(type='OptimWrapper', optimizer={})
    assert 'float32' in capsys.readouterr().out

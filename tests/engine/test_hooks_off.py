"""Hooks that a config or the command line sets to None."""

import importlib.util
from pathlib import Path

import pytest
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import FlexibleRunner, Runner

from mssdf.cli.config_check import check_config
from mssdf.cli.configs import find_config, read_config

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
PRETRAINING = 'pretrain/mssdf_vit-t-p16_quick-start.py'
DOWNSTREAM = 'classification/mssdf_vit-t-p16_4xb64-adamw-100e_aid.py'


def registered(config, kind):
    """Types of the default hooks that MMEngine registers for a config."""
    runner = kind.__new__(kind)
    runner._hooks = []
    runner.register_default_hooks(config.default_hooks)
    return sorted(type(hook).__name__ for hook in runner.hooks)


@pytest.mark.parametrize('kind', [Runner, FlexibleRunner])
@pytest.mark.parametrize('name', [PRETRAINING, DOWNSTREAM])
def test_each_is_off(name, kind):
    everything = read_config(name)
    on = registered(everything, kind)
    for hook, settings in everything.default_hooks.items():
        config = read_config(name, options={f'default_hooks.{hook}': None})
        check_config(config)
        expected = [*on]
        expected.remove(settings.type.removeprefix('mssdf.'))
        assert registered(config, kind) == expected, hook


def test_a_config_and_the_command_line_may_say_so(tmp_path):
    path = tmp_path / 'off.py'
    path.write_text(
        f"_base_ = ['{find_config(PRETRAINING).resolve()}']\n"
        'default_hooks = dict(knn=None, runtime_info=None)\n'
        "custom_hooks = [None, dict(type='mssdf.ThroughputHook')]\n"
    )
    spec = importlib.util.spec_from_file_location('train', TOOLS / 'train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    options = ['--cfg-options', 'default_hooks.panel=None', 'default_hooks.watchdog=None']
    config = train.load_config(train.parse_args([str(path), *options]))
    types = registered(config, Runner)
    assert not {'KNNHook', 'PretrainPanelHook', 'WatchdogHook', 'RuntimeInfoHook'} & set(types)
    assert 'AtomicCheckpointHook' in types
    assert [hook.type for hook in config.custom_hooks] == ['mssdf.ThroughputHook']


def test_a_run_without_any(tiny_config, build_runner, tmp_path):
    path = tmp_path / 'none.py'
    tiny_config.train_cfg.max_epochs = 1
    tiny_config.default_hooks.schedules = tiny_config.custom_hooks[1]
    tiny_config.dump(path)
    config = read_config(
        str(path),
        options={
            'default_hooks.schedules': None,
            'default_hooks.checkpoint': None,
            'default_hooks.runtime_info': None,
            'custom_hooks': None,
        },
    )
    runner = build_runner(config)
    runner.train()
    assert runner.iter == 6
    assert not any(isinstance(hook, RuntimeInfoHook) for hook in runner.hooks)
    assert not list(tmp_path.rglob('*.pth'))

"""Every config parses, and everything it names exists."""

import re
from copy import deepcopy

import pytest
import torch
from mmengine import Config
from mmengine.registry import DATA_SAMPLERS as SAMPLERS
from mmengine.registry import (
    DATASETS,
    EVALUATOR,
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
    DefaultScope,
    Registry,
)
from mmengine.utils import import_modules_from_strings
from shipped_configs import ALL, CONFIGS, load, need_ops, relative

from mssdf.cli.config_check import check_config
from mssdf.errors import UsageError

NAME = re.compile(
    r'[a-z0-9]+(-[a-z0-9]+)*'  # algorithm
    r'_[a-z0-9]+-[a-z0-9]+-p\d+(-[a-z0-9.]+)*'  # architecture: vit-b-p16
    r'(_\d+xb\d+(-[a-z0-9.]+)*)?'  # schedule: 8xb64-amp-coslr-500e
    r'_[a-z0-9]+(-[a-z0-9.]+)*'  # data or purpose: hr-pairs-320
    r'(_[a-z0-9]+(-[a-z0-9.]+)*)?\.py'  # what an ablation changes
)


@pytest.fixture(params=CONFIGS, ids=relative, scope='module')
def config(request) -> Config:
    need_ops(request.param)
    loaded = load(request.param)
    import_modules_from_strings(**loaded.custom_imports)
    with DefaultScope.overwrite_default_scope(loaded.get('default_scope', 'mssdf')):
        yield loaded


def test_nothing_is_refused_but_a_misspelled_key(config):
    check_config(config)
    with pytest.raises(UsageError, match='train_dataloadr'):
        check_config(config.to_dict() | dict(train_dataloadr=dict()))


def dictionaries(value):
    """Every dictionary inside a config's value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from dictionaries(each)


def types_of(value) -> list:
    return [each['type'] for each in dictionaries(value) if 'type' in each]


def find(registry: Registry, name: str):
    """What a name means in the config's scope."""
    with registry.switch_scope_and_registry(None) as of_scope:
        return of_scope.get(name)


def lacking(registry: Registry, names: list) -> list:
    """Those of the names that the registry cannot find."""
    return [name for name in names if isinstance(name, str) and find(registry, name) is None]


def listed(value) -> list:
    return value if isinstance(value, list | tuple) else [value]


def test_there_is_a_quick_start():
    assert 'pretrain/mssdf_vit-t-p16_quick-start.py' in [relative(path) for path in CONFIGS]


@pytest.mark.parametrize('path', CONFIGS, ids=relative)
def test_name_follows_the_scheme(path):
    assert NAME.fullmatch(path.name), f'{relative(path)}: expected ALGORITHM_ARCH[_SCHEDULE]_DATA'


def test_there_are_few():
    assert len(ALL) <= 150


@pytest.mark.parametrize('path', ALL, ids=relative)
def test_no_absolute_path(path):
    # What is added to something (`root + '/patch'`) starts with a slash too.
    pattern = r"""(?<!\+ )['"](/[^'"\s]*|~/[^'"]*|[A-Za-z]:\\[^'"]*)['"]"""
    found = re.findall(pattern, path.read_text())
    assert not found, f'{relative(path)}: absolute paths {found}'


def test_model_builds(config):
    """On the meta device: shapes and arguments without memory or initialization."""
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0


def test_data_loaders_resolve(config):
    config = deepcopy(config)  # pipelines are taken out of it below
    loaders = [value for key, value in config.items() if key.endswith('_dataloader') and value]
    assert loaders, 'no data loader'
    for loader in loaders:
        pipelines = [each.pop('pipeline') for each in dictionaries(loader) if 'pipeline' in each]
        for transform in (each for pipeline in pipelines for each in pipeline):
            TRANSFORMS.build(transform)
        assert not lacking(SAMPLERS, types_of(loader.get('sampler')))
        assert not lacking(SAMPLERS, types_of(loader.get('batch_sampler')))
        assert not lacking(FUNCTIONS, types_of(loader.get('collate_fn')))
        datasets = [each for each in dictionaries(loader.dataset) if 'type' in each]
        assert not lacking(DATASETS, [datasets[0]['type']])


def test_training_resolves(config):
    assert not lacking(HOOKS, [each['type'] for each in config.default_hooks.values() if each])
    assert not lacking(HOOKS, [each['type'] for each in config.get('custom_hooks', [])])
    loops = [config[key] for key in ('train_cfg', 'val_cfg', 'test_cfg') if config.get(key)]
    assert not lacking(LOOPS, [each['type'] for each in loops if 'type' in each])
    wrapper = config.optim_wrapper
    assert not lacking(OPTIM_WRAPPERS, [wrapper.get('type', 'OptimWrapper')])
    assert not lacking(OPTIMIZERS, [wrapper.optimizer.type])
    if 'constructor' in wrapper:
        assert not lacking(OPTIM_WRAPPER_CONSTRUCTORS, [wrapper.constructor])
    schedulers = [each['type'] for each in listed(config.get('param_scheduler') or [])]
    assert not lacking(PARAM_SCHEDULERS, schedulers)
    for key in ('val_evaluator', 'test_evaluator'):
        for each in listed(config.get(key) or []):
            known = find(EVALUATOR, each['type']) or find(METRICS, each['type'])
            assert known is not None, each['type']
    if config.get('visualizer'):
        assert not lacking(VISUALIZERS, [config.visualizer.type])
        backends = [each['type'] for each in config.visualizer.get('vis_backends') or []]
        assert not lacking(VISBACKENDS, backends)
    if config.get('log_processor', {}).get('type'):
        assert not lacking(LOG_PROCESSORS, [config.log_processor.type])

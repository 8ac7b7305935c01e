"""Names of configs, against what they build."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope
from shipped_configs import CONFIGS, load, need_ops, relative

import mssdf.models  # noqa: F401  registers

PARTS = re.compile(
    r'(?P<method>[a-z-]+)_vit-(?P<size>[tsblh])-p16(-(?P<head>[a-z-]+))?'
    r'(_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<kind>[a-z-]+)-(?P<length>\d+)(?P<unit>e|it|k))?'
    r'_(?P<data>[a-z0-9-]+?)(-(?P<pixels>128|320))?(_[a-z-]+)?\.py'
)
WIDTHS = dict(t=192, s=384, b=768, l=1024, h=1280)
NAMED = dict(adamw='AdamW', sgd='SGD', lars='LARS', coslr='AdamW')
# folder of the data, and classes as the papers of the sets count them
DATA = {
    'aid': ('aid', 30),
    'nwpu-resisc45': ('nwpu-resisc45', 45),
    'ucm': ('ucm', 21),
    'eurosat': ('eurosat', 10),
    'eurosat-ms': ('eurosat', 10),
    'potsdam': ('potsdam', 6),
    'potsdam-dsm': ('potsdam', 6),
    'vaihingen': ('vaihingen', 6),
    'vaihingen-dsm': ('vaihingen', 6),
    'loveda': ('loveda', 7),
    'isaid': ('isaid', 16),
    'kampala-buildings': ('kampala-buildings', 2),
    'us3d': ('us3d', None),
    'potsdam-height': ('potsdam', None),
    'vaihingen-height': ('vaihingen', None),
    'autzen-ign': ('autzen-ign-heights', None),
    'levir-cd': ('levircd', 2),
    'whu-cd': ('whu-cd', 2),
    'second': ('second', 2),
    'second-binary': ('second', 2),
    'dior': ('dior', 20),
    'nwpu-vhr10': ('nwpu-vhr10', 10),
    'rgbn': ('rgbn', 1),
    'dior-r': ('dior', 20),
    'dota': ('split_ss_dota', 15),
    'dota-trainval': ('split_ss_dota', 15),
    'hr-pairs': ('hr_pairs', ('rgb', 'dsm')),
    'hr-pairs-rgb': ('hr_pairs', ('rgb',)),
    'hr-pairs-rgb-ms-dsm': ('hr_pairs', ('rgb', 'dsm', 'ms')),
    'autzen': ('autzen', ('rgb', 'dsm')),
    'shipped-rgb-nir-dsm': ('data', ('rgb', 'dsm', 'nir')),
    'quick-start': ('autzen', ('rgb', 'dsm')),
}


def dictionaries(value: Any) -> Iterator[dict]:
    """Every dictionary inside a config's value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from dictionaries(each)


def found(value: Any, key: str) -> set:
    """Every value that a key has inside a config's value."""
    return {each[key] for each in dictionaries(value) if key in each}


@pytest.mark.parametrize('path', CONFIGS, ids=relative)
def test_what_a_name_says_is_built(path):
    need_ops(path)
    config, name = load(path), path.name
    with DefaultScope.overwrite_default_scope(config.default_scope), torch.device('meta'):
        width = MODELS.build(dict(config.model.backbone)).embed_dims
    said = PARTS.fullmatch(name).groupdict()

    assert width == WIDTHS[said['size']]
    if said['pixels']:
        assert config.model.backbone.img_size == int(said['pixels'])

    folder, classes = DATA[said['data']]
    roots = {
        each['data_root'] for each in dictionaries(config.train_dataloader) if 'data_root' in each
    }
    assert {Path(root).name.lower() for root in roots} == {folder}
    heads = [config.model.get(key) for key in ('head', 'decode_head', 'roi_head')]
    if isinstance(classes, int):
        counts = {
            each['num_classes']
            for head in heads
            if head
            for each in dictionaries(head)
            if 'num_classes' in each
        }
        assert counts == {classes}
    elif classes and not name.startswith('mae_'):  # which takes one of the modalities
        assert tuple(config.train_dataloader.dataset.modalities) == classes
        assert set(config.model.data_preprocessor.modalities) == set(classes)

    if said['gpus']:
        check_schedule(config, said)


def check_schedule(config: Config, said: dict[str, str]) -> None:
    """The batch, optimizer and length that a name says are the config's."""
    batch, length = int(said['batch']), int(said['length'])
    assert config.train_dataloader.batch_size == batch
    scaled = config.get('auto_scale_lr')
    assert int(said['gpus']) * batch == (scaled.base_batch_size if scaled else batch)

    kinds = said['kind'].split('-')
    wrapper = config.optim_wrapper
    assert wrapper.optimizer.type == NAMED[kinds[-1]]
    assert wrapper.get('type', 'OptimWrapper') == (
        'AmpOptimWrapper' if 'amp' in kinds else 'OptimWrapper'
    )
    if 'coslr' in kinds:
        assert 'CosineAnnealingLR' in found(config.param_scheduler, 'type')

    key = 'max_epochs' if said['unit'] == 'e' else 'max_iters'
    assert config.train_cfg[key] == length * (1000 if said['unit'] == 'k' else 1)
    assert config.param_scheduler[-1].get('end', config.train_cfg[key]) == config.train_cfg[key]

"""Configs of checkpoints: the text of MMEngine is read as data, programs are refused."""

import math
import os
import sys

import pytest
import torch
from mmengine.config import Config

from mssdf.checkpoints import CheckpointError, publish
from mssdf.checkpoints.stored_config import parse_config, stored_config, without_files

PLAIN = dict(
    model=dict(type='A', sizes=(1, -2), names=['a', "it's"], rate=-1e-5, on=True, off=None),
    optim=dict(custom_keys={'.cls_token': dict(decay=0.0), 'b': {3: 'x'}}, limit=math.inf),
    note='two\nlines of "text"',
    nothing={},
)


def test_the_text_of_mmengine_gives_the_config_again():
    assert parse_config(Config(PLAIN).pretty_text) == PLAIN


def test_json_does_too():
    assert parse_config('{"model": {"sizes": [1, -2.5], "off": null}}') == dict(
        model=dict(sizes=[1, -2.5], off=None)
    )


PROGRAMS = [
    'import os\nmodel = dict()',
    "model = dict(backbone=__import__('os').system('touch {marker}'))",
    'model = dict(type=f\'{{open("{marker}", "w")}}\')',
    "model = [open('{marker}', 'w') for i in (1,)]",
    "model = (lambda: open('{marker}', 'w'))()",
    "dict(a=open('{marker}', 'w'))",
    "model = dict(**open('{marker}', 'w'))",
    "model = {{**open('{marker}', 'w')}}",
    "model = dict([open('{marker}', 'w')])",
    "model: open('{marker}', 'w') = 1",
    "model = {{open('{marker}', 'w'): 1}}",
    "@open('{marker}', 'w')\ndef model(): pass",
    "class model: open('{marker}', 'w')",
    "if True:\n    open('{marker}', 'w')",
    "a, open('{marker}', 'w').name = 1, 2",
    'model = 9 ** 9 ** 9',
    'model = "x" * 10 ** 10',
    'model = ' + '-' * 100_000 + '1',
    'model = ' + '(' * 10_000,
    '{{"a": ' + '[' * 100_000,
    "_base_ = '{marker}.py'",
    "custom_imports = dict(imports=['antigravity'])",
]


@pytest.mark.parametrize('program', PROGRAMS[:-2])
def test_a_program_is_refused_in_one_line_and_not_run(program, tmp_path):
    marker = tmp_path / 'ran'
    text = program.format(marker=marker)
    with pytest.raises(CheckpointError, match=r'^x\.pth: meta\.cfg: expected a config of') as said:
        stored_config(dict(meta=dict(cfg=text)), 'x.pth')
    assert '\n' not in str(said.value) and len(str(said.value)) < 300
    assert not marker.exists()


@pytest.mark.parametrize('program', PROGRAMS[-2:])
def test_what_mmengine_would_import_is_mere_data(program, tmp_path):
    (tmp_path / 'ran.py').write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    stored_config(dict(meta=dict(cfg=program.format(marker=tmp_path / 'ran'))), 'x.pth')
    assert not (tmp_path / 'ran').exists() and 'antigravity' not in sys.modules


@pytest.mark.parametrize('text', [3, ['model'], b'model = dict()', dict(model=1)])
def test_no_text_is_refused(text):
    with pytest.raises(CheckpointError, match=f'expected text, found a {type(text).__name__}'):
        stored_config(dict(meta=dict(cfg=text)), 'x.pth')


def test_none_is_none():
    assert stored_config({}, 'x.pth') is None
    assert stored_config(dict(meta=dict(cfg='')), 'x.pth') is None
    assert stored_config(dict(meta=3), 'x.pth') is None


def test_initializers_that_read_files_are_left_out():
    normal = dict(type='Normal', layer='Linear', std=0.01)
    part = dict(
        type='A',
        pretrained='evil.pth',
        init_cfg=[normal, dict(type='Pretrained', checkpoint='evil.pth')],
        inner=[dict(type='B', init_cfg=dict(type='mssdf.StrictPretrained', checkpoint='evil.pth'))],
    )
    assert without_files(part) == dict(
        type='A', init_cfg=[normal], inner=[dict(type='B', init_cfg=None)]
    )


def published(cfg):
    return publish(dict(state_dict={'backbone.x': torch.ones(2)}, meta=dict(cfg=cfg)), 'x.pth')


def test_a_published_config_has_what_the_model_is_built_from():
    config = dict(
        model=dict(type='A', teacher=dict(checkpoint='/home/me/secret.pth', momentum=0.9)),
        default_scope='mssdf',
        randomness=dict(seed=3),
        train_dataloader=dict(dataset=dict(data_root='/home/me')),
        work_dir='/home/me/run',
    )
    content, left_out = published(Config(config).pretty_text)
    text = content['meta']['cfg']
    assert 'home' not in text
    assert Config.fromstring(text, '.py').to_dict() == dict(
        model=dict(type='A', teacher=dict(momentum=0.9)),
        default_scope='mssdf',
        randomness=dict(seed=3),
    )
    assert sorted(left_out) == ['meta.cfg.train_dataloader', 'meta.cfg.work_dir']


@pytest.mark.parametrize(
    'program',
    [
        "import os\nos.system('touch {marker}')\nmodel = dict()",
        # a key that would end its own quotes when it is written
        "model = dict({{\"a': open('{marker}', 'w'), 'b c\": 1}})",
        "{{\"model\": {{\"a': __import__('os').system('touch {marker}'), 'b c\": 1}}}}",
        '{{"model": 1, "x y": 2, "data_preprocessor": {{"a=open(\'{marker}\', \'w\')": 1}}}}',
    ],
)
def test_a_program_is_not_handed_on(program, tmp_path):
    marker = tmp_path / 'ran'
    content, left_out = published(program.format(marker=marker))
    text = content['meta'].get('cfg')
    if text is not None:
        Config.fromstring(text, '.py')
    assert not marker.exists()
    assert text is not None or any(name.startswith('meta.cfg (') for name in left_out)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    'config',
    [
        "model = dict(backbone=dict(type='os.system', command='touch {marker}'))",
        "model = dict(backbone=dict(type='A', norm_cfg=dict(type='pathlib.Path.touch')))",
        "model = dict(backbone=dict(type='A', patch_cfg=dict(conv_type='os.system')))",
        "model = dict(backbone=dict(type='mmengine.mkdir_or_exist', dir_name='{marker}'))",
        "model = dict(backbone=dict(type='A', _scope_='elsewhere'))",
        "model = dict(backbone=dict(type='A'))\ndefault_scope = 'elsewhere'",
    ],
)
def test_names_that_lead_out_of_the_libraries_are_not_handed_on(config):
    content, left_out = published(config)
    assert 'cfg' not in content['meta']
    (reason,) = left_out
    assert reason.startswith('meta.cfg (') and 'expected names of mmengine, mmcv' in reason


def test_libraries_scopes_are_handed_on():
    config = "model = dict(_scope_='mmpretrain', backbone=dict(type='mssdf.models.A'))"
    content, left_out = published(f"{config}\nrandomness = dict(seed=3, secret='/home/me')")
    assert left_out == []
    assert Config.fromstring(content['meta']['cfg'], '.py').to_dict() == dict(
        model=dict(_scope_='mmpretrain', backbone=dict(type='mssdf.models.A')),
        randomness=dict(seed=3),
    )

"""The config that a checkpoint keeps is data to every tool that reads one."""

import importlib.util
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
ARCH = 'arch=dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96), img_size=64'
BACKBONE = f"type='mssdf.MaskedVisionTransformer', {ARCH}"

# text of meta.cfg; a plain torch.load of the file itself with weights_only passes them all
HOSTILE = {
    'statement': "open('{marker}', 'w')\nmodel = dict(backbone=dict(" + BACKBONE + '))',
    'expression': "model = dict(backbone=dict(img_size=open('{marker}', 'w'), " + BACKBONE + '))',
    'import': 'from pathlib import Path\nmodel = dict(backbone=dict(' + BACKBONE + '))',
    # data, but MMEngine's registries call any function of that name
    'function': "model = dict(backbone=dict(type='os.system', command='touch {marker}'))",
    'of a library': "model = dict(backbone=dict(type='mmengine.mkdir_or_exist', "
    "dir_name='{marker}'))",
    'nested': f'model = dict(backbone=dict({BACKBONE}, '
    "norm_cfg=dict(type='pathlib.Path.touch', self='{marker}')))",
    'module': "model = dict(backbone=dict(type='hostile_module'))",
    'scope': f"model = dict(backbone=dict({BACKBONE}))\ndefault_scope = 'hostile_scope'",
    'inner scope': f"model = dict(backbone=dict({BACKBONE}, _scope_='hostile_scope'))",
    'innermost scope': f'model = dict(backbone=dict({BACKBONE}, '
    "norm_cfg=dict(type='LN', _scope_='hostile_scope')))",
    'layer by another key': f'model = dict(backbone=dict({BACKBONE}, '
    "patch_cfg=dict(conv_type='hostile_module')))",
    'reads a file': "model = dict(backbone=dict(type='TIMMBackbone', model_name='resnet18', "
    "checkpoint_path='{pickle}'))",
    'embedding': f"model = dict(backbone=dict({BACKBONE}), embedding=dict(type='os.system', "
    "command='touch {marker}'), data_preprocessor=dict(modalities=dict(rgb=dict())))",
}


class Command:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, 'w')


def load_tool(name):
    path = ROOT / 'tools/analysis_tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path, text):
    """A checkpoint of a tiny encoder that keeps a text as its config."""
    import mssdf.models
    from mssdf.models import MaskedVisionTransformer

    assert mssdf.models
    settings = eval(f'dict({ARCH})')
    state = {
        f'backbone.{k}': v for k, v in MaskedVisionTransformer(**settings).state_dict().items()
    }
    for name, value in dict(mean=100.0, std=60.0).items():
        state[f'data_preprocessor.{name}_rgb'] = torch.full((3, 1, 1), value)
    torch.save(dict(meta=dict(cfg=text), state_dict=state), path)
    torch.load(path, weights_only=True)
    return path


@pytest.fixture
def arguments(tmp_path, data_root, monkeypatch):
    """The command line of each tool, for a checkpoint ``x.pth``."""
    for name in ('hostile_module', 'hostile_scope'):
        (tmp_path / name).mkdir()
        for file in ('__init__.py', 'registry.py'):
            (tmp_path / name / file).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    images = str(data_root / 'eurosat_rgb')
    path = str(tmp_path / 'x.pth')
    return dict(
        eval_knn=[path, '--images', images, '--untrained', '--device', 'cpu'],
        eval_features=[
            *(f'a={path}', '--sets', f'e=scenes:{images},limit=20', '--folds', '2', '--out'),
            *(str(tmp_path / 'out'), '--img-size', '32', '--k', '5', '--penalties', '0.1'),
            *('--shares', '100', '--device', 'cpu', '--no-baselines'),
        ],
    )


@pytest.mark.parametrize('tool', ['eval_knn', 'eval_features'])
@pytest.mark.parametrize('how', HOSTILE)
def test_refused_in_one_line_and_not_run(tool, how, arguments, tmp_path, capsys):
    marker, other = tmp_path / 'ran', tmp_path / 'other.pth'
    torch.save(Command(marker), other)
    path = write(tmp_path / 'x.pth', HOSTILE[how].format(marker=marker, pickle=other))
    assert load_tool(tool).main(arguments[tool]) in (1, 2)
    assert not marker.exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if 'meta.cfg' in line]
    assert len(lines) == 1 and str(path) in lines[0] and lines[0].startswith(f'{tool}.py: ')


@pytest.mark.parametrize('how', ['Pretrained', 'mssdf.StrictPretrained'])
def test_initializing_reads_no_other_file(how, arguments, tmp_path):
    """``--untrained`` initializes the encoder as its config says."""
    marker, other = tmp_path / 'ran', tmp_path / 'other.pth'
    torch.save(Command(marker), other)
    init_cfg = f"init_cfg=dict(type='{how}', checkpoint='{other}')"
    write(tmp_path / 'x.pth', f'model = dict(backbone=dict({BACKBONE}, {init_cfg}))')
    assert load_tool('eval_knn').main(arguments['eval_knn']) == 0
    assert not marker.exists()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(backbone=3)', 'a config with a model.backbone'),
        ('work_dir = "x"', 'a config with a model.backbone'),
        ("model = dict(backbone=dict(type='mssdf.MaskedVisionTransformer', arch=3))", ''),
        ("model = dict(backbone=dict(type='mssdf.MaskedVisionTransformer', nothing=3))", 'nothing'),
        (f'model = dict(backbone=dict({BACKBONE}, patch_size=0))', 'ZeroDivisionError'),
        (f"model = dict(backbone=dict({BACKBONE}, drop_rate='{{{{$HOME:0}}}}'))", 'TypeError'),
        ('{"model": {"backbone": ' + '{"a": ' * 400 + '1' + '}' * 402, 'nested too deeply'),
        ('a = 1\0', 'null bytes'),
    ],
)
@pytest.mark.parametrize('tool', ['eval_knn', 'eval_features'])
def test_what_builds_no_encoder_is_one_line(text, message, tool, arguments, tmp_path, capsys):
    path = write(tmp_path / 'x.pth', text)
    assert load_tool(tool).main(arguments[tool]) in (1, 2)
    (line,) = [each for each in capsys.readouterr().err.splitlines() if str(path) in each]
    assert line.startswith(f'{tool}.py: ') and message in line

"""README.md: short, and what it tells to write runs."""

import re
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import VisionTransformer


@pytest.fixture
def text(project_root: Path) -> str:
    return (project_root / 'README.md').read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def save_encoder(arch: str, path: Path) -> dict[str, torch.Tensor]:
    """Write an encoder as a checkpoint of pre-training has it."""
    weights = VisionTransformer(arch, img_size=128, patch_size=16).state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'state_dict': {f'backbone.{key}': value for key, value in weights.items()}}, path)
    return weights


def test_it_is_short(text):
    assert len(text.splitlines()) <= 150


def test_it_names_every_package_in_the_order_of_imports(text, project_root):
    folder = project_root / 'mssdf'
    packages = {path.parent.name for path in folder.glob('*/__init__.py')}
    section = text.split('## What is where')[1].split('\n## ')[0]
    named = re.findall(r'^mssdf/(\w+)/', section, re.M)
    assert set(named) == packages

    layers = re.findall(r'^  "(\w+)[\w |]*",$', (project_root / 'pyproject.toml').read_text(), re.M)
    ranks = [layers.index(name) for name in named if name in layers and name != 'utils']
    assert ranks == sorted(ranks)


def test_the_encoder_of_a_checkpoint(text, tmp_path, monkeypatch, capsys):
    stored = save_encoder('deit-tiny', tmp_path / 'work_dirs/quick_start/epoch_40.pth')
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(blocks(text, 'python')[0], names)
    assert names['features'].shape == (1, 192, 32, 32)
    loaded = names['encoder'].state_dict()
    same = [key for key in stored if torch.equal(stored[key], loaded[key])]
    assert set(stored) - set(same) == {'pos_embed'}
    assert '0 missing' in capsys.readouterr().out


def test_the_backbone_of_a_config(text, tmp_path, monkeypatch):
    stored = save_encoder('base', tmp_path / 'epoch_500.pth')
    monkeypatch.chdir(tmp_path)
    config = Config.fromstring(blocks(text, 'python')[1], '.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(config.backbone)
        backbone.init_weights()
    loaded = backbone.state_dict()
    assert all(torch.equal(stored[key], loaded[key]) for key in stored if key != 'pos_embed')


def test_every_page_of_the_documentation_is_linked(text, project_root):
    pages = {path.relative_to(project_root).as_posix() for path in project_root.glob('docs/*/*.md')}
    assert not pages - set(re.findall(r'\]\(([^)#]+)', text))

"""What the documentation tells users to write works as it stands there."""

import importlib
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import VisionTransformer

ROOT = Path(__file__).resolve().parents[2]
BASES = {
    'mmpretrain': 'mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py',
    'mmseg': 'mmseg::vit/vit_vit-b16_mln_upernet_8xb2-80k_ade20k-512x512.py',
}


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    encoder = VisionTransformer('base', img_size=320, patch_size=16)
    state_dict = {f'backbone.{name}': value for name, value in encoder.state_dict().items()}
    torch.save(dict(state_dict=state_dict), tmp_path / 'epoch_500.pth')
    return tmp_path / 'epoch_500.pth'


@pytest.mark.parametrize('library', BASES)
def test_our_checkpoint_in_your_config(library, checkpoint, tmp_path, monkeypatch):
    pytest.importorskip(library)
    text = (ROOT / 'docs/guide/downstream.md').read_text()
    section = text[text.index('## Our checkpoint in *your* config') :]
    blocks = re.findall(rf'^{library}, in .*?```python\n(.*?)```', section, re.M | re.S)
    assert len(blocks) == 1 and len(blocks[0].strip().splitlines()) <= 5
    config_file = tmp_path / 'mine.py'
    config_file.write_text(f"_base_ = '{BASES[library]}'\n{blocks[0]}")
    config = Config.fromfile(config_file)
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope(library):
        model = MODELS.build(config.model)
        model.init_weights()
    stored = torch.load(checkpoint, weights_only=True)['state_dict']
    loaded = model.state_dict()
    keys = [key for key in stored if not key.endswith('pos_embed')]
    assert len(keys) > 100 and all(torch.equal(stored[key], loaded[key]) for key in keys)


PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
]
# made while the site is built (scripts/site_pages.py)
GENERATED = ('reference/command-lines.md',)


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """Words of the shell commands that start a script of ours, environment variables left out."""
    lines = '\n'.join(blocks(text, '(?:bash|shell)')).replace('\\\n', ' ').splitlines()
    split = [shlex.split(line, comments=True) for line in lines]
    words = [[word for word in line if not re.match(r'[A-Z_]+=', word)] for line in split]
    ours = [line[1:] if line[:1] == ['python'] else line for line in words]
    return [line for line in ours if line and re.match(r'(tools|scripts|\.ci)/', line[0])]


@cache
def shared_options() -> str:
    """Sources of the package that add options to several scripts."""
    texts = (path.read_text() for path in (ROOT / 'mssdf').rglob('*.py'))
    return ''.join(text for text in texts if 'add_argument(' in text)


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_named_files_exist(path):
    text = path.read_text()
    for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', text):
        if '://' not in target and not target.endswith(GENERATED):
            assert (path.parent / target).exists(), f'{path.name}: {target}'
    # scripts of another package begin with its folder, $MMSEG/tools/...
    for script in re.findall(r'(?<!\w/)(?:tests/)?tools/[a-z_/]+\.(?:py|sh)', text):
        assert (ROOT / script).exists(), f'{path.name}: {script}'


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_lines_end_at_100_characters(path):
    """But for rows of tables, which cannot be broken."""
    lines = enumerate(path.read_text().splitlines(), 1)
    long = [number for number, line in lines if len(line) > 100 and not line.startswith('|')]
    assert not long, f'{path.name}: lines {long}'


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_imported_from_the_package_exist(path):
    lines = '\n'.join(blocks(path.read_text(), 'python'))
    for module, names in re.findall(r'^from (mssdf[\w.]*) import (.+)$', lines, re.M):
        for name in names.split(', '):
            assert hasattr(importlib.import_module(module), name), f'{path.name}: {module}.{name}'


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shell_commands_name_scripts_and_options_that_exist(path):
    for script, *words in commands(path.read_text()):
        assert (ROOT / script).is_file(), f'{path.name}: {script}'
        source = (ROOT / script).read_text() + shared_options()
        if script.endswith('.sh'):  # passes its arguments on
            name = 'test' if 'dist_test' in script else 'train'
            source += (ROOT / f'tools/{name}.py').read_text()
        for word in words:
            if word.startswith('--'):
                option = word.partition('=')[0]
                if 'BooleanOptionalAction' in source:
                    option = option.replace('--no-', '--')
                assert option in source, f'{path.name}: {script} {option}'


def test_paths_in_contributing_exist():
    """The walk through the project and the places of new parts, but for names to be chosen."""
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    tops = 'mssdf|tests|docs|configs|tools|scripts|requirements'
    paths = re.findall(rf'`((?:{tops})/[\w./-]*)`', text)
    assert len(paths) > 30
    assert not [path for path in paths if not exists(path)]


def exists(path: str) -> bool:
    """True for a path that is there, and for one with a name in capitals, in a folder that is."""
    parts = Path(path).parts
    known = [part for part in parts if not Path(part).stem.isupper()]
    return (ROOT / Path(*known)).exists()


def test_the_walk_names_functions_that_are_there():
    section = (ROOT / 'CONTRIBUTING.md').read_text().split('## Find your way')[1].split('\n## ')[0]
    steps = re.findall(r'`(mssdf/[\w/]+\.py)`: ([^|]+)', section)
    assert len(steps) == 6
    for path, step in steps:
        for name in re.findall(r'`(\w+)`', step):
            assert f'def {name}(' in (ROOT / path).read_text(), f'{path}: {name}'

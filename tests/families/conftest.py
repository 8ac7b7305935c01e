"""What the tests of the downstream families share.

They take the configs as they are, and only shrink images, batches and the number of iterations.
The data sets are the examples: real imagery in the layouts of the public sets, most labels derived.
"""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mmengine import Config
from mmengine.registry import MODELS, DefaultScope

from mssdf.preparation.examples import make_examples

PROJECT = Path(__file__).resolve().parents[2]
QUICK = {
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
    'train_dataloader.batch_size': 2,
    'val_dataloader.dataset.indices': 3,
    'test_dataloader.dataset.indices': 3,
}


def tool(name: str):
    path = PROJECT / 'tools' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'tool_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def examples(tmp_path_factory) -> Callable[[str], Path]:
    """The root of an example by its name."""
    out = tmp_path_factory.mktemp('examples')
    return lambda name: make_examples(PROJECT / 'tests/data', out, [name])[0]


@pytest.fixture(scope='session')
def pretrained(tmp_path_factory) -> Path:
    """A checkpoint as the quick start's pre-training writes it, of random weights."""
    config = Config.fromfile(PROJECT / 'configs/pretrain/mssdf_vit-t-p16_quick-start.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mssdf'):
        model = MODELS.build(config.model)
        model.init_weights()
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_40.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@dataclass
class Trial:
    """One config on one example: trained, resumed and tested through the tools."""

    config: str
    data_root: Path
    folder: Path
    checkpoint: Path | None
    options: dict
    overlays: tuple[str, ...] = ()

    @property
    def variants(self) -> list[str]:
        return ['--with', *self.overlays] if self.overlays else []

    def arguments(self, **options) -> list[str]:
        given = QUICK | self.options | options
        pairs = [f'{key}={value}' for key, value in given.items() if value is not None]
        return ['--data-root', str(self.data_root), '--cfg-options', *pairs]

    def train(self, *extra: str, **options) -> int:
        start = ['--checkpoint', str(self.checkpoint)] if self.checkpoint else []
        return tool('train').main(
            [
                self.config,
                *self.variants,
                '--work-dir',
                str(self.folder / 'train'),
                *start,
                *extra,
                *self.arguments(**options),
            ]
        )

    def test(self, *extra: str, **options) -> dict[str, float]:
        weights = (self.folder / 'train/last_checkpoint').read_text().strip()
        work_dir = self.folder / 'test'
        command = [
            self.config,
            weights,
            *self.variants,
            '--work-dir',
            str(work_dir),
            '--out',
            str(self.folder / 'out'),
            *extra,
            *self.arguments(**options),
        ]
        assert tool('test').main(command) == 0
        return json.loads((work_dir / 'scores.json').read_text())['scores']

    @property
    def log(self) -> str:
        return '\n'.join(path.read_text() for path in sorted(self.folder.glob('train/*/*.log')))


@pytest.fixture
def trial(tmp_path, pretrained, examples, monkeypatch):
    monkeypatch.setenv('MSSDF_CHECKPOINT', '')
    monkeypatch.delenv('MSSDF_CHECKPOINT')
    monkeypatch.delenv('MSSDF_DATA', raising=False)
    torch.set_num_threads(1)

    def make(config: str, example: str, *overlays: str, **options) -> Trial:
        checkpoint = None if 'scratch' in overlays else pretrained
        return Trial(f'{config}.py', examples(example), tmp_path, checkpoint, options, overlays)

    return make

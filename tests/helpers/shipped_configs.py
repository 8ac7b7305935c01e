"""The configs that ship, each read once in a session."""

from functools import cache
from pathlib import Path

import pytest
from mmengine import Config

import mssdf  # noqa: F401  MMEngine then finds mmseg under the name of either distribution

FOLDER = Path(__file__).resolve().parents[2] / 'configs'
ALL = sorted(FOLDER.rglob('*.py'))
CONFIGS = [path for path in ALL if '_base_' not in path.parts]
OVERLAYS = sorted(path.stem for path in FOLDER.glob('_base_/with/*.py'))
# Families that need mmcv's compiled ops.
COMPILED = ('detection', 'rotated_detection')


def relative(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


@cache
def load(path: Path) -> Config:
    """Read a config; whoever changes it changes a copy."""
    return Config.fromfile(path, import_custom_modules=False)


def need_ops(path: Path) -> None:
    """Skip the test where the config's family needs ops that are not there."""
    if path.relative_to(FOLDER).parts[0] in COMPILED:
        pytest.importorskip('mmcv.ops', reason="needs mmcv's compiled ops", exc_type=ImportError)

"""MSSDF: modality-shared self-supervised distillation for multi-modal remote sensing imagery."""

from mmengine.config.utils import MODULE2PACKAGE

from .version import __version__

# MMEngine reads `_base_ = 'mssdf::...'` and `get_config('mssdf::...')` of packages it knows.
MODULE2PACKAGE.setdefault('mssdf', 'mssdf')

__all__ = ['__version__']

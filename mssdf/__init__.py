"""MSSDF: modality-shared self-supervised distillation for multi-modal remote sensing imagery."""

from importlib.metadata import PackageNotFoundError, distribution

from mmengine.config.utils import MODULE2PACKAGE

from mssdf.version import __version__

# MMEngine reads `_base_ = 'mssdf::...'` and `get_config('mssdf::...')` of packages it knows ...
MODULE2PACKAGE.setdefault('mssdf', 'mssdf')
# ... and looks for mmseg under its first distribution's name, which is not that of the maintained
# line; by the module's name it finds either.
try:
    distribution('mmsegmentation')
except PackageNotFoundError:
    MODULE2PACKAGE['mmseg'] = 'mmseg'

__all__ = ['__version__']

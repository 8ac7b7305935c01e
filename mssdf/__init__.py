"""MSSDF: modality-shared self-supervised distillation for multi-modal remote sensing imagery."""

from mmengine.config.utils import MODULE2PACKAGE

from .version import __version__

# `Config.fromfile('mssdf::...')` reads configs of the packages it knows alone.
MODULE2PACKAGE.setdefault('mssdf', 'mssdf')

__all__ = ['__version__']

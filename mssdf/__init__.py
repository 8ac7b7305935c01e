"""MSSDF: modality-shared self-supervised distillation for multi-modal remote sensing imagery."""

from .version import __version__

__all__ = ['__version__']

"""Test-time augmentation for the tasks for which mmseg has none."""

from .change import ChangeTTA, SemanticChangeTTA
from .height import HeightTTA

__all__ = ['ChangeTTA', 'HeightTTA', 'SemanticChangeTTA']

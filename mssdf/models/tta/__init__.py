"""Test-time augmentation for the tasks that mmseg has none for."""

from .change import ChangeTTA, SemanticChangeTTA
from .height import HeightTTA

__all__ = ['ChangeTTA', 'HeightTTA', 'SemanticChangeTTA']

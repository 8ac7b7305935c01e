"""Height estimation with mmseg's models."""

from .data_preprocessor import HeightDataPreprocessor
from .head import HeightHead

__all__ = ['HeightDataPreprocessor', 'HeightHead']

"""Models of mmseg for two dates and for heights."""

from .height_data_preprocessor import HeightDataPreprocessor
from .height_head import HeightHead
from .semantic_change import SemanticChangeDetector
from .siamese import SiameseEncoderDecoder

__all__ = [
    'HeightDataPreprocessor',
    'HeightHead',
    'SemanticChangeDetector',
    'SiameseEncoderDecoder',
]

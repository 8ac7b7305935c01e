"""Models of mmseg for two dates."""

from .semantic_change import SemanticChangeDetector
from .siamese import SiameseEncoderDecoder

__all__ = ['SemanticChangeDetector', 'SiameseEncoderDecoder']

"""Detection of changes between two dates, binary and semantic, with mmseg's models."""

from .semantic_change import SemanticChangeDetector
from .siamese import SiameseEncoderDecoder

__all__ = ['SemanticChangeDetector', 'SiameseEncoderDecoder']

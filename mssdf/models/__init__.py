"""Models of MSSDF, registered under the scope ``mssdf``."""

from .backbones import MaskedVisionTransformer
from .data_preprocessors import (
    MaskingDataPreprocessor,
    MultiModalDataPreprocessor,
    SingleModalityDataPreprocessor,
)
from .embeddings import PerModalityPatchEmbedding, SharedPatchEmbedding
from .heads import ModalityHead, PixelHead
from .necks import FusionDecoder, ModalityDecoder
from .selfsup import MSSDF

__all__ = [
    'MSSDF',
    'FusionDecoder',
    'MaskedVisionTransformer',
    'MaskingDataPreprocessor',
    'ModalityDecoder',
    'ModalityHead',
    'MultiModalDataPreprocessor',
    'PerModalityPatchEmbedding',
    'PixelHead',
    'SharedPatchEmbedding',
    'SingleModalityDataPreprocessor',
]

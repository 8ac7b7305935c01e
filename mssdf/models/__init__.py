"""Models of MSSDF, registered under the scope ``mssdf``."""

from importlib.util import find_spec

from .backbones import (
    DenseVisionTransformer,
    MaskedVisionTransformer,
    MultiModalVisionTransformer,
)
from .data_preprocessors import (
    MaskingDataPreprocessor,
    MultiModalDataPreprocessor,
    SingleModalityDataPreprocessor,
)
from .detectors import RotatedTTA
from .embeddings import PerModalityPatchEmbedding, SharedPatchEmbedding
from .heads import ModalityHead, PixelHead
from .losses.height import HeightLoss
from .necks import FusionDecoder, ModalityDecoder, SimpleFPN, ZeroHeadMAEDecoder
from .selfsup import MSSDF

__all__ = [
    'MSSDF',
    'DenseVisionTransformer',
    'FusionDecoder',
    'HeightLoss',
    'MaskedVisionTransformer',
    'MaskingDataPreprocessor',
    'ModalityDecoder',
    'ModalityHead',
    'MultiModalDataPreprocessor',
    'MultiModalVisionTransformer',
    'PerModalityPatchEmbedding',
    'PixelHead',
    'RotatedTTA',
    'SharedPatchEmbedding',
    'SimpleFPN',
    'SingleModalityDataPreprocessor',
    'ZeroHeadMAEDecoder',
]

if find_spec('mmseg') is not None:  # pre-training and classification do without
    from . import change, height, segmentors, tta  # noqa: F401  registers

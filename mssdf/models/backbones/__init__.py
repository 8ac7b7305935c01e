"""Encoders: one family of plain ViTs."""

from .dense_vit import DenseVisionTransformer
from .masked_vit import MaskedVisionTransformer
from .multi_modal_vit import MultiModalVisionTransformer
from .token_vit import TokenVisionTransformer

__all__ = [
    'DenseVisionTransformer',
    'MaskedVisionTransformer',
    'MultiModalVisionTransformer',
    'TokenVisionTransformer',
]

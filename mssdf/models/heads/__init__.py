"""Heads of the pre-training model."""

from .modality_head import ModalityHead
from .patch_projection import FrozenPatchProjection
from .pixel_head import PixelHead
from .projection_head import ProjectionHead
from .zero_linear import ZeroLinear

__all__ = [
    'FrozenPatchProjection',
    'ModalityHead',
    'PixelHead',
    'ProjectionHead',
    'ZeroLinear',
]

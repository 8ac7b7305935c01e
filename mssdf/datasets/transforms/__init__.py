"""Transforms of all modalities and their validity at once."""

from .color_jitter import MultiModalColorJitter
from .flip import MultiModalRandomFlip, MultiModalRandomRotate90
from .modality_dropout import ModalityDropout
from .packing import PackMultiModalInputs
from .random_resized_crop import MultiModalRandomResizedCrop

__all__ = [
    'ModalityDropout',
    'MultiModalColorJitter',
    'MultiModalRandomFlip',
    'MultiModalRandomResizedCrop',
    'MultiModalRandomRotate90',
    'PackMultiModalInputs',
]

"""Transforms: of all modalities at once in pre-training; of one image in the tasks."""

from .bands import DropBands, NormalizeBands
from .color_jitter import MultiModalColorJitter
from .flip import MultiModalRandomFlip, MultiModalRandomRotate90
from .load_change import LoadBinaryMask, LoadChange
from .load_height import LoadHeight
from .load_rasters import LoadRasters
from .modality_dropout import ModalityDropout
from .packing import PackMultiModalInputs
from .random_resized_crop import MultiModalRandomResizedCrop
from .two_dates import LoadSemanticChange, RandomSwapDates

__all__ = [
    'DropBands',
    'LoadBinaryMask',
    'LoadChange',
    'LoadHeight',
    'LoadRasters',
    'LoadSemanticChange',
    'ModalityDropout',
    'MultiModalColorJitter',
    'MultiModalRandomFlip',
    'MultiModalRandomResizedCrop',
    'MultiModalRandomRotate90',
    'NormalizeBands',
    'PackMultiModalInputs',
    'RandomSwapDates',
]

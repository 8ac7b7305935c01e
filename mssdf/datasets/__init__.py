"""Reading multi-modal rasters: windows, their transforms, samplers and statistics."""

from .collate import multimodal_collate
from .failures import UnreadableDataError
from .multi_modal_raster import MultiModalRasterDataset
from .sample_index import SampleIndex
from .samplers import ResumableSampler
from .transforms import (
    ModalityDropout,
    MultiModalColorJitter,
    MultiModalRandomFlip,
    MultiModalRandomResizedCrop,
    MultiModalRandomRotate90,
    PackMultiModalInputs,
)

__all__ = [
    'ModalityDropout',
    'MultiModalColorJitter',
    'MultiModalRandomFlip',
    'MultiModalRandomResizedCrop',
    'MultiModalRandomRotate90',
    'MultiModalRasterDataset',
    'PackMultiModalInputs',
    'ResumableSampler',
    'SampleIndex',
    'UnreadableDataError',
    'multimodal_collate',
]

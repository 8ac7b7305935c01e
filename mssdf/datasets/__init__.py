"""Datasets of multi-modal windows, their transforms and samplers."""

from importlib.util import find_spec

from .collate import multimodal_collate
from .multi_modal_raster import MultiModalRasterDataset
from .sample_index import SampleIndex
from .samplers import ResumableSampler, ShardSampler
from .shard_dataset import ShardDataset
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
    'ShardDataset',
    'ShardSampler',
    'multimodal_collate',
]

if find_spec('mmseg') is not None:  # pre-training and classification do without
    from .tasks import height, pack_semantic_change, semantic_change  # noqa: F401  registers

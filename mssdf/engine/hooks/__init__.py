"""Hooks of the training."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .iteration_seed_hook import IterationSeedHook
from .knn_hook import KNNHook
from .pretrain_panel_hook import PretrainPanelHook
from .progress_hook import CrossModalMaskingHook, ProgressHook, TeacherMomentumHook
from .throughput_hook import ThroughputHook

__all__ = [
    'AtomicCheckpointHook',
    'CrossModalMaskingHook',
    'IterationSeedHook',
    'KNNHook',
    'PretrainPanelHook',
    'ProgressHook',
    'TeacherMomentumHook',
    'ThroughputHook',
]

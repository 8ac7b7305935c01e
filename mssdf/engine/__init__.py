"""Running: the loop, its hooks, checkpoints and resuming."""

from .hooks import (
    AtomicCheckpointHook,
    CrossModalMaskingHook,
    IterationSeedHook,
    KNNHook,
    PretrainPanelHook,
    ProgressHook,
    TeacherMomentumHook,
    ThroughputHook,
)
from .interruption import TrainingInterrupted
from .layer_decay_constructor import LayerDecayOptimWrapperConstructor
from .log_processor import CompactLogProcessor
from .loops import ResumableEpochTrainLoop
from .optim_wrapper_constructor import TrainableOptimWrapperConstructor
from .resume import find_resumable_checkpoint

__all__ = [
    'AtomicCheckpointHook',
    'CompactLogProcessor',
    'CrossModalMaskingHook',
    'IterationSeedHook',
    'KNNHook',
    'LayerDecayOptimWrapperConstructor',
    'PretrainPanelHook',
    'ProgressHook',
    'ResumableEpochTrainLoop',
    'TeacherMomentumHook',
    'ThroughputHook',
    'TrainableOptimWrapperConstructor',
    'TrainingInterrupted',
    'find_resumable_checkpoint',
]

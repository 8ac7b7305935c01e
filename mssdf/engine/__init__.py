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
from .log_processor import CompactLogProcessor
from .loops import ResumableEpochTrainLoop
from .resume import find_resumable_checkpoint

__all__ = [
    'AtomicCheckpointHook',
    'CompactLogProcessor',
    'CrossModalMaskingHook',
    'IterationSeedHook',
    'KNNHook',
    'PretrainPanelHook',
    'ProgressHook',
    'ResumableEpochTrainLoop',
    'TeacherMomentumHook',
    'ThroughputHook',
    'TrainingInterrupted',
    'find_resumable_checkpoint',
]

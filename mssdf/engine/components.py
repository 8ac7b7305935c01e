"""Everything of the engine that a config may name; the registries import this module."""

from mssdf.engine.interruption import TrainingInterrupted

from .fsdp_strategy import FSDPStrategy
from .hooks import (
    AtomicCheckpointHook,
    CompileLayersHook,
    DataCheckHook,
    InterruptionHook,
    IterationSeedHook,
    KNNHook,
    PredictionSaverHook,
    PretrainPanelHook,
    SampleSeedHook,
    ScheduleHook,
    StragglerHook,
    StrictCheckpointHook,
    TaskPanelHook,
    TeacherHook,
    ThroughputHook,
    WatchdogHook,
)
from .layer_decay_constructor import LayerDecayOptimWrapperConstructor
from .log_processor import CompactLogProcessor
from .loops import ResumableEpochTrainLoop
from .optim_wrapper_constructor import TrainableOptimWrapperConstructor
from .resume import find_resumable_checkpoint

__all__ = [
    'AtomicCheckpointHook',
    'CompactLogProcessor',
    'CompileLayersHook',
    'DataCheckHook',
    'FSDPStrategy',
    'InterruptionHook',
    'IterationSeedHook',
    'KNNHook',
    'LayerDecayOptimWrapperConstructor',
    'PredictionSaverHook',
    'PretrainPanelHook',
    'SampleSeedHook',
    'ScheduleHook',
    'StragglerHook',
    'ResumableEpochTrainLoop',
    'TaskPanelHook',
    'TeacherHook',
    'ThroughputHook',
    'TrainableOptimWrapperConstructor',
    'TrainingInterrupted',
    'WatchdogHook',
    'StrictCheckpointHook',
    'find_resumable_checkpoint',
]

"""Hooks of training, validation and test."""

from . import replaced_hooks  # noqa: F401  registers
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .compile_layers_hook import CompileLayersHook
from .data_check_hook import DataCheckHook
from .interruption_hook import InterruptionHook
from .iteration_seed_hook import IterationSeedHook
from .knn_hook import KNNHook
from .prediction_saver_hook import PredictionSaverHook
from .pretrain_panel_hook import PretrainPanelHook
from .sample_seed_hook import SampleSeedHook
from .schedule_hook import ScheduleHook
from .straggler_hook import StragglerHook
from .strict_checkpoint_hook import StrictCheckpointHook
from .task_panel_hook import TaskPanelHook
from .teacher_hook import TeacherHook
from .throughput_hook import ThroughputHook
from .watchdog_hook import WatchdogHook

__all__ = [
    'AtomicCheckpointHook',
    'CompileLayersHook',
    'DataCheckHook',
    'InterruptionHook',
    'IterationSeedHook',
    'KNNHook',
    'PredictionSaverHook',
    'PretrainPanelHook',
    'SampleSeedHook',
    'ScheduleHook',
    'StragglerHook',
    'TaskPanelHook',
    'TeacherHook',
    'ThroughputHook',
    'WatchdogHook',
    'StrictCheckpointHook',
]

"""Hooks of training, validation and test."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .compile_layers_hook import CompileLayersHook
from .data_check_hook import DataCheckHook
from .interruption_hook import InterruptionHook
from .iteration_seed_hook import IterationSeedHook
from .knn_hook import KNNHook
from .prediction_saver_hook import PredictionSaverHook
from .pretrain_panel_hook import PretrainPanelHook
from .progress_hook import CrossModalMaskingHook, ProgressHook, TeacherMomentumHook
from .sample_seed_hook import SampleSeedHook
from .straggler_hook import StragglerHook
from .strict_checkpoint_hook import StrictCheckpointHook
from .task_panel_hook import TaskPanelHook
from .throughput_hook import ThroughputHook
from .watchdog_hook import WatchdogHook

__all__ = [
    'AtomicCheckpointHook',
    'CompileLayersHook',
    'CrossModalMaskingHook',
    'DataCheckHook',
    'InterruptionHook',
    'IterationSeedHook',
    'KNNHook',
    'PredictionSaverHook',
    'PretrainPanelHook',
    'ProgressHook',
    'SampleSeedHook',
    'StragglerHook',
    'TaskPanelHook',
    'TeacherMomentumHook',
    'ThroughputHook',
    'WatchdogHook',
    'StrictCheckpointHook',
]

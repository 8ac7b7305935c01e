"""Hooks of the training."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .compile_layers_hook import CompileLayersHook
from .data_check_hook import DataCheckHook
from .interruption_hook import InterruptionHook
from .iteration_seed_hook import IterationSeedHook
from .knn_hook import KNNHook
from .prediction_saver_hook import PredictionSaverHook
from .pretrain_panel_hook import PretrainPanelHook
from .progress_hook import CrossModalMaskingHook, ProgressHook, TeacherMomentumHook
from .task_panel_hook import TaskPanelHook
from .throughput_hook import ThroughputHook

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
    'TaskPanelHook',
    'TeacherMomentumHook',
    'ThroughputHook',
]

"""Metrics of the downstream tasks for MMEngine."""

from .change_metric import ChangeMetric
from .height_metric import HeightMetric
from .rotated_detection_metric import RotatedDetectionMetric
from .segmentation_metric import SegmentationMetric
from .semantic_change_metric import SemanticChangeMetric

__all__ = [
    'ChangeMetric',
    'HeightMetric',
    'RotatedDetectionMetric',
    'SegmentationMetric',
    'SemanticChangeMetric',
]

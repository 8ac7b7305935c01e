"""MMEngine metrics of the tasks."""

from .change_metric import ChangeMetric
from .height_metric import HeightMetric
from .segmentation_metric import SegmentationMetric
from .semantic_change_metric import SemanticChangeMetric

__all__ = ['ChangeMetric', 'HeightMetric', 'SegmentationMetric', 'SemanticChangeMetric']

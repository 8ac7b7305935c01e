"""How good are the features? kNN on labelled images, and measures of collapse."""

from mssdf.models.utils.collapse import effective_rank, feature_std

from .knn import (
    KNNResult,
    bootstrap_interval,
    evaluate_knn,
    gain_interval,
    knn_accuracy,
    knn_predict,
)
from .labelled_images import (
    LabelledImages,
    load_labelled_images,
    read_split,
    stratified_folds,
    stratified_split,
)
from .metrics import ChangeMetric, HeightMetric, SegmentationMetric, SemanticChangeMetric

__all__ = [
    'ChangeMetric',
    'HeightMetric',
    'KNNResult',
    'LabelledImages',
    'SegmentationMetric',
    'SemanticChangeMetric',
    'bootstrap_interval',
    'effective_rank',
    'evaluate_knn',
    'feature_std',
    'gain_interval',
    'knn_accuracy',
    'knn_predict',
    'load_labelled_images',
    'read_split',
    'stratified_folds',
    'stratified_split',
]

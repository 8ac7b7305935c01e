"""Evaluation of features and predictions: kNN on labeled images, metrics, measures of collapse."""

from mssdf.models.utils.collapse import effective_rank, feature_std

from .knn import (
    KNNResult,
    bootstrap_interval,
    evaluate_knn,
    gain_interval,
    knn_accuracy,
    knn_predict,
)
from .labeled_images import (
    LabeledImages,
    load_labeled_images,
    read_split,
    stratified_folds,
    stratified_split,
)
from .metrics import ChangeMetric, HeightMetric, SegmentationMetric, SemanticChangeMetric

__all__ = [
    'ChangeMetric',
    'HeightMetric',
    'KNNResult',
    'LabeledImages',
    'SegmentationMetric',
    'SemanticChangeMetric',
    'bootstrap_interval',
    'effective_rank',
    'evaluate_knn',
    'feature_std',
    'gain_interval',
    'knn_accuracy',
    'knn_predict',
    'load_labeled_images',
    'read_split',
    'stratified_folds',
    'stratified_split',
]

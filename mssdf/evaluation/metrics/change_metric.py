"""Scores of binary change detection."""

import numpy as np
from numpy.typing import NDArray

from mssdf.registry import METRICS

from ..confusion import change_scores, confusion_matrix
from .confusion_metric import ConfusionMetric, labels_of


@METRICS.register_module()
class ChangeMetric(ConfusionMetric):
    """A metric of binary change: F1, precision, recall and IoU, mIoU and OA, in percent."""

    def count(self, sample: dict) -> NDArray[np.int64]:
        """Count ``pred_sem_seg`` against ``gt_sem_seg`` (0, 1; other values are unknown)."""
        return confusion_matrix(
            labels_of(sample, 'gt_sem_seg'), labels_of(sample, 'pred_sem_seg'), 2
        )

    def scores(self, matrix: NDArray[np.int64]) -> dict[str, float]:
        """Compute :func:`~mssdf.evaluation.confusion.change_scores`."""
        return change_scores(matrix)

"""Scores of semantic change detection."""

import numpy as np
from numpy.typing import NDArray

from mssdf.registry import METRICS

from ..confusion import confusion_matrix, semantic_change_scores
from .confusion_metric import ConfusionMetric, labels_of


@METRICS.register_module()
class SemanticChangeMetric(ConfusionMetric):
    """A metric of semantic change: mIoU, SeK, F_scd, Score and OA over both dates, in percent.

    Args:
        num_classes: number K of land covers; labels are 0 (unchanged) and 1 ... K.
        **kwargs: arguments for :class:`ConfusionMetric`.
    """

    def __init__(self, num_classes: int = 6, **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def count(self, sample: dict) -> NDArray[np.int64]:
        """Count both dates of an image into one matrix."""
        matrices = [
            confusion_matrix(
                labels_of(sample, f'gt_{date}'),
                labels_of(sample, f'pred_{date}'),
                self.num_classes + 1,
            )
            for date in ('first', 'second')
        ]
        return matrices[0] + matrices[1]

    def scores(self, matrix: NDArray[np.int64]) -> dict[str, float]:
        """Compute :func:`~mssdf.evaluation.confusion.semantic_change_scores`."""
        return semantic_change_scores(matrix)

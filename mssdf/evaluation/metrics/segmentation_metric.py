"""Scores of semantic segmentation under the names used in papers."""

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.errors import ConfigError
from mssdf.registry import METRICS

from ..confusion import confusion_matrix, ratio, segmentation_scores
from .confusion_metric import ConfusionMetric, labels_of


@METRICS.register_module()
class SegmentationMetric(ConfusionMetric):
    """A metric of segmentation: mIoU, mF1 and OA in percent; IoU and F1 of each class are logged.

    Args:
        ignored_classes: names of classes that the means leave out (clutter, in five-class scores).
        **kwargs: arguments for :class:`ConfusionMetric`.

    Raises:
        ValueError: if the dataset does not have one of the names.
    """

    def __init__(self, ignored_classes: tuple[str, ...] = (), **kwargs: str) -> None:
        super().__init__(**kwargs)
        self.ignored_classes = tuple(ignored_classes)

    @property
    def _classes(self) -> list[str]:
        return list(self.dataset_meta['classes'])

    def count(self, sample: dict) -> NDArray[np.int64]:
        """Count ``pred_sem_seg`` against ``gt_sem_seg``."""
        return confusion_matrix(
            labels_of(sample, 'gt_sem_seg'),
            labels_of(sample, 'pred_sem_seg'),
            len(self._classes),
        )

    def scores(self, matrix: NDArray[np.int64]) -> dict[str, float]:
        """Compute :func:`~mssdf.evaluation.confusion.segmentation_scores`; log each class."""
        unknown = set(self.ignored_classes) - set(self._classes)
        if unknown:
            raise ConfigError('ignored_classes', f'some of {self._classes}', sorted(unknown))
        hits, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        iou = 100 * ratio(hits, truth + predicted - hits)
        f1 = 100 * ratio(2 * hits, truth + predicted)
        lines = [
            f'{name:>24}  IoU {i:6.2f}  F1 {f:6.2f}  pixels {count}'
            + ('  (not in the means)' if name in self.ignored_classes else '')
            for name, i, f, count in zip(self._classes, iou, f1, truth, strict=True)
        ]
        print_log('\n' + '\n'.join(lines), logger='current')
        ignored = tuple(self._classes.index(name) for name in self.ignored_classes)
        return segmentation_scores(matrix, ignored)

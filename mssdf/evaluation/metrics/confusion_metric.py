"""Base of the metrics that derive from a confusion matrix."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from numpy.typing import NDArray


class ConfusionMetric(BaseMetric):
    """A metric that adds up one confusion matrix over all images and ranks.

    A subclass implements the count and the scores, which are logged in percent.

    Args:
        collect_device: device on which MMEngine collects the results, ``'cpu'`` or ``'gpu'``.
        prefix: prefix of the scores' names.
    """

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    @abstractmethod
    def count(self, sample: dict) -> NDArray[np.int64]:
        """Count the matrix of one image from its data sample as a dictionary."""

    @abstractmethod
    def scores(self, matrix: NDArray[np.int64]) -> dict[str, float]:
        """Compute scores from 0 to 1 from the matrix over all images."""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch."""
        self.results.extend(self.count(sample) for sample in data_samples)

    def compute_metrics(self, results: list[NDArray[np.int64]]) -> dict[str, float]:
        """Log the scores and return them, in percent."""
        matrix = np.sum(results, axis=0)
        scores = {
            name: round(100 * value, 2) if np.isfinite(value) else float('nan')
            for name, value in self.scores(matrix).items()
        }
        print_log(
            ', '.join(f'{name} {value:.2f}' for name, value in scores.items()), logger='current'
        )
        return scores


def labels_of(sample: dict, name: str) -> NDArray[np.int64]:
    """Return the labels (H, W) of a data sample as NumPy."""
    return sample[name]['data'].squeeze(0).cpu().numpy()

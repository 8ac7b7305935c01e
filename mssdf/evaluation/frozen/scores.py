"""Scores from sums over images, so that any resampling of images gives its own score.

Each function takes sums (..., Q) in the order that its probe stores and returns scores (...).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of correct images from (correct, all)."""
    return _ratio(sums[..., 0], sums[..., 1])


def mean_iou(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean IoU of the classes that occur, from a confusion matrix K * K."""
    hits, union = _hits_and_union(sums)
    iou = _ratio(hits, union)
    occurs = union > 0
    return _ratio(np.where(occurs, iou, 0).sum(axis=-1), occurs.sum(axis=-1))


def foreground_iou(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the IoU of class 1 from a confusion matrix K * K."""
    hits, union = _hits_and_union(sums)
    return _ratio(hits[..., 1], union[..., 1])


def r_squared(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the explained share of variance.

    It takes the sums (count, targets, squared targets, squared errors).
    """
    count, total, squares, errors = np.moveaxis(sums, -1, 0)
    return 1 - _ratio(errors, squares - _ratio(total**2, count))


def rmse(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the root mean squared error in meters, from the same sums as :func:`r_squared`."""
    return np.sqrt(_ratio(sums[..., 3], sums[..., 0]))


SCORES: dict[str, Score] = dict(
    accuracy=accuracy, mIoU=mean_iou, IoU=foreground_iou, R2=r_squared, RMSE=rmse
)
LESS_IS_BETTER = ('RMSE',)


def confusion_sums(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    """Count the confusion matrix of each image, flattened: a row per true class.

    Args:
        truth: classes (N, P), -1 where unknown.
        predicted: classes (N, P).
        num_classes: number K of classes.

    Returns:
        Counts (N, K * K).
    """
    size = num_classes**2
    cell = np.where(truth >= 0, truth * num_classes + predicted, size)
    rows = np.arange(len(truth))[:, None] * (size + 1)
    counts = np.bincount((rows + cell).ravel(), minlength=len(truth) * (size + 1))
    return counts.reshape(len(truth), size + 1)[:, :size].astype(np.float64)


def error_sums(truth: NDArray, predicted: NDArray, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum up count, targets, squared targets and squared errors of each image.

    Args:
        truth: heights (N, P) in meters.
        predicted: heights (N, P) in meters.
        known: (N, P) bool, true where the truth is known.

    Returns:
        Sums (N, 4).
    """
    truth = np.where(known, truth, 0).astype(np.float64)
    error = np.where(known, predicted - truth, 0).astype(np.float64)
    columns = [known.sum(axis=1), truth.sum(axis=1)]
    columns += [np.square(truth).sum(axis=1), np.square(error).sum(axis=1)]
    return np.stack(columns, axis=1).astype(np.float64)


def _hits_and_union(sums: NDArray) -> tuple[NDArray, NDArray]:
    """Return intersection and union (..., K) of each class."""
    classes = round(sums.shape[-1] ** 0.5)
    matrix = sums.reshape(*sums.shape[:-1], classes, classes)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    return hits, matrix.sum(axis=-1) + matrix.sum(axis=-2) - hits


def _ratio(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    """Divide; NaN where the denominator is 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)

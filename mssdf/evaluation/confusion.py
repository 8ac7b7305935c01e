"""Scores from a confusion matrix, as pure functions."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


def confusion_matrix(truth: NDArray, predicted: NDArray, num_classes: int) -> Matrix:
    """Count (truth, predicted) pairs.

    Args:
        truth: labels of any shape; those outside 0 ... num_classes - 1 are left out.
        predicted: labels of the same shape, all within.
        num_classes: K.

    Returns:
        (K, K): rows are the truth, columns the prediction.

    Raises:
        ValueError: if shapes differ or a prediction is out of range.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f'expected equal shapes, found {truth.shape} and {predicted.shape}')
    truth, predicted = truth.ravel().astype(np.int64), predicted.ravel().astype(np.int64)
    known = (truth >= 0) & (truth < num_classes)
    truth, predicted = truth[known], predicted[known]
    if predicted.size and not 0 <= predicted.min() <= predicted.max() < num_classes:
        raise ValueError(
            f'predicted: expected labels from 0 to {num_classes - 1}, found '
            f'{predicted.min()} to {predicted.max()}'
        )
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def ratio(numerator: float | NDArray, denominator: float | NDArray) -> NDArray:
    """Divide; NaN where there is nothing to divide by."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def change_scores(matrix: Matrix) -> dict[str, float]:
    """Scores of binary change detection from a (2, 2) matrix, each from 0 to 1.

    Returns:
        ``F1``, ``precision``, ``recall`` and ``IoU`` of the changed class, ``mIoU`` over both
        classes and ``OA``.
    """
    (unchanged, false_alarm), (missed, hit) = matrix.tolist()
    iou = ratio(hit, hit + false_alarm + missed)
    iou_unchanged = ratio(unchanged, unchanged + false_alarm + missed)
    return dict(
        F1=float(ratio(2 * hit, 2 * hit + false_alarm + missed)),
        precision=float(ratio(hit, hit + false_alarm)),
        recall=float(ratio(hit, hit + missed)),
        IoU=float(iou),
        mIoU=float((iou + iou_unchanged) / 2),
        OA=float(ratio(unchanged + hit, matrix.sum())),
    )


def semantic_change_scores(matrix: Matrix) -> dict[str, float]:
    """Scores of semantic change detection from the matrix of both dates, class 0 unchanged.

    mIoU, SeK and Score as defined with the SECOND data set (arXiv 2010.05687), F_scd as in
    arXiv 2108.06103.

    Args:
        matrix: (1 + K, 1 + K) over both dates' pixels; rows the truth, columns the prediction.

    Returns:
        ``mIoU`` of unchanged and changed, ``SeK``, ``F_scd``, ``Score`` = 0.3 mIoU + 0.7 SeK and
        ``OA``.
    """
    total = matrix.sum()
    unchanged = matrix[0, 0]
    iou_unchanged = ratio(unchanged, matrix[0].sum() + matrix[:, 0].sum() - unchanged)
    iou_changed = ratio(matrix[1:, 1:].sum(), total - unchanged)
    mean_iou = float((iou_unchanged + iou_changed) / 2)
    without = matrix.astype(float)
    without[0, 0] = 0
    count = without.sum()
    observed = ratio(np.trace(without), count)
    expected = ratio((without.sum(axis=0) * without.sum(axis=1)).sum(), count**2)
    kappa = ratio(observed - expected, 1 - expected)
    sek = float(kappa * np.exp(iou_changed - 1))
    right = np.trace(matrix) - unchanged
    precision = ratio(right, matrix[:, 1:].sum())
    recall = ratio(right, matrix[1:].sum())
    return dict(
        mIoU=mean_iou,
        SeK=sek,
        F_scd=float(ratio(2 * precision * recall, precision + recall)),
        Score=0.3 * mean_iou + 0.7 * sek,
        OA=float(ratio(np.trace(matrix), total)),
    )


def segmentation_scores(matrix: Matrix, ignored: tuple[int, ...] = ()) -> dict[str, float]:
    """mIoU, mF1 and OA; classes of ``ignored`` are left out of the means, not of OA.

    A class that neither truth nor prediction has does not count.
    """
    hits, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    iou = ratio(hits, truth + predicted - hits)
    f1 = ratio(2 * hits, truth + predicted)
    kept = [index for index in range(len(matrix)) if index not in ignored]
    return dict(
        mIoU=float(np.nanmean(iou[kept])),
        mF1=float(np.nanmean(f1[kept])),
        OA=float(ratio(hits.sum(), matrix.sum())),
    )

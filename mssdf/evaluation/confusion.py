"""Scores from a confusion matrix as pure functions."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


def confusion_matrix(truth: NDArray, predicted: NDArray, num_classes: int) -> Matrix:
    """Count the pairs of true and predicted labels.

    Args:
        truth: true labels of any shape; those outside 0 ... num_classes - 1 are ignored.
        predicted: predicted labels of the same shape, all within 0 ... num_classes - 1.
        num_classes: number K of classes.

    Returns:
        Matrix (K, K) of counts, with a row per true and a column per predicted class.

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
    """Divide two numbers or arrays; NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def change_scores(matrix: Matrix) -> dict[str, float]:
    """Compute the scores of binary change detection, each from 0 to 1.

    Args:
        matrix: confusion matrix (2, 2), class 0 unchanged.

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
    """Compute the scores of semantic change detection, each from 0 to 1.

    mIoU, SeK and Score are defined with the SECOND data set (arXiv 2010.05687), F_scd in arXiv
    2108.06103.

    Args:
        matrix: confusion matrix (1 + K, 1 + K) over the pixels of both dates, class 0 unchanged.

    Returns:
        ``mIoU`` of unchanged and changed, ``SeK``, ``F_scd``, ``Score`` = 0.3 mIoU + 0.7 SeK and
        ``OA``.
    """
    total = matrix.sum()
    unchanged = matrix[0, 0]
    iou_unchanged = ratio(unchanged, matrix[0].sum() + matrix[:, 0].sum() - unchanged)
    iou_changed = ratio(matrix[1:, 1:].sum(), total - unchanged)
    mean_iou = float((iou_unchanged + iou_changed) / 2)

    # SeK leaves out the pixels that are unchanged in truth and prediction, which dominate.
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
    """Compute mIoU, mF1 and OA, each from 0 to 1.

    A class that occurs in neither truth nor prediction does not count.

    Args:
        matrix: confusion matrix (K, K).
        ignored: numbers of the classes that the means leave out; OA counts them.
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

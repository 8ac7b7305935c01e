"""Average-precision scores of rotated boxes, as for DOTA and DIOR-R."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IoU = Callable[[NDArray, NDArray], NDArray]


@dataclass
class RotatedBoxes:
    """Found and true boxes of one image: (N, 5) of center, width, height, angle in radians.

    ``ignored`` marks true boxes that count neither when found nor when missed.
    """

    found: NDArray
    scores: NDArray  # (N,)
    found_labels: NDArray  # (N,)
    truth: NDArray  # (M, 5)
    truth_labels: NDArray  # (M,)
    ignored: NDArray[np.bool_]  # (M,)


def rotated_iou(first: NDArray, second: NDArray) -> NDArray:
    """Compute the IoU (N, M) of rotated boxes (N, 5) and (M, 5) by mmcv's compiled op."""
    import torch
    from mmcv.ops import box_iou_rotated

    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)), np.float32)
    tensors = (
        torch.from_numpy(np.ascontiguousarray(boxes, np.float32)) for boxes in (first, second)
    )
    return box_iou_rotated(*tensors).numpy()


def match(
    iou: NDArray, scores: NDArray, ignored: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Separate true from false detections of one class in one image.

    Each detection belongs to the true box that it overlaps most. Of several that belong to one box,
    the one with the highest score is true. This is Pascal VOC's rule.

    Args:
        iou: IoU (N, M) of found and true boxes.
        scores: scores (N,) of the detections.
        ignored: (M,) bool, true for boxes that do not count.
        threshold: smallest IoU of a match.

    Returns:
        True (N,) and false (N,) detections; neither for a detection of an ignored box.
    """
    true, false = (np.zeros(len(scores), bool) for _ in range(2))
    if not iou.shape[1]:
        return true, ~false
    nearest, best = iou.argmax(axis=1), iou.max(axis=1, initial=0)
    taken = np.zeros(iou.shape[1], bool)
    for index in np.argsort(-scores, kind='stable'):
        target = nearest[index]
        if best[index] < threshold or (taken[target] and not ignored[target]):
            false[index] = True
        elif not ignored[target]:
            true[index] = taken[target] = True
    return true, false


def average_precision(
    true: NDArray[np.bool_], false: NDArray[np.bool_], total: int, points: int | None = 11
) -> float:
    """Compute the average precision of detections sorted by score.

    Args:
        true: (N,) bool of the true detections.
        false: (N,) bool of the false detections.
        total: number of true boxes.
        points: number of recalls, evenly spread from 0 to 1, to average over (11 for Pascal VOC
            2007 and DOTA); None takes the area under the curve (VOC 2012).
    """
    hits, misses = np.cumsum(true), np.cumsum(false)
    recall = hits / max(total, 1)
    precision = hits / np.maximum(hits + misses, 1)
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if points is None:
        steps = np.diff(recall, prepend=0.0)
        return float((steps * envelope).sum())
    asked = np.linspace(0, 1, points)
    places = np.searchsorted(recall, asked - 1e-9)
    return float(np.append(envelope, 0.0)[places].mean())


def evaluate_rotated(
    images: Sequence[RotatedBoxes],
    num_classes: int,
    thresholds: Sequence[float],
    points: int | None = 11,
    iou: IoU = rotated_iou,
) -> NDArray[np.float64]:
    """Compute the average precisions of all classes.

    Args:
        images: found and true boxes of each image.
        num_classes: number of classes.
        thresholds: smallest IoU of a match, at several thresholds.
        points: number of recalls; see :func:`average_precision`.
        iou: function that computes the IoU of two sets of boxes.

    Returns:
        Average precisions (classes, thresholds); NaN for a class without true boxes.
    """
    results = np.full((num_classes, len(thresholds)), np.nan)
    for label in range(num_classes):
        parts, total = [], 0
        for image in images:
            found, truth = image.found_labels == label, image.truth_labels == label
            ignored = image.ignored[truth]
            parts.append(
                (iou(image.found[found], image.truth[truth]), image.scores[found], ignored)
            )
            total += int((~ignored).sum())
        if not total:
            continue
        order = np.argsort(-np.concatenate([scores for _, scores, _ in parts]), kind='stable')
        for column, threshold in enumerate(thresholds):
            matched = [match(*part, threshold) for part in parts]
            true, false = (np.concatenate(each)[order] for each in zip(*matched, strict=True))
            results[label, column] = average_precision(true, false, total, points)
    return results

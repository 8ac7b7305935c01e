"""Pictures of truth, prediction and error for each kind of task, as functions of arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .panel import ABSENT, Bars, Cell, Color, Outline

IGNORE = 255
UNKNOWN: Color = (0.75, 0.75, 0.75)
WRONG: Color = (0.85, 0.1, 0.1)
RIGHT: Color = (0.2, 0.6, 0.25)
MISSED: Color = (1.0, 0.75, 0.0)
HIT: Color = (1.0, 1.0, 1.0)
CONFUSED: Color = (0.45, 0.35, 0.9)
NOTHING: Color = (0.0, 0.0, 0.0)
OVERLAP = 0.5  # smallest IoU of boxes of the same object


def color_labels(labels: NDArray, palette: Sequence[Sequence[float]]) -> NDArray:
    """Convert labels (H, W) to colors (H, W, 3) in 0...1; labels beyond the palette are unknown."""
    table = np.array([*(np.asarray(color) / 255 for color in palette), UNKNOWN])
    outside = (labels < 0) | (labels >= len(palette))
    return table[np.where(outside, len(palette), labels)]


def label_cells(
    truth: NDArray | None, predicted: NDArray, palette: Sequence[Sequence[float]]
) -> list[Cell]:
    """Draw truth, prediction and wrong pixels of a label map (H, W)."""
    cells = [Cell('prediction', color_labels(predicted, palette))]
    if truth is None:
        return cells
    error = np.where((truth == predicted)[..., None], RIGHT, WRONG)
    error[(truth == IGNORE) | (truth < 0)] = UNKNOWN
    return [Cell('truth', color_labels(truth, palette)), *cells, Cell('error', error)]


LABEL_LEGEND = [('error: right', RIGHT), ('error: wrong', WRONG), ('not labeled', UNKNOWN)]


def change_cells(truth: NDArray | None, predicted: NDArray) -> list[Cell]:
    """Draw truth, prediction and error of a map of changes (H, W): 0, 1, others unknown."""
    palette = [[0, 0, 0], [255, 255, 255]]
    cells = [Cell('prediction', color_labels(predicted, palette))]
    if truth is None:
        return cells
    error = change_errors(truth, predicted)
    return [Cell('truth', color_labels(truth, palette)), *cells, Cell('error', error)]


def change_errors(truth: NDArray, predicted: NDArray) -> NDArray:
    """Color found, false and missed changes (H, W) as (H, W, 3)."""
    error = np.zeros((*truth.shape, 3))
    error[(truth == 1) & (predicted == 1)] = HIT
    error[(truth == 0) & (predicted == 1)] = WRONG
    error[(truth == 1) & (predicted == 0)] = MISSED
    error[(truth != 0) & (truth != 1)] = UNKNOWN
    return error


CHANGE_LEGEND = [
    ('error: change found', HIT),
    ('error: false alarm', WRONG),
    ('error: missed', MISSED),
    ('error: no change', NOTHING),
    ('not labeled', UNKNOWN),
]


def semantic_change_cells(
    truths: Sequence[NDArray] | None,
    predicted: Sequence[NDArray],
    palette: Sequence[Sequence[float]],
) -> list[Cell]:
    """Draw the land covers of both dates where something changed, and the errors.

    Args:
        truths: labels (H, W) of the first and the second date: 0 unchanged, 255 unknown; None
            without truth.
        predicted: predicted labels (H, W) of both dates.
        palette: colors of unchanged and of the land covers.
    """
    cells = []
    for date in range(2):
        if truths is not None:
            cells.append(Cell(f'truth {date + 1}', color_labels(truths[date], palette)))
        cells.append(Cell(f'prediction {date + 1}', color_labels(predicted[date], palette)))
    if truths is None:
        return cells
    before, after = truths
    changed = ((before > 0) | (after > 0)).astype(int)
    unknown = (before == IGNORE) | (after == IGNORE)
    changed[unknown] = IGNORE
    found = (predicted[0] > 0) | (predicted[1] > 0)
    error = change_errors(changed, found.astype(int))
    confused = (predicted[0] != before) | (predicted[1] != after)
    error[(changed == 1) & found & confused] = CONFUSED
    return [*cells, Cell('error', error)]


SEMANTIC_CHANGE_LEGEND = [
    ('error: found, right', HIT),
    ('error: wrong class', CONFUSED),
    *CHANGE_LEGEND[1:],
]


def height_cells(truth: NDArray | None, predicted: NDArray) -> list[Cell]:
    """Draw heights (H, W) in meters, NaN where unknown, and predicted minus true heights."""
    known = predicted if truth is None or not np.isfinite(truth).any() else truth
    if not np.isfinite(known).any():
        known = np.zeros(1)
    limits = (float(np.nanmin(known)), float(max(np.nanmax(known), np.nanmin(known) + 1)))

    def cell(title: str, heights: NDArray) -> Cell:
        return Cell(title, heights, color_map='viridis', limits=limits, unit='m')

    if truth is None:
        return [cell('prediction', predicted)]
    error = predicted - truth
    span = max(float(np.nanpercentile(np.abs(error), 98)), 0.5) if np.isfinite(error).any() else 1
    return [
        cell('truth', truth),
        cell('prediction', predicted),
        Cell('predicted - true', error, color_map='RdBu_r', limits=(-span, span), unit='m'),
    ]


HEIGHT_LEGEND = [('height not known', ABSENT)]


def to_corners(boxes: NDArray) -> NDArray:
    """Convert boxes to corners (N, 4, 2).

    Args:
        boxes: boxes (N, 4) of left, top, right, bottom; (N, 5) of center, width, height and angle
            in radians, clockwise in the picture; or (N, 8) of corners.
    """
    boxes = np.asarray(boxes, float)
    if boxes.shape[1] == 8:
        return boxes.reshape(-1, 4, 2)
    if boxes.shape[1] == 4:
        left, top, right, bottom = boxes.T
        return np.stack([left, top, right, top, right, bottom, left, bottom], 1).reshape(-1, 4, 2)
    center, half, angle = boxes[:, None, :2], boxes[:, 2:4] / 2, boxes[:, 4]
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    local = signs * half[:, None]
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.stack(
        [
            local[..., 0] * cosine - local[..., 1] * sine,
            local[..., 0] * sine + local[..., 1] * cosine,
        ],
        axis=-1,
    )
    return center + turned


def box_overlaps(first: NDArray, second: NDArray) -> NDArray:
    """Compute the IoU (N, M) of convex boxes with corners (N, 4, 2) and (M, 4, 2)."""
    import cv2

    overlaps = np.zeros((len(first), len(second)))
    areas = [
        [cv2.contourArea(box.astype(np.float32)) for box in boxes] for boxes in (first, second)
    ]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            common, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
            overlaps[i, j] = common / max(areas[0][i] + areas[1][j] - common, 1e-9)
    return overlaps


def match_boxes(
    truth: NDArray, truth_labels: NDArray, predicted: NDArray, predicted_labels: NDArray
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Match boxes: mark the true boxes that were found and the predicted ones that are right.

    Args:
        truth: corners (N, 4, 2) of the true boxes.
        truth_labels: classes (N,) of the true boxes.
        predicted: corners (M, 4, 2), the highest score first; each takes the best remaining true
            box.
        predicted_labels: classes (M,) of the predicted boxes.
    """
    found, right = np.zeros(len(truth), bool), np.zeros(len(predicted), bool)
    if not len(truth) or not len(predicted):
        return found, right
    overlaps = box_overlaps(predicted, truth)
    overlaps[predicted_labels[:, None] != truth_labels[None]] = 0
    for index, row in enumerate(overlaps):
        row = np.where(found, 0, row)
        best = int(row.argmax())
        if row[best] >= OVERLAP:
            found[best] = right[index] = True
    return found, right


def box_cells(
    image: NDArray,
    size: tuple[int, int],
    truth: tuple[NDArray, NDArray] | None,
    predicted: tuple[NDArray, NDArray, NDArray],
    classes: Sequence[str],
    palette: Sequence[Sequence[float]],
) -> list[Cell]:
    """Draw true boxes, predicted boxes and their agreement over the image.

    Args:
        image: image (H, W, 3).
        size: height and width in whose pixels the boxes count.
        truth: corners (N, 4, 2) and classes (N,); None without truth.
        predicted: corners (M, 4, 2), classes (M,) and scores (M,), the highest score first.
        classes: names of the classes.
        palette: colors of the classes.
    """

    def outlined(corners: NDArray, labels: NDArray, scores: NDArray | None) -> list[Outline]:
        return [
            Outline(
                box,
                _color(palette[int(label)]),
                classes[int(label)] + ('' if scores is None else f' {scores[i]:.2f}'),
            )
            for i, (box, label) in enumerate(zip(corners, labels, strict=True))
        ]

    corners, labels, scores = predicted
    cells = [Cell('prediction', image, outlines=outlined(corners, labels, scores), size=size)]
    if truth is None:
        return cells
    found, right = match_boxes(*truth, corners, labels)
    errors = [Outline(box, MISSED) for box in truth[0][~found]]
    errors += [
        Outline(box, RIGHT if good else WRONG) for box, good in zip(corners, right, strict=True)
    ]
    return [
        Cell('truth', image, outlines=outlined(*truth, None), size=size),
        *cells,
        Cell('error', image, outlines=errors, size=size),
    ]


BOX_LEGEND = [('error: found', RIGHT), ('error: false alarm', WRONG), ('error: missed', MISSED)]


def class_cells(
    scores: NDArray, truth: int | None, classes: Sequence[str], shown: int = 5
) -> list[Cell]:
    """Draw the likeliest classes of an image, and the true one, as bars.

    The true class is green, a wrong first class red.
    """
    order = np.argsort(-scores)[:shown]
    if truth is not None and truth not in order:
        order[-1] = truth
    colors = [
        RIGHT if index == truth else WRONG if place == 0 and truth is not None else UNKNOWN
        for place, index in enumerate(order)
    ]
    bars = Bars([classes[i] for i in order], [float(scores[i]) for i in order], colors)
    return [Cell('likeliest classes', bars=bars)]


CLASS_LEGEND = [('true class', RIGHT), ('wrong answer', WRONG)]


def _color(color: Sequence[float]) -> Color:
    red, green, blue = (value / 255 for value in color)
    return red, green, blue

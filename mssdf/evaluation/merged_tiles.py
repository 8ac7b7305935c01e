"""Merging of boxes from overlapping tiles into the images of the tiles."""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .rotated_boxes import RotatedBoxes

# Tiles are named as by mmrotate's splitter: IMAGE__SIZE__LEFT___TOP.
NAME = re.compile(r'(?P<image>.+?)__\d+__(?P<left>\d+)___(?P<top>\d+)')
SAME = 1.0  # largest difference in pixels, due to rounding, between a true box's sides in two tiles


def parse_tile(name: str) -> tuple[str, int, int]:
    """Parse the name of a tile into image, left and top.

    Raises:
        ValueError: if the name has another form.
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise ValueError(
            f'{name}: expected a name IMAGE__SIZE__LEFT___TOP, as the splitter of '
            'mmrotate gives, found another; for images that are not tiles use '
            'merge_tiles=False'
        )
    return found['image'], int(found['left']), int(found['top'])


def merge_tiles(
    tiles: Iterable[tuple[str, RotatedBoxes]], nms_iou: float = 0.1
) -> dict[str, RotatedBoxes]:
    """Merge tiles into images.

    Overlapping detections of each class are thinned out (NMS). True boxes, which the tiles contain
    completely, are kept once; a box is ignored if it is ignored in every tile.

    Args:
        tiles: names and boxes of the tiles.
        nms_iou: smallest IoU at which the weaker of two detections is dropped.

    Returns:
        Boxes of each image by its name.
    """
    groups: dict[str, list[RotatedBoxes]] = {}
    for name, boxes in tiles:
        image, left, top = parse_tile(name)
        shift = np.array([left, top, 0, 0, 0], np.float32)
        moved = RotatedBoxes(
            boxes.found + shift,
            boxes.scores,
            boxes.found_labels,
            boxes.truth + shift,
            boxes.truth_labels,
            boxes.ignored,
        )
        groups.setdefault(image, []).append(moved)
    return {image: merge(parts, nms_iou) for image, parts in groups.items()}


def merge(parts: list[RotatedBoxes], nms_iou: float) -> RotatedBoxes:
    """Merge tiles that are in the pixels of one image already."""
    found, scores, found_labels, truth, truth_labels, ignored = (
        np.concatenate([getattr(part, field) for part in parts])
        for field in RotatedBoxes.__dataclass_fields__
    )
    kept = thin(found, scores, found_labels, nms_iou)
    once = distinct(truth, truth_labels, ignored)
    return RotatedBoxes(
        found[kept],
        scores[kept],
        found_labels[kept],
        truth[once],
        truth_labels[once],
        ignored[once],
    )


def thin(boxes: NDArray, scores: NDArray, labels: NDArray, least: float) -> NDArray[np.int64]:
    """Select the boxes that no better one of their class overlaps by more than ``least``.

    Args:
        boxes: boxes (N, 5) of center, width, height and angle, or (N, 8) of corners.
        scores: scores (N,).
        labels: classes (N,).
        least: largest IoU that is allowed.

    Returns:
        Indices of the boxes that are kept.
    """
    import torch
    from mmcv.ops import nms_quadri, nms_rotated

    nms = nms_quadri if boxes.shape[1] == 8 else nms_rotated
    kept = [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        asked = (torch.from_numpy(each[of_class].astype(np.float32)) for each in (boxes, scores))
        kept.append(of_class[nms(*asked, least)[1].numpy()])
    return np.concatenate(kept)


def distinct(boxes: NDArray, labels: NDArray, ignored: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Select boxes without their repetitions; of these, one that is not ignored is kept.

    Boxes are compared by the upright boxes around them, as mmcv's IoU of two nearly equal rotated
    boxes can be far from 1.
    """
    around = upright(boxes)
    kept = [np.zeros(0, np.int64)]
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        of_class = of_class[np.argsort(ignored[of_class], kind='stable')]
        sides = around[of_class]
        first = np.ones(len(of_class), bool)
        for row in range(1, len(of_class)):
            earlier = sides[:row][first[:row]]
            first[row] = not (np.abs(earlier - sides[row]) <= SAME).all(axis=1).any()
        kept.append(of_class[first])
    return np.concatenate(kept)


def upright(boxes: NDArray) -> NDArray:
    """Compute left, top, right and bottom (N, 4) of rotated boxes (N, 5)."""
    x, y, width, height, angle = boxes.T
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    across, down = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return np.stack([x - across, y - down, x + across, y + down], axis=1)

"""Boxes of overlapping tiles put together on the images that the tiles were cut from."""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .rotated_boxes import RotatedBoxes

# as mmrotate's splitter names them: IMAGE__SIZE__LEFT___TOP
NAME = re.compile(r'(?P<image>.+?)__\d+__(?P<left>\d+)___(?P<top>\d+)')
SAME = 1.0  # pixels that the sides of a true box differ by between tiles, by rounding


def parse_tile(name: str) -> tuple[str, int, int]:
    """Image, left and top of a tile by its name.

    Raises:
        ValueError: for a name of another form.
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise ValueError(
            f'{name}: expected a tile named IMAGE__SIZE__LEFT___TOP, as the splitter of mmrotate '
            'does; for images that are not tiles use merge_tiles=False'
        )
    return found['image'], int(found['left']), int(found['top'])


def merge_tiles(
    tiles: Iterable[tuple[str, RotatedBoxes]], nms_iou: float = 0.1
) -> dict[str, RotatedBoxes]:
    """Merge tiles into images.

    Detections of each class that overlap are thinned (NMS). True boxes, which the tiles hold whole,
    are kept once; one is ignored if it is in every tile.

    Args:
        tiles: name and boxes of each.
        nms_iou: least IoU at which the weaker of two detections is dropped.

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
    """Merge tiles that lie in the pixels of one image already."""
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
    """Indices of the boxes that no better one of their class overlaps by more than ``least``.

    Args:
        boxes: (N, 5) of center, width, height and angle, or (N, 8) of corners.
        scores: (N,).
        labels: (N,).
        least: IoU.
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
    """Indices of the boxes without their repetitions, of which one that counts is kept.

    Boxes are compared by the upright boxes around them: mmcv's IoU of rotated boxes that are all
    but equal can be far from 1.
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
    """Left, top, right and bottom (N, 4) of rotated boxes (N, 5)."""
    x, y, width, height, angle = boxes.T
    cos, sin = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    across, down = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return np.stack([x - across, y - down, x + across, y + down], axis=1)

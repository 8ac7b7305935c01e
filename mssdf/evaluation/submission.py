"""Rotated boxes of whole scenes in the format of DOTA's server, one file per class."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.utils.atomic_file import write_atomically

from .merged_tiles import NAME, parse_tile, thin

Found = tuple[NDArray, NDArray, NDArray]  # boxes (N, 5) or (N, 8), scores (N,), labels (N,)


def merge_scenes(images: Iterable[Mapping[str, Any]], nms_iou: float = 0.1) -> dict[str, Found]:
    """Merge the boxes of tiles on their scenes; other images stay as they are.

    Args:
        images: predictions, each with ``file``, ``boxes`` (N, 5) or (N, 8), ``labels`` and
            ``scores``. The file of a tile is named ``SCENE__SIZE__LEFT___TOP``, as by mmrotate's
            splitter.
        nms_iou: smallest IoU at which the weaker of two boxes of a class is dropped from a scene.

    Returns:
        Boxes in the scene's pixels, scores and labels by the scene's name.
    """
    scenes: dict[str, list[Found]] = {}
    merged = set()
    for image in images:
        name, left, top = Path(image['file']).stem, 0, 0
        if NAME.fullmatch(name):
            name, left, top = parse_tile(name)
            merged.add(name)
        scenes.setdefault(name, []).append(_shifted(image, left, top))
    found = {name: _joined(parts) for name, parts in scenes.items()}
    for name in merged:
        boxes, scores, labels = found[name]
        kept = thin(boxes, scores, labels, nms_iou)
        found[name] = boxes[kept], scores[kept], labels[kept]
    return found


def _shifted(image: Mapping[str, Any], left: int, top: int) -> Found:
    boxes = np.array(image['boxes'], np.float32)
    boxes = boxes.reshape(len(boxes), -1) if len(boxes) else np.zeros((0, 5), np.float32)
    if boxes.shape[1] == 8:
        boxes += np.array([left, top] * 4, np.float32)
    else:
        boxes[:, :2] += (left, top)
    return boxes, np.array(image['scores'], np.float32), np.array(image['labels'], np.int64)


def _joined(parts: Sequence[Found]) -> Found:
    """Concatenate parts, without those that found nothing."""
    full = [part for part in parts if len(part[0])] or parts[:1]
    boxes, scores, labels = (np.concatenate(each) for each in zip(*full, strict=True))
    return boxes, scores, labels


def write_dota(
    folder: Path, images: Sequence[Mapping[str, Any]], classes: Sequence[str], nms_iou: float = 0.1
) -> None:
    """Write one ``Task1_CLASS.txt`` per class, with scene, score and four corners per line.

    Args:
        folder: folder of the files.
        images: predictions; see :func:`merge_scenes`.
        classes: names of the classes in the order of the labels.
        nms_iou: smallest IoU at which the weaker box is dropped; see :func:`merge_scenes`.
    """
    from mssdf.visualization.task_cells import to_corners

    lines: dict[str, list[str]] = {name: [] for name in classes}
    for scene, (boxes, scores, labels) in sorted(merge_scenes(images, nms_iou).items()):
        for corners, score, label in zip(to_corners(boxes), scores, labels, strict=True):
            numbers = ' '.join(f'{value:.2f}' for value in corners.ravel())
            lines[classes[label]].append(f'{scene} {score:.5f} {numbers}')
    for name, text in lines.items():
        write_atomically(folder / f'Task1_{name}.txt', ''.join(f'{x}\n' for x in text).encode())

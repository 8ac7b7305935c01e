"""From the data samples of mmpretrain, mmseg, mmdet and mmrotate to rows of pictures."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.visualization.utils import tensor2ndarray
from numpy.typing import NDArray

from .panel import Cell, Colour, Row
from .pretrain_panel import stretch
from .task_cells import (
    BOX_LEGEND,
    CHANGE_LEGEND,
    CLASS_LEGEND,
    LABEL_LEGEND,
    box_cells,
    change_cells,
    class_cells,
    height_cells,
    label_cells,
    to_corners,
)

LABELS_OF_CHANGE = 2


def kind_of(sample: Any) -> str:
    """The kind of task that a data sample with predictions is of.

    Raises:
        ValueError: if it holds none that is known.
    """
    for name, kind in (
        ('pred_first', 'semantic change'),
        ('pred_depth_map', 'height'),
        ('pred_instances', 'boxes'),
        ('pred_score', 'class'),
    ):
        if name in sample:
            return kind
    if 'pred_sem_seg' in sample:
        return 'change' if 'img_path2' in sample.metainfo else 'labels'
    raise ValueError(f'data sample: expected predictions of a known task, found {sample.keys()}')


def input_cells(inputs: Any, bgr: bool) -> list[Cell]:
    """Pictures of a model's input (C, H, W).

    Three bands or more are a photograph, of which a fourth by itself is a surface model; six are
    two dates; normalised values are stretched.

    Args:
        inputs: a tensor, uint8 or normalised.
        bgr: whether uint8 bands are blue, green and red.
    """
    bands = tensor2ndarray(inputs).astype(np.float32)
    dates = [bands[:3], bands[3:6]] if len(bands) == 6 else [bands]
    cells = []
    for number, date in enumerate(dates):
        if len(date) == 3 and bgr:
            date = date[::-1]
        title = 'input' if len(dates) == 1 else f'date {number + 1}'
        seen = (date[:3] != 0).any(axis=0)
        cells.append(Cell(title, stretch(date, seen if seen.any() else ~seen)))
    if len(bands) == 4:
        cells.append(Cell('fourth band', bands[3], colour_map='viridis'))
    return cells


def sample_row(inputs: Any, sample: Any, meta: Mapping[str, Any], bgr: bool) -> Row:
    """The row of one sample.

    Args:
        inputs: see :func:`input_cells`.
        sample: with predictions and, if known, the truth.
        meta: of the dataset: ``classes`` and ``palette``.
        bgr: see :func:`input_cells`.
    """
    cells = input_cells(inputs, bgr)
    kind, classes = kind_of(sample), list(meta.get('classes') or ())
    palette = colours_of(meta)
    if kind == 'labels':
        cells += label_cells(_map(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg'), palette)
    elif kind == 'change':
        cells += change_cells(_map(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg'))
    elif kind == 'semantic change':
        for date, name in enumerate(('first', 'second'), 1):
            cells += [
                Cell(f'{cell.title} {date}', cell.image)
                for cell in label_cells(
                    _map(sample, f'gt_{name}'), _map(sample, f'pred_{name}'), palette
                )
                if cell.title != 'error'
            ]
        cells += change_cells(_map(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg'))[-1:]
    elif kind == 'height':
        cells += height_cells(_map(sample, 'gt_depth_map'), _map(sample, 'pred_depth_map'))
    elif kind == 'class':
        label = sample.get('gt_label')
        cells += class_cells(
            tensor2ndarray(sample.pred_score), None if label is None else int(label), classes
        )
    else:
        image = cells[0].image
        assert image is not None
        cells = box_cells(
            image, sample.ori_shape[:2], *_boxes(sample), classes=classes, palette=palette
        )
    path = sample.metainfo.get('img_path') or ''
    return Row(os.path.basename(str(path)), cells)


def legend_of(kind: str, meta: Mapping[str, Any]) -> list[tuple[str, Colour]]:
    """Names and colours of the classes, where maps show them, and of the errors."""
    errors = {
        'labels': LABEL_LEGEND,
        'change': CHANGE_LEGEND,
        'semantic change': CHANGE_LEGEND,
        'boxes': BOX_LEGEND,
        'class': CLASS_LEGEND,
    }.get(kind, [])
    classes: list[tuple[str, Colour]] = []
    if kind in ('labels', 'semantic change', 'boxes'):
        classes = [
            (name, (red / 255, green / 255, blue / 255))
            for name, (red, green, blue) in zip(
                meta.get('classes') or (), colours_of(meta), strict=False
            )
        ]
    return [*classes, *errors]


def colours_of(meta: Mapping[str, Any]) -> list[Sequence[float]]:
    """The dataset's palette; evenly spread hues if it has none."""
    if meta.get('palette'):
        return [tuple(colour) for colour in meta['palette']]
    from matplotlib import colormaps

    count = max(len(meta.get('classes') or ()), 1)
    return [tuple(255 * value for value in colormaps['hsv'](i / count)[:3]) for i in range(count)]


def _map(sample: Any, name: str) -> NDArray | None:
    """(H, W) of a map in a data sample."""
    if name not in sample:
        return None
    return tensor2ndarray(getattr(sample, name).data).squeeze(0)


def _boxes(
    sample: Any, least: float = 0.3
) -> tuple[tuple[NDArray, NDArray] | None, tuple[NDArray, NDArray, NDArray]]:
    """True corners and labels; predicted ones and scores of at least ``least``."""

    def corners(boxes: Any) -> NDArray:
        return to_corners(tensor2ndarray(getattr(boxes, 'tensor', boxes)))

    found = sample.pred_instances
    scores = tensor2ndarray(found.scores)
    order = np.argsort(-scores)
    order = order[scores[order] >= least]
    predicted = (
        corners(found.bboxes)[order],
        tensor2ndarray(found.labels)[order],
        scores[order],
    )
    if 'gt_instances' not in sample:
        return None, predicted
    truth = sample.gt_instances
    return (corners(truth.bboxes), tensor2ndarray(truth.labels)), predicted

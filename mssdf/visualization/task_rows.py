"""Rows of pictures from the data samples of mmpretrain, mmseg, mmdet and mmrotate."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.visualization.utils import tensor2ndarray
from numpy.typing import NDArray

from mssdf.distributed import unwrap

from .panel import Cell, Color, Row
from .pretrain_panel import stretch
from .task_cells import (
    BOX_LEGEND,
    CHANGE_LEGEND,
    CLASS_LEGEND,
    HEIGHT_LEGEND,
    LABEL_LEGEND,
    SEMANTIC_CHANGE_LEGEND,
    UNKNOWN,
    box_cells,
    change_cells,
    class_cells,
    height_cells,
    label_cells,
    semantic_change_cells,
    to_corners,
)

NO_DATES = 1


@dataclass(frozen=True)
class Inputs:
    """A description of the bands of a model's input.

    Attributes:
        bgr: whether bands of type uint8 are blue, green and red.
        num_dates: number of dates whose bands are stacked.
        modalities: number of bands of each stacked modality; empty for a single modality.
    """

    bgr: bool = False
    num_dates: int = NO_DATES
    modalities: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any) -> 'Inputs':
        """Derive the description from a model, wrapped or not."""
        model = unwrap(model)
        preprocessor = getattr(model, 'data_preprocessor', None)
        return cls(
            bgr=bool(
                getattr(preprocessor, '_channel_conversion', False)
                or getattr(preprocessor, 'to_rgb', False)
            ),
            num_dates=getattr(model, 'num_dates', NO_DATES),
            modalities=getattr(getattr(model, 'backbone', None), 'modalities', {}),
        )


def kind_of(sample: Any, num_dates: int = NO_DATES) -> str:
    """Return the kind of task of a data sample with predictions.

    Args:
        sample: data sample of mmpretrain, mmseg, mmdet or mmrotate.
        num_dates: number of dates in the model's inputs; labels of two dates are those of a change.

    Raises:
        ValueError: if the sample has no known prediction.
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
        return 'labels' if num_dates == NO_DATES else 'change'
    raise ValueError(f'data sample: expected predictions of a known task, found {sample.keys()}')


def input_cells(inputs: Any, reading: Inputs) -> list[Cell]:
    """Draw a model's input (C, H, W): one picture per date or per modality.

    A single band has a color scale; of several, the first three are a photograph. Normalized values
    are stretched. NaN is missing. Without modalities, a pixel of several bands is missing if all of
    them are zero, too, and a single band if it is zero everywhere.

    Args:
        inputs: tensor (C, H, W), uint8 or normalized.
        reading: description of its bands.
    """
    bands = tensor2ndarray(inputs).astype(np.float32)
    if reading.num_dates > NO_DATES:
        dates = np.split(bands, reading.num_dates)
        return [_photograph(f'date {i + 1}', date) for i, date in enumerate(dates)]
    if not reading.modalities:
        return [_photograph('input', bands[::-1] if reading.bgr and len(bands) == 3 else bands)]
    ends = np.cumsum(list(reading.modalities.values()))[:-1]
    parts = zip(reading.modalities, np.split(bands, ends), strict=True)
    return [_photograph(f'input: {name}', part, zeros_count=True) for name, part in parts]


def _photograph(title: str, bands: NDArray, zeros_count: bool = False) -> Cell:
    if len(bands) == 1:
        # one zero may be a value like any other
        seen = np.isfinite(bands[0]) & (zeros_count or bool(bands.any()))
        limits = np.percentile(bands[0][seen], [1, 99]) if seen.any() else (0.0, 1.0)
        values = np.where(seen, bands[0], np.nan)
        return Cell(title, values, 'viridis', (float(limits[0]), float(limits[1])))
    seen = np.isfinite(bands).all(axis=0) & (zeros_count | (bands != 0).any(axis=0))
    picture = stretch(np.where(seen, bands, 0), seen)
    picture[~seen] = UNKNOWN if not seen.any() else 0
    return Cell(title, picture)


def sample_row(inputs: Any, sample: Any, meta: Mapping[str, Any], reading: Inputs) -> Row:
    """Draw the row of one sample.

    Args:
        inputs: input (C, H, W) of the model; see :func:`input_cells`.
        sample: data sample with predictions and, if known, the truth.
        meta: meta information of the dataset, with ``classes`` and ``palette``.
        reading: description of the input's bands.
    """
    cells = input_cells(inputs, reading)
    kind, classes = kind_of(sample, reading.num_dates), list(meta.get('classes') or ())
    palette = colors_of(meta)
    present: frozenset[str] = frozenset()

    if kind == 'labels':
        cells += label_cells(_truth(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg'), palette)
    elif kind == 'change':
        cells += change_cells(_truth(sample, 'gt_sem_seg'), _map(sample, 'pred_sem_seg'))
    elif kind == 'semantic change':
        truths = None
        if 'gt_first' in sample:
            truths = [_map(sample, name) for name in ('gt_first', 'gt_second')]
        dates = [_map(sample, name) for name in ('pred_first', 'pred_second')]
        cells += semantic_change_cells(truths, dates, palette)
    elif kind == 'height':
        cells += height_cells(_truth(sample, 'gt_depth_map'), _map(sample, 'pred_depth_map'))
    elif kind == 'class':
        label = sample.get('gt_label')
        cells += class_cells(
            tensor2ndarray(sample.pred_score), None if label is None else int(label), classes
        )
    else:
        image = cells[0].image
        assert image is not None
        truth, predicted = _boxes(sample)
        size = sample.ori_shape[:2]
        cells = box_cells(image, size, truth, predicted, classes=classes, palette=palette)
        labels = [*predicted[1], *(() if truth is None else truth[1])]
        present = frozenset(classes[int(label)] for label in labels)

    path = sample.metainfo.get('img_path') or ''
    return Row(os.path.basename(str(path)), cells, present)


def legend_of(
    kind: str, meta: Mapping[str, Any], rows: Sequence[Row] = ()
) -> list[tuple[str, Color]]:
    """List names and colors of the classes, where maps show them, and of the errors.

    Args:
        kind: kind of the task.
        meta: meta information of the dataset.
        rows: rows above the legend; of boxes, only the classes in these rows are listed.
    """
    errors = {
        'labels': LABEL_LEGEND,
        'change': CHANGE_LEGEND,
        'semantic change': SEMANTIC_CHANGE_LEGEND,
        'height': HEIGHT_LEGEND,
        'boxes': BOX_LEGEND,
        'class': CLASS_LEGEND,
    }.get(kind, [])

    classes: list[tuple[str, Color]] = []
    if kind in ('labels', 'semantic change', 'boxes'):
        classes = [
            (name, (red / 255, green / 255, blue / 255))
            for name, (red, green, blue) in zip(
                meta.get('classes') or (), colors_of(meta), strict=False
            )
        ]

    if kind == 'boxes':
        present = frozenset().union(*(row.classes for row in rows))
        classes = [entry for entry in classes if entry[0] in present]

    return [*classes, *errors]


def colors_of(meta: Mapping[str, Any]) -> list[Sequence[float]]:
    """Return the dataset's palette; evenly spread hues if it has none."""
    if meta.get('palette'):
        return [tuple(color) for color in meta['palette']]
    from matplotlib import colormaps

    count = max(len(meta.get('classes') or ()), 1)
    return [tuple(255 * value for value in colormaps['hsv'](i / count)[:3]) for i in range(count)]


def _map(sample: Any, name: str) -> NDArray:
    """Return a map (H, W) of a data sample."""
    values = tensor2ndarray(getattr(sample, name).data)
    return values[0] if values.ndim == 3 else values


def _truth(sample: Any, name: str) -> NDArray | None:
    return _map(sample, name) if name in sample else None


def _boxes(
    sample: Any, least: float = 0.3
) -> tuple[tuple[NDArray, NDArray] | None, tuple[NDArray, NDArray, NDArray]]:
    """Return true corners and labels, and predicted ones with scores of at least ``least``."""

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
    if 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
        return None, predicted
    truth = sample.gt_instances
    return (corners(truth.bboxes), tensor2ndarray(truth.labels)), predicted

"""Predictions of a test as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import collect_results, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization.utils import tensor2ndarray

from mssdf.evaluation.saved_predictions import (
    mirrored_names,
    write_boxes,
    write_classes,
    write_coco,
    write_map,
    write_table,
)
from mssdf.evaluation.submission import write_dota
from mssdf.registry import HOOKS
from mssdf.utils.containment import inside
from mssdf.visualization.task_rows import kind_of

# Maps of each kind: the data sample's field and the ending of the file's name.
MAPS = {
    'labels': (('pred_sem_seg', ''),),
    'semantic change': (('pred_sem_seg', ''), ('pred_first', '_first'), ('pred_second', '_second')),
    'height': (('pred_depth_map', ''),),
}


@HOOKS.register_module()
class PredictionSaverHook(Hook):
    """A hook that saves the predictions of a test.

    - Labels and heights: one map per image, under the image's name and its folder below the root
      that all images share; a GeoTIFF where the image has a CRS. ``classes.json`` names the labels.
      Semantic change: the map of changes and, with ``_first`` and ``_second``, the land covers.
    - Classes: ``predictions.csv``.
    - Horizontal boxes: ``predictions.json`` with left, top, right and bottom, and
      ``coco_results.json`` in COCO's format.
    - Rotated boxes: ``predictions.json`` with center, width, height and angle in radians, and
      ``Task1_CLASS.txt`` as DOTA's server takes them. Boxes of tiles that are named as by
      mmrotate's splitter are merged on their scenes (NMS per class at an IoU of 0.1).

    Args:
        out_dir: folder of the files.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self._rows: list[Any] = []
        self._kind = ''
        self._rotated = False
        self._names: dict[str, Path] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        """Start from 0, with names that follow from the whole dataset and so agree on all ranks."""
        dataset = runner.test_dataloader.dataset
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        self._rows, self._kind = [], ''
        self._names = mirrored_names(str(info.get('img_path')) for info in infos)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Write maps; keep other predictions for the end."""
        for sample in outputs or ():
            self._kind = kind_of(sample)
            image = str(sample.metainfo.get('img_path'))
            if self._kind in MAPS:
                for field, ending in MAPS[self._kind]:
                    self._write_map(sample, field, ending, image)
            elif self._kind == 'class':
                label = sample.get('gt_label')
                scores = tensor2ndarray(sample.pred_score)
                self._rows.append((image, None if label is None else int(label), scores))
            else:
                self._rows.append(_boxes_of(sample, image))
                self._rotated = sample.pred_instances.bboxes.shape[-1] != 4

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write tables and boxes of all ranks."""
        dataset = runner.test_dataloader.dataset
        classes = list(dataset.metainfo.get('classes') or ())
        if self._kind not in MAPS:
            rows = collect_results(self._rows, len(dataset), device='cpu')
            if is_main_process() and rows is not None:
                if self._kind == 'class':
                    write_table(self.out_dir / 'predictions.csv', rows, classes)
                else:
                    self._write_boxes(rows, classes, getattr(dataset, 'cat_ids', None))
        elif self._kind != 'height' and is_main_process():
            write_classes(
                self.out_dir / 'classes.json', classes, dataset.metainfo.get('palette') or None
            )
        runner.logger.info(f'Predictions: {self.out_dir}')

    def _write_boxes(
        self, rows: list[dict[str, Any]], classes: list[str], categories: list[int] | None
    ) -> None:
        write_boxes(self.out_dir / 'predictions.json', rows, classes)
        if self._rotated:
            write_dota(self.out_dir, rows, classes)
        else:
            write_coco(self.out_dir / 'coco_results.json', rows, categories)

    def _write_map(self, sample: Any, field: str, ending: str, image: str) -> None:
        values = tensor2ndarray(getattr(sample, field).data)
        values = values[0] if values.ndim == 3 else values
        values = values.astype(np.float32 if self._kind == 'height' else np.uint8)
        name = self._names.get(image) or Path(image).with_suffix('').name
        path = inside(self.out_dir, name)
        write_map(path.with_name(f'{path.name}{ending}'), values, image)


def _boxes_of(sample: Any, image: str) -> dict[str, Any]:
    found = sample.pred_instances
    boxes = tensor2ndarray(getattr(found.bboxes, 'tensor', found.bboxes))
    return dict(
        file=image,
        id=sample.metainfo.get('img_id'),
        boxes=boxes.round(3).tolist(),
        labels=tensor2ndarray(found.labels).tolist(),
        scores=tensor2ndarray(found.scores).round(5).tolist(),
    )

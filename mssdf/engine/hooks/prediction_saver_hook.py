"""Predictions of a test as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import collect_results, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization.utils import tensor2ndarray

from mssdf.evaluation.saved_predictions import write_boxes, write_map, write_table
from mssdf.registry import HOOKS
from mssdf.visualization.task_rows import kind_of

# maps of each kind: the data sample's field and the ending of the file's name
MAPS = {
    'labels': (('pred_sem_seg', ''),),
    'change': (('pred_sem_seg', ''),),
    'semantic change': (('pred_sem_seg', ''), ('pred_first', '_first'), ('pred_second', '_second')),
    'height': (('pred_depth_map', ''),),
}


@HOOKS.register_module()
class PredictionSaverHook(Hook):
    """Save what a test predicts.

    Maps of labels and heights get the name of their image, and its CRS where it has one; classes
    go to ``predictions.csv``, boxes to ``predictions.json``: left, top, right and bottom, or, when
    rotated, centre, width, height and angle in radians.

    Args:
        out_dir: folder.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self._rows: list[Any] = []
        self._kind = ''
        self._written: dict[Path, str] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        """Start anew."""
        self._rows, self._written = [], {}

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Write maps; keep the rest."""
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

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write tables and boxes, from all ranks."""
        dataset = runner.test_dataloader.dataset
        classes = list(dataset.metainfo.get('classes') or ())
        if self._kind not in MAPS:
            rows = collect_results(self._rows, len(dataset), device='cpu')
            if rows is not None and is_main_process():
                if self._kind == 'class':
                    write_table(self.out_dir / 'predictions.csv', rows, classes)
                else:
                    write_boxes(self.out_dir / 'predictions.json', rows, classes)
        runner.logger.info(f'Predictions: {self.out_dir}')

    def _write_map(self, sample: Any, field: str, ending: str, image: str) -> None:
        values = tensor2ndarray(getattr(sample, field).data).squeeze(0)
        values = values.astype(np.float32 if self._kind == 'height' else np.uint8)
        path = self.out_dir / f'{Path(image).stem}{ending}'
        if self._written.setdefault(path, image) != image:  # of two folders
            path = self.out_dir / Path(image).parent.name / path.name
        write_map(path, values, image)


def _boxes_of(sample: Any, image: str) -> dict[str, Any]:
    found = sample.pred_instances
    boxes = tensor2ndarray(getattr(found.bboxes, 'tensor', found.bboxes))
    return dict(
        file=image,
        boxes=boxes.round(3).tolist(),
        labels=tensor2ndarray(found.labels).tolist(),
        scores=tensor2ndarray(found.scores).round(5).tolist(),
    )

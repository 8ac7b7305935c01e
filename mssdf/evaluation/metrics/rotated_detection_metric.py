"""Scores of rotated boxes on whole images or on merged tiles."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.visualization.utils import tensor2ndarray
from numpy.typing import NDArray

from mssdf.registry import METRICS

from ..merged_tiles import merge_tiles
from ..rotated_boxes import RotatedBoxes, evaluate_rotated

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


@METRICS.register_module()
class RotatedDetectionMetric(BaseMetric):
    """A metric of rotated boxes: AP50, AP75 and mAP, the mean over thresholds.

    The values are those of mmrotate's ``DOTAMetric``, computed in this process. With
    ``merge_patches``, that metric only writes files for DOTA's server.

    Args:
        merge_tiles: whether tiles are merged by their names before scoring, as DOTA is scored.
        nms_iou: smallest IoU at which the weaker of two detections in overlapping tiles is dropped.
        thresholds: smallest IoU of a match, at several thresholds.
        points: number of recalls over which precision is averaged; None takes the area (see
            :func:`~mssdf.evaluation.rotated_boxes.average_precision`).
        collect_device: device on which MMEngine collects the results, ``'cpu'`` or ``'gpu'``.
        prefix: prefix of the scores' names.
    """

    def __init__(
        self,
        merge_tiles: bool = False,
        nms_iou: float = 0.1,
        thresholds: Sequence[float] = COCO_THRESHOLDS,
        points: int | None = 11,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.merge_tiles = merge_tiles
        self.nms_iou = nms_iou
        self.thresholds = list(thresholds)
        self.points = points

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep found and true boxes."""
        for sample in data_samples:
            found, truth = sample['pred_instances'], sample['gt_instances']
            hidden = sample.get('ignored_instances') or dict(bboxes=np.zeros((0, 5)), labels=[])
            truths, hiddens = _boxes(truth), _boxes(hidden)
            self.results.append(
                (
                    str(sample['img_id']),
                    RotatedBoxes(
                        _boxes(found),
                        tensor2ndarray(found['scores']),
                        _labels(found),
                        np.concatenate([truths, hiddens]),
                        np.concatenate([_labels(truth), _labels(hidden)]),
                        np.repeat([False, True], [len(truths), len(hiddens)]),
                    ),
                )
            )

    def compute_metrics(self, results: list[tuple[str, RotatedBoxes]]) -> dict[str, float]:
        """Compute and log the average precisions."""
        classes = list(self.dataset_meta['classes'])
        if self.merge_tiles:
            images = list(merge_tiles(results, self.nms_iou).values())
            print_log(f'{len(results)} tiles put together to {len(images)} images', 'current')
        else:
            images = [boxes for _, boxes in results]
        table = evaluate_rotated(images, len(classes), self.thresholds, self.points)
        self._log(table, classes)
        scored = table[np.isfinite(table).any(axis=1)]
        means = scored.mean(axis=0) if len(scored) else np.zeros(len(self.thresholds))
        scores = {'mAP': float(means.mean())}
        for threshold, value in zip(self.thresholds, means, strict=True):
            if threshold in (0.5, 0.75):
                scores[f'AP{100 * threshold:.0f}'] = float(value)
        return scores

    def _log(self, table: NDArray, classes: Sequence[str]) -> None:
        lines = [
            f'{name:>24} {row[0]:.3f}'
            for name, row in zip(classes, table, strict=True)
            if np.isfinite(row[0])
        ]
        heading = f'AP at IoU {self.thresholds[0]:g}, classes that have true boxes'
        print_log('\n'.join([heading, *lines]), 'current')


def _boxes(instances: Mapping[str, Any]) -> NDArray:
    boxes = instances['bboxes']
    return tensor2ndarray(getattr(boxes, 'tensor', boxes)).astype(np.float32).reshape(-1, 5)


def _labels(instances: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.asarray(tensor2ndarray(instances['labels']), np.int64)

"""Test-time augmentation for rotated boxes, for which mmrotate has no model."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from torch import Tensor

from mssdf.errors import ConfigError
from mssdf.registry import MODELS


def flip_boxes(boxes: Tensor, size: tuple[int, int], direction: str | None) -> Tensor:
    """Turn rotated boxes of a flipped image back.

    Args:
        boxes: (N, 5) center x and y, width and height in pixels, and angle in radians.
        size: height and width of the image in pixels.
        direction: ``'horizontal'``, ``'vertical'``, ``'diagonal'`` (both), or None.

    Returns:
        (N, 5) boxes in the image as it was before the flip.

    Raises:
        ValueError: if the direction is none of these.
    """
    if direction not in (None, 'horizontal', 'vertical', 'diagonal'):
        raise ConfigError('direction', 'a flip', direction)
    x, y, width, height, angle = boxes.unbind(dim=1)
    if direction in ('horizontal', 'diagonal'):
        x, angle = size[1] - x, -angle
    if direction in ('vertical', 'diagonal'):
        y, angle = size[0] - y, -angle
    return torch.stack([x, y, width, height, angle], dim=1)


@MODELS.register_module()
class RotatedTTA(BaseTTAModel):
    """A merging of boxes found in flipped images, turned back and thinned together (NMS).

    The data sample of the first, plain, image holds the result.

    Args:
        nms_iou: least IoU at which the weaker of two boxes of a class is dropped.
        max_per_img: largest number of boxes of an image.
        **kwargs: ``module`` and ``data_preprocessor`` of :class:`mmengine.model.BaseTTAModel`.
    """

    def __init__(self, nms_iou: float = 0.1, max_per_img: int = 2000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nms_iou = nms_iou
        self.max_per_img = max_per_img

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merge the answers for each image."""
        return [self.merge(samples) for samples in data_samples_list]

    def merge(self, samples: Sequence[Any]) -> Any:
        """Merge the answers for one image."""
        from mmcv.ops import nms_rotated

        first = samples[0]
        boxes, scores, labels = [], [], []
        for sample in samples:
            found = sample.pred_instances
            tensor = getattr(found.bboxes, 'tensor', found.bboxes)
            boxes.append(
                flip_boxes(tensor, sample.ori_shape[:2], sample.metainfo.get('flip_direction'))
            )
            scores.append(found.scores)
            labels.append(found.labels)

        every, score, label = torch.cat(boxes), torch.cat(scores), torch.cat(labels)
        kept = torch.arange(0)
        if len(every):
            kept = nms_rotated(every, score, self.nms_iou, label)[1][: self.max_per_img]

        merged = type(first.pred_instances)()
        kind = type(first.pred_instances.bboxes)
        merged.bboxes = every[kept] if kind is Tensor else kind(every[kept])
        merged.scores, merged.labels = score[kept], label[kept]
        first.pred_instances = merged
        return first

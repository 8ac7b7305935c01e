"""Test-time augmentation for heights."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData

from mssdf.registry import MODELS


@MODELS.register_module()
class HeightTTA(BaseTTAModel):
    """An averaging of heights over augmented images, turned back by mmseg's ``DepthEstimator``.

    Args:
        module: model that estimates heights.
        data_preprocessor: data preprocessor of :class:`mmengine.model.BaseTTAModel`.
    """

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merge the answers for each image; the first one's data sample holds the result."""
        merged = []
        for samples in data_samples_list:
            heights = torch.stack([sample.pred_depth_map.data for sample in samples])
            first = samples[0]
            first.set_data(dict(pred_depth_map=PixelData(data=heights.mean(dim=0))))
            merged.append(first)
        return merged

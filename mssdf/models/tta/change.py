"""Test-time augmentation for changes."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from torch import Tensor

from mssdf.registry import MODELS

from ..change.two_dates import consistent_labels


def mean_log_probability(logits: Sequence[Tensor]) -> Tensor:
    """Average the probabilities of several answers.

    Args:
        logits: logits (C, H, W) of each answer.

    Returns:
        (C, H, W) logarithm of the mean probability of each class.
    """
    return torch.stack(list(logits)).softmax(dim=1).mean(dim=0).log()


@MODELS.register_module()
class ChangeTTA(BaseTTAModel):
    """An averaging of the probability of change over augmented images, turned back by mmseg.

    The data sample of the first, plain, image holds the result: its labels and its file's name.

    Args:
        module: model of two classes.
        data_preprocessor: data preprocessor of :class:`mmengine.model.BaseTTAModel`.
    """

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merge the answers for each image."""
        return [self.merge(samples) for samples in data_samples_list]

    def merge(self, samples: Sequence[Any]) -> Any:
        """Merge the answers for one image."""
        logits = mean_log_probability([sample.seg_logits.data for sample in samples])
        first = samples[0]
        first.set_data(dict(seg_logits=PixelData(data=logits)))
        first.set_data(dict(pred_sem_seg=PixelData(data=logits.argmax(dim=0, keepdim=True))))
        return first


@MODELS.register_module()
class SemanticChangeTTA(ChangeTTA):
    """A :class:`ChangeTTA` for the change and the land cover of both dates.

    Probabilities are averaged for each of the three by itself, and the maps made of them as
    :class:`~mssdf.models.change.SemanticChangeDetector` makes them.

    Args:
        module: model, a ``SemanticChangeDetector``.
        data_preprocessor: data preprocessor of :class:`mmengine.model.BaseTTAModel`.
    """

    def merge(self, samples: Sequence[Any]) -> Any:
        """Merge the answers for one image."""
        count = self.module.num_land_covers
        parts = zip(
            *(sample.seg_logits.data.split([2, count, count]) for sample in samples), strict=True
        )
        logits = [mean_log_probability(part) for part in parts]
        first = samples[0]
        first.set_data(dict(seg_logits=PixelData(data=torch.cat(logits))))
        names = ('pred_sem_seg', 'pred_first', 'pred_second')
        for name, labels in zip(names, consistent_labels(*logits), strict=True):
            first.set_data({name: PixelData(data=labels[None])})
        return first

"""Semantic change detection: changes, and the land cover before and after them."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.utils import resize
from torch import Tensor

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from ..losses.semantic_consistency import semantic_consistency_loss
from .two_dates import FUSIONS, consistent_labels, dates_of, fuse_dates, split_dates

IGNORE = 255


@MODELS.register_module()
class SemanticChangeDetector(EncoderDecoder):
    """A detector with a change head on both dates and a land-cover head on each.

    One siamese encoder sees both dates. Inputs are (B, 2C, H, W). Land cover is labeled, and
    learned, where something changed; a consistency term ties the two land covers to the change
    (arXiv 2108.06103). Logits are those of the change, of the first and of the second date behind
    each other: 2 + 2K channels.

    Args:
        land_cover_head: config of a decode head of K classes.
        share_land_cover_head: whether one head serves both dates; else the second date has one of
            its own weights.
        fusion: way in which the dates are fused for the change head: ``'difference'`` or
            ``'concatenation'``.
        consistency_weight: weight of the consistency term.
        **kwargs: arguments of :class:`mmseg.models.EncoderDecoder`; ``decode_head`` is the change
            head, of 2 classes.

    Raises:
        ValueError: if the fusion is neither, or the change head has another number of classes.
    """

    num_dates = 2  # their bands stand behind each other in the inputs

    def __init__(
        self,
        land_cover_head: dict,
        share_land_cover_head: bool = True,
        fusion: str = 'difference',
        consistency_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        if fusion not in FUSIONS:
            raise ConfigError('fusion', f'one of {FUSIONS}', fusion)
        super().__init__(**kwargs)
        if self.decode_head.out_channels != 2:
            raise ConfigError(
                'decode_head.num_classes', '2 (no change, change)', self.decode_head.out_channels
            )
        self.fusion = fusion
        self.consistency_weight = consistency_weight
        self.land_cover_head = MODELS.build(land_cover_head)
        self.second_land_cover_head = (
            self.land_cover_head if share_land_cover_head else MODELS.build(land_cover_head)
        )
        self.num_land_covers = self.land_cover_head.out_channels
        self.out_channels = 2 + 2 * self.num_land_covers

    def extract_feat(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Return features of the change, of the first and of the second date."""
        levels = self.backbone(split_dates(inputs))
        if self.with_neck:
            levels = self.neck(levels)
        first, second = zip(*(dates_of(level) for level in levels), strict=True)
        fused = tuple(fuse_dates(*pair, self.fusion) for pair in zip(first, second, strict=True))
        return fused, first, second

    def _logits(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fused, first, second = self.extract_feat(inputs)
        return (
            self.decode_head(fused),
            self.land_cover_head(first),
            self.second_land_cover_head(second),
        )

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return logits (B, 2 + 2K, H, W) at the size of the inputs."""
        logits = torch.cat(self._logits(inputs), dim=1)
        return resize(logits, inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Tensor:
        return torch.cat(self._logits(inputs), dim=1)

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Compute the losses of the change, of both land covers, and of their consistency.

        Args:
            inputs: (B, 2C, H, W) images, the bands of two dates behind each other.
            data_samples: samples with ``gt_sem_seg`` (change: 0, 1, 255), ``gt_first`` and
                ``gt_second`` (0: unchanged, k + 1: class k, 255: unknown).

        Returns:
            Each loss, a scalar, by its name.
        """
        change, first, second = self._logits(inputs)
        dates = {
            'first': (first, _stack(data_samples, 'gt_first')),
            'second': (second, _stack(data_samples, 'gt_second')),
        }

        losses = {
            f'change.{name}': value
            for name, value in self.decode_head.loss_by_feat(change, list(data_samples)).items()
        }
        for name, (logits, labels) in dates.items():
            size = labels.shape[1:]
            full = resize(logits, size, mode='bilinear', align_corners=self.align_corners)
            known = (labels > 0) & (labels != IGNORE)
            target = torch.where(known, labels - 1, IGNORE)
            # a batch without change has no labeled land cover: a mean over nothing is NaN
            error = F.cross_entropy(full.float(), target, ignore_index=IGNORE, reduction='sum')
            losses[f'{name}.loss_land_cover'] = error / known.sum().clamp(min=1)
        if self.consistency_weight:
            changed = _stack(data_samples, 'gt_sem_seg')
            losses['loss_consistency'] = self.consistency_weight * semantic_consistency_loss(
                first, second, changed, IGNORE
            )
        if self.with_auxiliary_head:
            fused = self.extract_feat(inputs)[0]
            losses.update(self._auxiliary_head_forward_train(fused, data_samples))
        return losses

    def postprocess_result(self, seg_logits: Tensor, data_samples: Any = None) -> Any:
        """Add the maps ``pred_sem_seg`` (change), ``pred_first`` and ``pred_second``."""
        results = super().postprocess_result(seg_logits, data_samples)
        counts = [2, self.num_land_covers, self.num_land_covers]
        for result in results:
            maps = consistent_labels(*result.seg_logits.data.split(counts))
            names = ('pred_sem_seg', 'pred_first', 'pred_second')
            for name, labels in zip(names, maps, strict=True):
                result.set_data({name: PixelData(data=labels[None])})
        return results


def _stack(data_samples: Sequence[Any], name: str) -> Tensor:
    """Stack the labels of a batch: (B, H, W)."""
    return torch.stack([getattr(sample, name).data.squeeze(0) for sample in data_samples])

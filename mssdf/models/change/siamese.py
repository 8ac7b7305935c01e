"""Binary change detection with one encoder for both dates, fused level by level."""

from typing import Any

from mmseg.models import EncoderDecoder
from torch import Tensor

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

from .two_dates import FUSIONS, dates_of, fuse_dates, split_dates


@MODELS.register_module()
class SiameseEncoderDecoder(EncoderDecoder):
    """An EncoderDecoder of mmseg's for images (B, 2C, H, W), the bands of two dates.

    The encoder, with the same weights, sees each date by itself; each of its levels is fused
    before the neck.

    Args:
        fusion: way in which the dates are fused: ``'difference'`` or ``'concatenation'``, which
            doubles the neck's ``in_channels``.
        **kwargs: arguments of :class:`mmseg.models.EncoderDecoder`.

    Raises:
        ValueError: if the fusion is neither.
    """

    num_dates = 2  # their bands stand behind each other in the inputs

    def __init__(self, fusion: str = 'difference', **kwargs: Any) -> None:
        if fusion not in FUSIONS:
            raise ConfigError('fusion', f'one of {FUSIONS}', fusion)
        super().__init__(**kwargs)
        self.fusion = fusion

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the fused features of both dates, through the neck."""
        levels = self.backbone(split_dates(inputs))
        halves = [dates_of(level) for level in levels]
        fused = tuple(fuse_dates(first, second, self.fusion) for first, second in halves)
        return self.neck(fused) if self.with_neck else fused

"""Batches of images with heights."""

from typing import Any

from mmseg.models import SegDataPreProcessor

from mssdf.registry import MODELS


@MODELS.register_module()
class HeightDataPreprocessor(SegDataPreProcessor):
    """mmseg's, which pads labels with a number: here padding is an unknown height (NaN).

    Args:
        **kwargs: see mmseg's SegDataPreProcessor.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(seg_pad_val=float('nan'), **kwargs)

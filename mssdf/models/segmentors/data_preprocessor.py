"""Batches of images of several modalities."""

from typing import Any

from mmseg.models import SegDataPreProcessor

from mssdf.registry import MODELS


@MODELS.register_module()
class MultiModalSegDataPreprocessor(SegDataPreProcessor):
    """mmseg's, which pads images with a number: here padding is nodata (NaN).

    With zeros, an image that lacks a modality would have valid pixels of it where it is padded.

    Args:
        **kwargs: arguments of mmseg's SegDataPreProcessor but ``pad_val``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pad_val=float('nan'), **kwargs)

"""Batches of images of several modalities."""

from typing import Any

from mmseg.models import SegDataPreProcessor

from mssdf.registry import MODELS


@MODELS.register_module()
class MultiModalSegDataPreprocessor(SegDataPreProcessor):
    """A preprocessor of mmseg's whose padding of images is nodata (NaN) instead of a number.

    With zeros, an image that lacks a modality would have valid pixels of it where it is padded.

    Args:
        **kwargs: arguments of mmseg's SegDataPreProcessor but ``pad_val``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pad_val=float('nan'), **kwargs)

"""Batches of images with heights."""

from typing import Any

from mmseg.models import SegDataPreProcessor

from mssdf.registry import MODELS


@MODELS.register_module()
class HeightDataPreprocessor(SegDataPreProcessor):
    """A preprocessor of mmseg's whose padding of labels is an unknown height (NaN).

    Args:
        **kwargs: arguments of mmseg's SegDataPreProcessor but ``seg_pad_val``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(seg_pad_val=float('nan'), **kwargs)

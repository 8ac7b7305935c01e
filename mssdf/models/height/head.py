"""A head of heights that starts near the ground."""

import math
from typing import Any

from mmseg.models.decode_heads import VPDDepthHead
from torch import nn

from mssdf.registry import MODELS


@MODELS.register_module()
class HeightHead(VPDDepthHead):
    """mmseg's ``VPDDepthHead``, which answers half of ``max_depth`` before it has learned anything.

    Here the first answer is ``initial_height``: most of a landscape is low. The decoder starts with
    features of about unit variance; mmseg's are a thousandth of that, and the running statistics of
    its batch norms need some hundred iterations to follow.

    Args:
        initial_height: meters, more than 0 and less than ``max_depth``.
        max_depth: meters of the highest answer.
        **kwargs: see mmseg's VPDDepthHead.

    Raises:
        ValueError: for an initial height out of that range.
    """

    def __init__(
        self, initial_height: float = 3.0, max_depth: float = 100.0, **kwargs: Any
    ) -> None:
        if not 0 < initial_height < max_depth:
            raise ValueError(
                f'initial_height: expected more than 0 and less than max_depth ({max_depth}), '
                f'found {initial_height}'
            )
        self.initial_height = initial_height
        super().__init__(max_depth=max_depth, **kwargs)
        self.decoder.init_cfg = dict(type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'])

    def init_weights(self) -> None:
        """As mmseg's, and the last bias."""
        super().init_weights()
        last = self.depth_pred_layer[-1]
        share = self.initial_height / self.max_depth
        nn.init.constant_(last.bias, math.log(share / (1 - share)))

"""A head for heights that starts near the ground."""

import math
from typing import Any

from mmseg.models.decode_heads import VPDDepthHead
from torch import nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS


@MODELS.register_module()
class HeightHead(VPDDepthHead):
    """A ``VPDDepthHead`` of mmseg's whose first answer is low, as most of a landscape is.

    mmseg's answers half of ``max_depth`` before it has learned anything. The decoder here starts
    with features of about unit variance; mmseg's are a thousandth of that, and the running
    statistics of its batch norms need some hundred iterations to follow.

    Args:
        initial_height: first answer in meters, more than 0 and less than ``max_depth``.
        max_depth: highest answer in meters.
        **kwargs: arguments of mmseg's VPDDepthHead.

    Raises:
        ValueError: if the initial height is out of that range.
    """

    def __init__(
        self, initial_height: float = 3.0, max_depth: float = 100.0, **kwargs: Any
    ) -> None:
        if not 0 < initial_height < max_depth:
            raise ConfigError(
                'initial_height',
                f'more than 0 and less than max_depth ({max_depth})',
                initial_height,
            )
        self.initial_height = initial_height
        super().__init__(max_depth=max_depth, **kwargs)
        self.decoder.init_cfg = dict(type='Kaiming', layer=['Conv2d', 'ConvTranspose2d'])

    def init_weights(self) -> None:
        """Initialize as mmseg does, then set the last bias to the initial height."""
        super().init_weights()
        last = self.depth_pred_layer[-1]
        share = self.initial_height / self.max_depth
        nn.init.constant_(last.bias, math.log(share / (1 - share)))

"""A feature pyramid from the one scale of a plain ViT (ViTDet, arXiv 2203.16527)."""

from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from mssdf.errors import ConfigError
from mssdf.registry import MODELS


@MODELS.register_module()
class SimpleFPN(BaseModule):
    """A pyramid of strides 4, 8, 16, 32 (and coarser) from the last map of a ViT of stride 16.

    Each level is a (transposed) convolution or pooling of the same map, then a 1 x 1 and a 3 x 3
    convolution, with layer norms. Source: arXiv 2203.16527, section 3.

    Args:
        in_channels: width of the ViT.
        out_channels: width of each level.
        num_outs: number of levels, at least 4; each after the fourth is the one before subsampled
            by 2.
        init_cfg: config of the initialization, as of every module of MMEngine.

    Raises:
        ValueError: for fewer than 4 levels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_outs: int = 5,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if num_outs < 4:
            raise ConfigError('num_outs', 'at least 4 levels', num_outs)

        # strides 4, 8, 16 and 32
        half, quarter = in_channels // 2, in_channels // 4
        self.num_outs = num_outs
        self.scales = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(in_channels, half, 2, 2),
                    LayerNorm2d(half, eps=1e-6),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, 2, 2),
                ),
                nn.ConvTranspose2d(in_channels, half, 2, 2),
                nn.Identity(),
                nn.MaxPool2d(2, 2),
            ]
        )

        # to one width
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, out_channels, 1, bias=False),
                LayerNorm2d(out_channels, eps=1e-6),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels, eps=1e-6),
            )
            for width in (quarter, half, in_channels, in_channels)
        )

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Make the pyramid.

        Args:
            inputs: maps of the backbone, of which the last, (B, C, H, W), is taken.

        Returns:
            ``num_outs`` maps (B, C', 4H, 4W), (B, C', 2H, 2W), (B, C', H, W), ...
        """
        finest = inputs[-1]
        levels = [
            project(scale(finest))
            for scale, project in zip(self.scales, self.projections, strict=True)
        ]
        for _ in range(self.num_outs - len(levels)):
            levels.append(F.max_pool2d(levels[-1], 1, stride=2))
        return tuple(levels)

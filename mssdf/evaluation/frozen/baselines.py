"""Baselines that every encoder has to beat: statistics of the image, and random convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .featurizer import ANY_POOL, Tokens

PATCH = 16  # the usual patch of a ViT in pixels


def centered(modality: str, values: Tensor, valid: Tensor) -> Tensor:
    """Colors from 0 to 1, or heights relative to the median in units of 10 m; 0 where unknown."""
    values = values.float()
    if modality == 'rgb':
        return (values / 255).masked_fill(~valid, 0.0)
    median = values.masked_fill(~valid, torch.nan).flatten(1).nanmedian(dim=1).values
    values = values - torch.nan_to_num(median)[:, None, None, None]
    return (values / 10).masked_fill(~valid, 0.0)


class ImageStatistics:
    """Mean and deviation of each band and the mean gradient; per patch the mean and deviation."""

    metric = 'euclidean'
    normalization = 'standardized over the training rows'

    def patch_size(self, size: int) -> int:
        """The usual patch."""
        return PATCH

    def takes(self, modality: str) -> bool:
        """Every modality."""
        return True

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Features of a batch; see :class:`Featurizer`."""
        values = centered(modality, values, valid)
        down, right = values.diff(dim=2).abs(), values.diff(dim=3).abs()
        gradient = (down.mean(dim=(1, 2, 3)) + right.mean(dim=(1, 2, 3))) / 2
        whole = torch.cat(
            [
                values.mean(dim=(2, 3)),
                values.std(dim=(2, 3), correction=0),
                gradient[:, None],
            ],
            dim=1,
        )
        mean = F.avg_pool2d(values, PATCH)
        variance = (F.avg_pool2d(values.square(), PATCH) - mean.square()).clamp(min=0)
        patches = torch.cat([mean, variance.sqrt()], dim=1)  # (B, 2C, g, g)
        return Tokens({ANY_POOL: whole}, patches.flatten(2).transpose(1, 2))


class RandomConvolutions:
    """Fixed random filters, rectified, averaged over each patch and over the image.

    Args:
        filters: number of filters.
        side: side of the filters in pixels.
        stride: step of the filters in pixels.
        seed: seed of the draw.
    """

    metric = 'euclidean'
    normalization = 'standardized over the training rows'

    def __init__(self, filters: int = 128, side: int = 8, stride: int = 4, seed: int = 0) -> None:
        self.filters, self.side, self.stride, self.seed = filters, side, stride, seed

    def patch_size(self, size: int) -> int:
        """The usual patch."""
        return PATCH

    def takes(self, modality: str) -> bool:
        """Every modality."""
        return True

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Features of a batch; see :class:`Featurizer`."""
        values = centered(modality, values, valid)
        draw = torch.Generator().manual_seed(self.seed)
        bands = values.shape[1]
        kernel = torch.randn(self.filters, bands, self.side, self.side, generator=draw)
        kernel = kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None]
        bias = torch.randn(self.filters, generator=draw)
        padding = (self.side - self.stride) // 2  # so that a patch has as many places everywhere
        places = F.conv2d(
            F.pad(values, [padding] * 4, mode='replicate'),
            kernel.to(values.device),
            bias.to(values.device),
            self.stride,
        ).relu()
        patches = F.avg_pool2d(places, PATCH // self.stride).flatten(2).transpose(1, 2)
        return Tokens({ANY_POOL: patches.mean(dim=1)}, patches)

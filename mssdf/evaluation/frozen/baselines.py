"""Baselines for encoders: statistics of the image, and random convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .featurizer import ANY_POOL, Tokens

PATCH = 16  # usual side of a ViT's patch in pixels


def centered(modality: str, values: Tensor, valid: Tensor) -> Tensor:
    """Scale colors to 0...1, or heights relative to the median to units of 10 m.

    Args:
        modality: ``'rgb'`` or the name of a modality of heights.
        values: values (B, C, S, S) as in the files.
        valid: validity (B, 1, S, S) bool.

    Returns:
        Scaled values (B, C, S, S), 0 where invalid.
    """
    if values.shape[-1] % PATCH:
        raise ValueError(f'img_size: expected a multiple of {PATCH}, found {values.shape[-1]}')
    values = values.float()
    if modality == 'rgb':
        return (values / 255).masked_fill(~valid, 0.0)
    median = values.masked_fill(~valid, torch.nan).flatten(1).nanmedian(dim=1).values
    values = values - torch.nan_to_num(median)[:, None, None, None]
    return (values / 10).masked_fill(~valid, 0.0)


class ImageStatistics:
    """A baseline of statistics: mean and deviation of each band, and the mean gradient.

    A patch has the mean and deviation of each band.
    """

    metric = 'euclidean'
    normalization = 'standardized over the training rows'

    def patch_size(self, size: int) -> int:
        """Return the usual side of a patch in pixels."""
        return PATCH

    def takes(self, modality: str) -> bool:
        """Return true for every modality."""
        return True

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Compute the features of a batch; see :class:`Featurizer`."""
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
    """A baseline of fixed random filters, rectified and averaged over patches and image.

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
        """Return the usual side of a patch in pixels."""
        return PATCH

    def takes(self, modality: str) -> bool:
        """Return true for every modality."""
        return True

    def __call__(self, modality: str, values: Tensor, valid: Tensor) -> Tokens:
        """Compute the features of a batch; see :class:`Featurizer`."""
        values = centered(modality, values, valid)
        draw = torch.Generator().manual_seed(self.seed)
        bands = values.shape[1]
        kernel = torch.randn(self.filters, bands, self.side, self.side, generator=draw)
        kernel = kernel / kernel.flatten(1).norm(dim=1)[:, None, None, None]
        bias = torch.randn(self.filters, generator=draw)
        padding = (self.side - self.stride) // 2  # each patch then has the same number of places
        places = F.conv2d(
            F.pad(values, [padding] * 4, mode='replicate'),
            kernel.to(values.device),
            bias.to(values.device),
            self.stride,
        ).relu()
        patches = F.avg_pool2d(places, PATCH // self.stride).flatten(2).transpose(1, 2)
        return Tokens({ANY_POOL: patches.mean(dim=1)}, patches)

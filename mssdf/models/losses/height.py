"""Losses of height maps, where heights are known."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mssdf.errors import ConfigError
from mssdf.registry import MODELS

KINDS = ('l1', 'smooth_l1', 'silog')


def height_loss(
    predicted: Tensor, truth: Tensor, kind: str = 'smooth_l1', beta: float = 1.0
) -> Tensor:
    """Average the error over the pixels whose height is known.

    Args:
        predicted: predicted heights (B, 1, H, W) in meters.
        truth: true heights (B, 1, H, W) in meters, NaN where unknown.
        kind: ``'l1'``, ``'smooth_l1'`` or ``'silog'``, the scale-invariant logarithmic error
            (arXiv 1406.2283, lambda 0.5) of heights one meter higher, so that ground at 0 m
            counts too.
        beta: error in meters below which ``'smooth_l1'`` is quadratic.

    Returns:
        A scalar, float32; 0 if no height is known.
    """
    known = torch.isfinite(truth)
    count = known.sum().clamp(min=1)
    predicted, truth = predicted.float(), torch.where(known, truth.float(), 0.0)

    if kind == 'silog':
        error = predicted.clamp(min=0).log1p() - truth.clamp(min=0).log1p()
        error = error.masked_fill(~known, 0.0)
        mean_square, mean = error.square().sum() / count, error.sum() / count
        return (mean_square - 0.5 * mean.square()).clamp(min=1e-12).sqrt()

    beta = 0.0 if kind == 'l1' else beta
    error = F.smooth_l1_loss(predicted, truth, reduction='none', beta=beta)
    return error.masked_fill(~known, 0.0).sum() / count


@MODELS.register_module()
class HeightLoss(nn.Module):
    """A loss of heights for a decode head of mmseg, by :func:`height_loss`.

    Args:
        kind: kind of the error.
        beta: error in meters below which ``'smooth_l1'`` is quadratic.
        loss_weight: factor of the loss.
        loss_name: key of the loss in the log.

    Raises:
        ValueError: for another kind.
    """

    def __init__(
        self,
        kind: str = 'smooth_l1',
        beta: float = 1.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_height',
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ConfigError('kind', f'one of {KINDS}', kind)
        self.kind = kind
        self.beta = beta
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """Compute the weighted loss of heights (B, 1, H, W) in meters."""
        return self.loss_weight * height_loss(predicted, truth, self.kind, self.beta)

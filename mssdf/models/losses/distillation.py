"""L_rec: predicted tokens against the teacher's (method.md, sections 5 and 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mssdf.distributed import sum_over_ranks
from mssdf.errors import ConfigError

from .reduction import masked_mean


@torch.no_grad()
def normalize_targets(tokens: Tensor, valid: Tensor, mode: str | None = 'token') -> Tensor:
    """Normalize the teacher's tokens of one modality.

    Args:
        tokens: tokens (B, N, D).
        valid: mask (B, N) of the tokens that statistics over the batch are taken from.
        mode: ``'token'`` normalizes each token by itself (LayerNorm without affine); ``'batch'``
            each dimension over the valid tokens of the batch on all ranks, so that what all tokens
            share cannot be a target; None leaves them as they are.

    Returns:
        Tokens (B, N, D), float32.

    Raises:
        ValueError: for another mode.
    """
    tokens = tokens.float()
    if mode is None:
        return tokens
    if mode == 'token':
        return F.layer_norm(tokens, tokens.shape[-1:])
    if mode != 'batch':
        raise ConfigError('target_norm', "'token', 'batch' or None", mode)

    weight = valid.unsqueeze(-1).float()
    count = sum_over_ranks(weight.sum()).clamp(min=1)
    mean = sum_over_ranks((tokens * weight).sum(dim=(0, 1))) / count
    centered = tokens - mean
    variance = sum_over_ranks((centered.square() * weight).sum(dim=(0, 1))) / count
    return centered / (variance + 1e-6).sqrt()


def masked_feature_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Compute the squared error of each window over its masked, valid patches.

    Args:
        predicted: predicted features (B, N, D).
        target: features (B, N, D) of the teacher, without gradient.
        mask: mask (B, N), true at masked, valid patches.

    Returns:
        Mean error of each window (B,), float32; 0 for a window without such patches.
    """
    error = F.mse_loss(predicted.float(), target.float(), reduction='none').mean(dim=-1)
    return masked_mean(error, mask)

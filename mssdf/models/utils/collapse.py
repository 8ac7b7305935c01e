"""Measures of whether features still tell windows apart (method.md, section 6)."""

import torch
from torch import Tensor


def effective_rank(features: Tensor) -> Tensor:
    """Count the dimensions that features effectively fill (RankMe, arXiv 2210.02885).

    The exponential of the entropy of the singular values' shares. Features are centered first, so
    that what all have in common does not count.

    Args:
        features: (n, d) one row of features per window or token.

    Returns:
        A scalar within 1...min(n - 1, d); 1 for constant features or a single row.

    Raises:
        ValueError: if ``features`` has another shape or no row.
    """
    centered = _centered(features)
    scale = features.float().abs().amax().clamp(min=torch.finfo(torch.float32).tiny)
    values = torch.linalg.svdvals(centered)
    # what centering leaves of a constant is rounding, which has a rank of its own
    noise = scale * torch.finfo(torch.float32).eps * max(features.shape)
    values = torch.where(values > noise, values, 0.0)
    shares = values / values.sum().clamp(min=torch.finfo(torch.float32).tiny)
    return torch.exp(-torch.xlogy(shares, shares).sum())


def feature_std(features: Tensor) -> Tensor:
    """Average over dimensions the standard deviation over rows.

    Args:
        features: (n, d) one row of features per window or token.

    Returns:
        A scalar, 0 for constant features or a single row.

    Raises:
        ValueError: if ``features`` has another shape or no row.
    """
    return _centered(features).square().mean(dim=0).sqrt().mean()


def _centered(features: Tensor) -> Tensor:
    if features.ndim != 2 or not len(features):
        raise ValueError(f'features: expected (n, d) with n > 0, found {tuple(features.shape)}')
    features = features.detach().float()
    return features - features.mean(dim=0)

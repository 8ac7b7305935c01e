"""L_hsic: linear HSIC between two modalities (method.md, section 6)."""

from torch import Tensor


def linear_hsic(first: Tensor, second: Tensor, valid: Tensor, eps: float = 1e-8) -> Tensor:
    """Compute the linear HSIC of standardized features over d squared.

    It is the mean squared cross-correlation ``||X^T Y||_F^2 / (n - 1)^2 / d^2`` with X, Y centered
    and divided by their sample standard deviations, per dimension: between 0 and 1, whatever the
    width and scale.

    Args:
        first: features (n, d) of one modality.
        second: features (n, d) of the other at the same locations.
        valid: mask (n,) of the rows that count.
        eps: number added to the variances.

    Returns:
        A scalar, float32; 0 with fewer than two valid rows.
    """
    weight = valid.unsqueeze(-1).float()
    count = weight.sum()
    freedom = (count - 1).clamp(min=1)

    def standardize(features: Tensor) -> Tensor:
        features = features.float().masked_fill(~valid.unsqueeze(-1), 0.0)
        centered = (features - features.sum(dim=0) / count.clamp(min=1)) * weight
        variance = centered.square().sum(dim=0) / freedom
        return centered / (variance + eps).sqrt()

    covariance = standardize(first).T @ standardize(second) / freedom
    return covariance.square().mean()

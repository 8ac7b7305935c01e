"""Ridge regression in closed form, all penalties at once."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class RidgeModels:
    """Fitted models, one for each penalty.

    Attributes:
        mean: (D,) of the features that were fitted.
        weight: (L, D), for features less their mean.
        intercept: mean of the targets that were fitted.
    """

    mean: Tensor
    weight: Tensor
    intercept: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Predictions (L, n) for features (n, D)."""
        return self.weight @ (features - self.mean).T + self.intercept


def fit_ridge(features: Tensor, targets: Tensor, penalties: Tensor) -> RidgeModels:
    """Fit linear models of standardized features under several penalties.

    Each minimizes the mean squared error plus ``penalty`` times the squared norm of its weights:
    scikit-learn's ``Ridge`` with ``alpha = penalty * n`` on standardized features.

    Args:
        features: (n, D).
        targets: (n,).
        penalties: (L,) positive.

    Returns:
        The models.
    """
    features, targets = features.double(), targets.double()
    mean, intercept = features.mean(dim=0), targets.mean()
    centered = features - mean
    spread = centered.square().mean(dim=0).sqrt()
    scale = torch.where(spread > 1e-6 * mean.abs().clamp(min=1e-6), 1 / spread, 0.0)
    standard = centered * scale
    values, vectors = torch.linalg.eigh(standard.T @ standard / len(standard))
    moment = vectors.T @ (standard.T @ (targets - intercept)) / len(standard)  # (D,)
    shrunk = moment / (values.clamp(min=0) + penalties.double()[:, None])  # (L, D)
    return RidgeModels(mean, (shrunk @ vectors.T) * scale, intercept)

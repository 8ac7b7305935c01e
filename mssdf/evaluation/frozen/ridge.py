"""Ridge regression in closed form for all penalties at once."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class RidgeModels:
    """A batch of fitted models, one per penalty.

    Attributes:
        mean: mean (D,) of the features of the fit.
        weight: weights (L, D) for features minus their mean.
        intercept: mean of the targets of the fit.
    """

    mean: Tensor
    weight: Tensor
    intercept: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Predict targets (L, n) from features (n, D)."""
        return self.weight @ (features - self.mean).T + self.intercept


def fit_ridge(features: Tensor, targets: Tensor, penalties: Tensor) -> RidgeModels:
    """Fit linear models of standardized features under several penalties.

    Each model minimizes the mean squared error plus ``penalty`` times the squared norm of its
    weights: scikit-learn's ``Ridge`` with ``alpha = penalty * n`` on standardized features.

    Args:
        features: features (n, D).
        targets: targets (n,).
        penalties: positive penalties (L,).

    Returns:
        Fitted models.
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

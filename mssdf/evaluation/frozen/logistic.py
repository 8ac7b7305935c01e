"""Logistic regression on frozen features for many penalties and folds at once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .lbfgs import minimize


@dataclass
class LogisticModels:
    """A batch of fitted models, one per problem.

    Attributes:
        weight: weights (P, D, K) for features minus ``center``.
        bias: biases (P, K).
        center: mean features (D,), subtracted so that no bias has to cancel a large mean.
    """

    weight: Tensor
    bias: Tensor
    center: Tensor

    def logits(self, features: Tensor, problem: int) -> Tensor:
        """Compute the scores (n, K) of features (n, D) by one of the models."""
        return (features - self.center) @ self.weight[problem] + self.bias[problem]


def fit_logistic(
    features: Tensor,
    labels: Tensor,
    members: Tensor,
    penalties: Tensor,
    num_classes: int,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
) -> LogisticModels:
    """Fit multinomial logistic regressions by L-BFGS, one per problem.

    A problem minimizes the mean cross-entropy of its rows plus ``penalty / 2`` times the squared
    norm of the weights (not of the bias), on features standardized over its rows. This is
    scikit-learn's ``LogisticRegression`` with ``C = 1 / (penalty * number of rows)``; for two
    classes, where scikit-learn fits a single vector, with twice that C.

    Args:
        features: features (n, D).
        labels: classes (n,) int64 from 0 to ``num_classes - 1``.
        members: (P, n) bool, true for the rows of each problem.
        penalties: positive penalties (P,).
        num_classes: number K of classes.
        tolerance: largest absolute gradient at which a problem is finished.
        max_iterations: largest number of steps.

    Returns:
        Fitted models.
    """
    count = members.sum(dim=1, dtype=features.dtype)
    weights = members.to(features.dtype) / count[:, None]  # (P, n)

    # In float32, the spread of features would be lost beside a large mean.
    center = features.mean(dim=0)
    features = features - center
    mean = weights @ features  # (P, D)
    spread = torch.stack(
        [row @ (features - own).square() for row, own in zip(weights, mean, strict=True)]
    ).sqrt()
    constant = spread <= 1e-6 * (center + mean).abs().clamp(min=1e-6)
    scale = torch.where(constant, 0.0, 1 / spread)

    truth = F.one_hot(labels, num_classes).to(features.dtype)  # (n, K)
    width, sizes = features.shape[1], (len(penalties), features.shape[1] + 1, num_classes)
    transposed = features.T.contiguous()

    def objective(point: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Compute values and gradients of the problems ``which`` at (p, (D + 1) * K)."""
        point = point.view(-1, width + 1, num_classes)
        standard, bias = point[:, :width], point[:, width]
        weight, shift = _unstandardize(standard, bias, mean[which], scale[which])
        flat = weight.transpose(0, 1).reshape(width, -1)
        logits = (features @ flat).view(len(features), -1, num_classes) + shift  # (n, p, K)
        share = weights[which].T  # (n, p)
        log_likelihood = F.log_softmax(logits, dim=2)
        loss = -(torch.einsum('npk,nk->np', log_likelihood, truth) * share).sum(dim=0)
        error = (log_likelihood.exp_() - truth[:, None]) * share[:, :, None]
        to_weight = (transposed @ error.flatten(1)).view(width, -1, num_classes).transpose(0, 1)
        to_bias = error.sum(dim=0)  # (p, K)
        to_weight = scale[which][:, :, None] * (
            to_weight - mean[which][:, :, None] * to_bias[:, None]
        )
        penalty = penalties[which]
        value = loss + penalty / 2 * standard.square().sum(dim=(1, 2))
        to_weight = to_weight + penalty[:, None, None] * standard
        return value, torch.cat([to_weight, to_bias[:, None]], dim=1).flatten(1)

    start = features.new_zeros(sizes).flatten(1)
    found = minimize(objective, start, tolerance, max_iterations).view(sizes)
    weight, bias = _unstandardize(found[:, :width], found[:, width], mean, scale)
    return LogisticModels(weight, bias, center)


def _unstandardize(
    weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Convert models (P, D, K), (P, K) of standardized features to those of raw features."""
    weight = weight * scale[:, :, None]
    return weight, bias - torch.einsum('pd,pdk->pk', mean, weight)
